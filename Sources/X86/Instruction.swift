/// The code size and address width that a segment's descriptor gives its instructions.
public enum DecodeMode: UInt8, Sendable {
    /// 16-bit code: real mode, virtual-8086 mode, 16-bit segments.
    case code16
    /// 32-bit code: protected and compatibility mode.
    case code32
    case code64
}

/// Which file a register operand is in.
public enum RegisterFile: UInt8, Sendable {
    /// General-purpose, of the operand's size.
    case general
    /// AH, CH, DH, BH: index 0 to 3.
    case highByte
    case segment
    case control
    case debug
    case mmx
    case xmm
    /// All 256 bits of a vector register.
    case ymm
    /// x87 stack register ST(index).
    case st
}

/// One operand. A register carries its file and number; the others say where to look in the
/// `Instruction`.
public enum Operand: Sendable, Equatable {
    case none
    case register(RegisterFile, UInt8)
    /// `Instruction.memory`.
    case memory
    /// `Instruction.immediate`, sign-extended to 64 bits as the instruction uses it.
    case immediate
    /// `Instruction.secondImmediate`: ENTER's level.
    case secondImmediate
    /// A branch displacement in `Instruction.immediate`.
    case relative
    /// Offset in `immediate`, selector in `secondImmediate`.
    case farPointer
}

/// Registers and displacement that make a memory operand's address.
public struct MemoryOperand: Sendable, Equatable {
    /// No base, or no index.
    public static let absent: UInt8 = 0xff
    /// The base is the address of the next instruction.
    public static let instructionPointer: UInt8 = 0xfe

    /// General-purpose register number, `absent` or `instructionPointer`.
    public var base = Self.absent
    /// General-purpose register number or `absent`.
    public var index = Self.absent
    /// The index times 1, 2, 4 or 8, as a shift.
    public var scaleShift: UInt8 = 0
    /// Segment register: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS.
    public var segment: UInt8 = 3
    public var displacement: Int64 = 0
    /// Bytes accessed; 0 where the form says more (LEA, FXSAVE, INVLPG). Of gathers, an element's.
    public var byteCount: UInt8 = 0
    /// Of gathers: the index is a vector register of 16 or 32 bytes. 0: it is a general one.
    public var vectorIndexByteCount: UInt8 = 0

    public init() {}
}

/// Prefixes that an instruction carried.
public struct Prefixes: OptionSet, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let lock = Prefixes(rawValue: 1 << 0)
    /// F3.
    public static let rep = Prefixes(rawValue: 1 << 1)
    /// F2.
    public static let repne = Prefixes(rawValue: 1 << 2)
    /// 66.
    public static let operandSize = Prefixes(rawValue: 1 << 3)
    /// 67.
    public static let addressSize = Prefixes(rawValue: 1 << 4)
    /// A REX prefix that took effect.
    public static let rex = Prefixes(rawValue: 1 << 5)
    /// REX.W, or VEX.W in 64-bit code.
    public static let rexW = Prefixes(rawValue: 1 << 6)
    /// A segment override that took effect.
    public static let segment = Prefixes(rawValue: 1 << 7)
}

/// A decoded instruction: a value of fixed size without references.
public struct Instruction: Sendable, Equatable {
    /// The line of the table it was decoded by.
    public var form = Form(index: 0)
    public var mnemonic = Mnemonic.nop
    /// In bytes, 1 to 15.
    public var length: UInt8 = 0
    /// Operand size in bytes: 1, 2, 4 or 8.
    public var operandSize: UInt8 = 0
    /// VEX.L: 16 or 32; 0 without VEX.
    public var vectorByteCount: UInt8 = 0
    /// Address size in bytes: 2, 4 or 8.
    public var addressSize: UInt8 = 0
    public var prefixes: Prefixes = []
    /// The ModRM byte; 0 without one.
    public var modRM: UInt8 = 0
    /// The condition of Jcc, SETcc and CMOVcc, 0 to 15 as in the opcode.
    public var condition: UInt8 = 0
    public var operand0 = Operand.none
    public var operand1 = Operand.none
    public var operand2 = Operand.none
    public var operand3 = Operand.none
    public var memory = MemoryOperand()
    public var immediate: UInt64 = 0
    public var secondImmediate: UInt64 = 0

    public init() {}

    /// One of the operands is in memory.
    public var hasMemoryOperand: Bool {
        operand0 == .memory || operand1 == .memory || operand2 == .memory
    }
}

/// Why bytes are not an instruction.
public enum DecodeFault: Sendable, Equatable {
    /// #UD.
    case invalidOpcode
    /// Longer than 15 bytes: #GP(0).
    case tooLong
    /// The bytes end within the instruction.
    case needMoreBytes
}

/// What `Decoder` makes of bytes.
public enum DecodeResult: Sendable, Equatable {
    case instruction(Instruction)
    case fault(DecodeFault)
}
