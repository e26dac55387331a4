internal import VirtualCPU
internal import Vocabulary

/// 256 bits, one for each vector.
struct VectorSet: Sendable, Equatable {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    private func word(_ index: Int) -> UInt64 {
        switch index {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }

    private mutating func set(_ index: Int, _ value: UInt64) {
        switch index {
        case 0: words.0 = value
        case 1: words.1 = value
        case 2: words.2 = value
        default: words.3 = value
        }
    }

    mutating func insert(_ vector: UInt8) {
        let index = Int(vector >> 6)
        set(index, word(index) | 1 &<< UInt64(vector & 63))
    }

    mutating func remove(_ vector: UInt8) {
        let index = Int(vector >> 6)
        set(index, word(index) & ~(1 &<< UInt64(vector & 63)))
    }

    func contains(_ vector: UInt8) -> Bool {
        word(Int(vector >> 6)) & (1 &<< UInt64(vector & 63)) != 0
    }

    /// The highest vector in the set.
    var highest: UInt8? {
        for index in [3, 2, 1, 0] where word(index) != 0 {
            return UInt8(truncatingIfNeeded: index * 64 + 63 - word(index).leadingZeroBitCount)
        }
        return nil
    }

    /// The 32 bits of register `index`, 0 to 7.
    func register(_ index: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: word(Int(index >> 1)) >> (UInt64(index & 1) * 32))
    }
}

extension LocalAPIC {
    /// The register file (SDM volume 3, table 11-1).
    struct Registers: Sendable {
        enum TimerMode { case oneShot, periodic, deadline }

        static let timerEntry = 0

        let identifier: UInt32
        var base: UInt64
        var taskPriority: UInt32 = 0
        var logicalDestination: UInt32 = 0
        var destinationFormat: UInt32 = .max
        var spurious: UInt32 = 0xff
        var interruptRequest = VectorSet()
        var inService = VectorSet()
        var triggerMode = VectorSet()
        var errorStatus: UInt32 = 0
        var interruptCommand: UInt64 = 0
        /// Timer, thermal, performance, LINT0, LINT1, error.
        var localVectors = [UInt32](repeating: 0x1_0000, count: 6)
        var initialCount: UInt32 = 0
        var divideConfiguration: UInt32 = 0
        var timerStart: UInt64 = 0
        var timerDeadline: UInt64 = 0
        var startUpRequests: [StartUpRequest] = []

        init(identifier: UInt32) {
            self.identifier = identifier
            base = 0xfee0_0800 | (identifier == 0 ? 0x100 : 0)
        }

        var isX2: Bool { base & 0xc00 == 0xc00 }
        var isSoftwareEnabled: Bool { base & 0x800 != 0 && spurious & 0x100 != 0 }

        var timerMode: TimerMode {
            switch (localVectors[Self.timerEntry] >> 17) & 3 {
            case 0: .oneShot
            case 1: .periodic
            default: .deadline
            }
        }

        /// 1 to 128.
        var timerDivisor: UInt32 {
            let code = divideConfiguration & 3 | (divideConfiguration >> 1) & 4
            return code == 7 ? 1 : 2 << code
        }

        /// Nanoseconds from the initial count to 0: the timer's input is 1 GHz. 0: it stands.
        var timerPeriod: UInt64 { UInt64(initialCount) &* UInt64(timerDivisor) }

        /// The state after INIT.
        mutating func initialize() {
            let (identifier, base) = (identifier, base)
            self = Registers(identifier: identifier)
            self.base = base
            if isX2 { setX2LogicalDestination() }
        }

        /// LDR is read-only in x2APIC mode: cluster and bit follow from the identifier.
        private mutating func setX2LogicalDestination() {
            logicalDestination = (identifier >> 4) << 16 | 1 &<< (identifier & 15)
        }

        var processorPriority: UInt8 {
            let task = UInt8(truncatingIfNeeded: taskPriority)
            let service = inService.highest.map { $0 & 0xf0 } ?? 0
            return task & 0xf0 >= service ? task : service
        }

        /// The request that the priorities let through now.
        var deliverable: UInt8? {
            guard isSoftwareEnabled, let vector = interruptRequest.highest,
                vector & 0xf0 > processorPriority & 0xf0
            else { return nil }
            return vector
        }

        /// False: #GP. Transitions of SDM volume 3, figure 11-27.
        mutating func setBase(_ value: UInt64) -> Bool {
            if value & ~0x0000_3fff_ffff_fd00 != 0 { return false }
            let old = base & 0xc00
            let new = value & 0xc00
            if new == 0x400 || old == 0xc00 && new == 0x800 || old == 0 && new == 0xc00 {
                return false
            }
            base = value
            if new == 0 {
                initialize()
            }
            if isX2 { setX2LogicalDestination() }
            return true
        }

        func matches(destination: UInt32, isLogical: Bool, isX2 wide: Bool) -> Bool {
            if isX2 {
                if destination == (wide ? UInt32.max : 0xff) { return true }
                if !isLogical { return destination == identifier }
                return destination >> 16 == logicalDestination >> 16
                    && destination & logicalDestination & 0xffff != 0
            }
            let target = destination & 0xff
            if destination == .max || target == 0xff { return true }
            if !isLogical { return destination == identifier }
            let logical = logicalDestination >> 24
            if destinationFormat >> 28 == 0xf { return logical & target != 0 }
            return logical >> 4 == target >> 4 && logical & target & 0xf != 0
        }

        static func isKnown(_ offset: UInt32) -> Bool {
            switch offset {
            case 0x020, 0x030, 0x080, 0x0a0, 0x0d0, 0x0f0, 0x100...0x280, 0x320...0x380, 0x390,
                0x3e0:
                true
            default: false
            }
        }

        static func isWritable(_ offset: UInt32) -> Bool {
            switch offset {
            case 0x080, 0x0b0, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x320...0x380, 0x3e0: true
            default: false
            }
        }

        func read(_ offset: UInt32) -> UInt32 {
            switch offset & 0xff0 {
            case 0x020: return isX2 ? identifier : identifier << 24
            case 0x030: return 0x0005_0014
            case 0x080: return taskPriority
            case 0x0a0: return UInt32(processorPriority)
            case 0x0d0: return logicalDestination
            case 0x0e0: return destinationFormat
            case 0x0f0: return spurious
            case 0x100...0x170: return inService.register((offset >> 4) & 7)
            case 0x180...0x1f0: return triggerMode.register((offset >> 4) & 7)
            case 0x200...0x270: return interruptRequest.register((offset >> 4) & 7)
            case 0x280: return errorStatus
            case 0x300: return UInt32(truncatingIfNeeded: interruptCommand)
            case 0x310: return UInt32(truncatingIfNeeded: interruptCommand >> 32)
            case 0x320...0x370: return localVectors[Int((offset & 0xff0) &- 0x320) >> 4]
            case 0x380: return initialCount
            case 0x3e0: return divideConfiguration
            default: return 0
            }
        }

        /// The effect outside this APIC, and whether the timer has to be programmed anew.
        mutating func write(
            _ offset: UInt32, _ value: UInt32, source: VCPUIndex
        ) -> (Effect, Bool) {
            switch offset & 0xff0 {
            case 0x080: taskPriority = value & 0xff
            case 0x0b0:
                guard let vector = inService.highest else { return (.none, false) }
                inService.remove(vector)
                if triggerMode.contains(vector) { return (.endOfInterrupt(vector: vector), false) }
            case 0x0d0: logicalDestination = value & 0xff00_0000
            case 0x0e0: destinationFormat = value | 0x0fff_ffff
            case 0x0f0:
                spurious = value & 0x1ff
                if spurious & 0x100 == 0 {
                    for index in localVectors.indices { localVectors[index] |= 0x1_0000 }
                }
            case 0x280: errorStatus = 0
            case 0x300:
                interruptCommand =
                    interruptCommand & 0xffff_ffff_0000_0000 | UInt64(value & ~0x1000)
                return (
                    .command(Command(value: interruptCommand, isX2: false, source: source)), false
                )
            case 0x310:
                interruptCommand = interruptCommand & 0xffff_ffff | UInt64(value) << 32
            case 0x320...0x370:
                let entry = Int((offset & 0xff0) &- 0x320) >> 4
                let old = timerMode
                var new = value & (entry == Self.timerEntry ? 0x7_00ff : 0x1_a7ff)
                if !isSoftwareEnabled { new |= 0x1_0000 }
                localVectors[entry] = new
                return (
                    .none,
                    entry == Self.timerEntry && old != timerMode
                        && (old == .deadline || timerMode == .deadline)
                )
            case 0x380:
                if timerMode == .deadline { return (.none, false) }
                initialCount = value
                return (.none, true)
            case 0x3e0:
                divideConfiguration = value & 0xb
                return (.none, initialCount != 0)
            default: break
            }
            return (.none, false)
        }
    }
}
