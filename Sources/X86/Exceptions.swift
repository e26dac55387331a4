/// An exception vector (SDM volume 3A, table 6-1).
public struct ExceptionVector: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let divideError = ExceptionVector(rawValue: 0)
    public static let debug = ExceptionVector(rawValue: 1)
    public static let nonMaskableInterrupt = ExceptionVector(rawValue: 2)
    public static let breakpoint = ExceptionVector(rawValue: 3)
    public static let overflow = ExceptionVector(rawValue: 4)
    public static let boundRange = ExceptionVector(rawValue: 5)
    public static let invalidOpcode = ExceptionVector(rawValue: 6)
    public static let deviceNotAvailable = ExceptionVector(rawValue: 7)
    public static let doubleFault = ExceptionVector(rawValue: 8)
    public static let invalidTSS = ExceptionVector(rawValue: 10)
    public static let segmentNotPresent = ExceptionVector(rawValue: 11)
    public static let stackFault = ExceptionVector(rawValue: 12)
    public static let generalProtection = ExceptionVector(rawValue: 13)
    public static let pageFault = ExceptionVector(rawValue: 14)
    public static let floatingPoint = ExceptionVector(rawValue: 16)
    public static let alignmentCheck = ExceptionVector(rawValue: 17)
    public static let machineCheck = ExceptionVector(rawValue: 18)
    public static let simdFloatingPoint = ExceptionVector(rawValue: 19)
    public static let virtualization = ExceptionVector(rawValue: 20)
    public static let controlProtection = ExceptionVector(rawValue: 21)

    private static let names = [
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS",
        "#GP", "#PF", "", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    ]

    /// The manual's name: `#PF`; `vector 32` where there is none.
    public var description: String {
        let position = Int(rawValue)
        guard position < Self.names.count, !Self.names[position].isEmpty else {
            return "vector \(rawValue)"
        }
        return Self.names[position]
    }

    /// It pushes an error code.
    public var hasErrorCode: Bool {
        switch rawValue {
        case 8, 10, 11, 12, 13, 14, 17, 21: true
        default: false
        }
    }
}

/// The error code of a page fault (SDM volume 3A, figure 4-12).
public struct PageFaultErrorCode: OptionSet, Sendable, Hashable {
    public var rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The page was present: a protection fault.
    public static let present = PageFaultErrorCode(rawValue: 1 << 0)
    public static let write = PageFaultErrorCode(rawValue: 1 << 1)
    public static let user = PageFaultErrorCode(rawValue: 1 << 2)
    public static let reservedBit = PageFaultErrorCode(rawValue: 1 << 3)
    public static let instructionFetch = PageFaultErrorCode(rawValue: 1 << 4)
    public static let protectionKey = PageFaultErrorCode(rawValue: 1 << 5)
    public static let shadowStack = PageFaultErrorCode(rawValue: 1 << 6)
}

/// The error code of #TS, #NP, #SS and #GP about a selector (SDM volume 3A, figure 6-6).
public struct SelectorErrorCode: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// An event outside the program caused it.
    public var isExternal: Bool { rawValue & 1 != 0 }
    /// `index` is of the IDT.
    public var isInterruptTable: Bool { rawValue & 2 != 0 }
    /// `index` is of the LDT, otherwise of the GDT.
    public var isLocalTable: Bool { rawValue & 6 == 4 }
    /// Descriptor number.
    public var index: UInt16 { rawValue &>> 3 }
}
