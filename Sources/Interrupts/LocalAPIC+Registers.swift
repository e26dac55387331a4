internal import VirtualCPU
internal import Vocabulary

extension LocalAPIC {
    /// The register file (SDM volume 3, table 11-1) without the requests.
    struct Registers: Sendable {
        enum TimerMode { case oneShot, periodic, deadline }

        static let timerEntry = 0
        static let performanceEntry = 2
        static let errorEntry = 5
        static let masked: UInt32 = 1 << 16
        static let remoteRequest: UInt32 = 1 << 14
        /// Writable bits: timer, thermal, performance, LINT0, LINT1, error.
        static let entryMasks: [UInt32] = [
            0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff,
        ]

        let identifier: UInt32
        var base: UInt64
        var taskPriority: UInt32 = 0
        var logicalDestination: UInt32 = 0
        var destinationFormat: UInt32 = .max
        var spurious: UInt32 = 0xff
        var inService = VectorSet()
        /// MSR_KVM_PV_EOI_EN.
        var endOfInterruptWord: UInt64 = 0
        /// The guest may end the highest in service by clearing bit 0 of that word.
        var endIsOffered = false
        var errorStatus: UInt32 = 0
        var interruptCommand: UInt64 = 0
        /// Timer, thermal, performance, LINT0, LINT1, error.
        var localVectors = [UInt32](repeating: masked, count: 6)
        /// Level of the local inputs: bit `LocalInput.rawValue`.
        var inputs: UInt32 = 0
        var initialCount: UInt32 = 0
        var divideConfiguration: UInt32 = 0
        var timerStart: UInt64 = 0
        var timerDeadline: UInt64 = 0
        /// IA32_TSC_ADJUST: not a register of the APIC, but its deadlines are the counter's.
        var counterAdjustment: UInt64 = 0
        /// The count has come to 0 as a one-shot and stands, whatever the mode is by now.
        var timerHasFired = false

        init(identifier: UInt32) {
            self.identifier = identifier
            base = 0xfee0_0800 | (identifier == 0 ? 0x100 : 0)
        }

        var isX2: Bool { base & 0xc00 == 0xc00 }
        var isEnabled: Bool { base & 0x800 != 0 }
        var isSoftwareEnabled: Bool { isEnabled && spurious & 0x100 != 0 }

        var address: LocalAPICAddress {
            LocalAPICAddress(
                logicalDestination: logicalDestination, processorPriority: processorPriority,
                isEnabled: isEnabled, isX2: isX2, isSoftwareEnabled: isSoftwareEnabled,
                isFlat: destinationFormat >> 28 == 0xf, endIsOffered: endIsOffered)
        }

        /// The state after INIT. Levels of inputs and the counter are outside and stay.
        mutating func initialize() {
            let (identifier, base, inputs) = (identifier, base, inputs)
            let counterAdjustment = counterAdjustment
            self = Registers(identifier: identifier)
            self.counterAdjustment = counterAdjustment
            self.base = base
            self.inputs = inputs
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

        /// False: #GP. Transitions of SDM volume 3, figure 11-27.
        mutating func setBase(_ value: UInt64) -> Bool {
            if value & ~0x0000_3fff_ffff_fd00 != 0 { return false }
            let old = base & 0xc00
            let new = value & 0xc00
            if new == 0x400 || old == 0xc00 && new == 0x800 || old == 0 && new == 0xc00 {
                return false
            }
            base = value
            if new == 0 { initialize() }
            if isX2, old != 0xc00 {
                setX2LogicalDestination()
                interruptCommand &= 0xffff_ffff
            }
            return true
        }

        // MARK: Local inputs

        mutating func setInput(_ input: LocalInput, asserted: Bool) -> LocalDelivery? {
            let bit: UInt32 = 1 << UInt32(input.rawValue)
            let rises = asserted && inputs & bit == 0
            inputs = asserted ? inputs | bit : inputs & ~bit
            return asserted ? signal(input.rawValue, edge: rises) : nil
        }

        /// LINT0 may be level-triggered in fixed mode; LINT1 and the others are edges.
        private func isLevel(_ entry: Int) -> Bool {
            entry == LocalInput.lint0.rawValue && localVectors[entry] & 0x8700 == 0x8000
        }

        private mutating func signal(_ entry: Int, edge: Bool) -> LocalDelivery? {
            let value = localVectors[entry]
            if value & Self.masked != 0 { return nil }
            if isLevel(entry) {
                if value & Self.remoteRequest != 0 { return nil }
                localVectors[entry] |= Self.remoteRequest
            } else if !edge {
                return nil
            }
            // A performance interrupt masks its entry.
            if entry == Self.performanceEntry { localVectors[entry] |= Self.masked }
            return LocalDelivery(
                mode: UInt8(truncatingIfNeeded: value >> 8) & 7,
                vector: UInt8(truncatingIfNeeded: value), isLevel: isLevel(entry))
        }

        /// The end of a level-triggered interrupt of LINT0.
        private mutating func endLocalInterrupt(_ vector: UInt8) -> LocalDelivery? {
            let entry = LocalInput.lint0.rawValue
            guard localVectors[entry] & Self.remoteRequest != 0,
                UInt8(truncatingIfNeeded: localVectors[entry]) == vector
            else { return nil }
            localVectors[entry] &= ~Self.remoteRequest
            return inputs & 1 << UInt32(entry) != 0 ? signal(entry, edge: false) : nil
        }

        // MARK: Registers

        static func isKnown(_ offset: UInt32) -> Bool {
            switch offset {
            case 0x020, 0x030, 0x080, 0x0a0, 0x0b0, 0x0d0, 0x0e0, 0x0f0, 0x100...0x280,
                0x300...0x390, 0x3e0:
                true
            default: false
            }
        }

        /// Bits that WRMSR may set in an x2APIC register; nil: not writable there.
        static func writableX2(_ offset: UInt32) -> UInt32? {
            switch offset {
            case 0x080: 0xff
            case 0x0b0, 0x280: 0
            case 0x0f0: 0x3ff
            // The status bits are read-only and written as anything.
            case 0x320: 0x7_10ff
            case 0x330, 0x340: 0x1_17ff
            case 0x350, 0x360: 0x1_f7ff
            case 0x370: 0x1_10ff
            case 0x380: .max
            case 0x3e0: 0xb
            default: nil
            }
        }

        /// The requests and triggers are the APIC's.
        func read(_ offset: UInt32) -> UInt32 {
            switch offset & 0xff0 {
            case 0x020: return isX2 ? identifier : identifier << 24
            // Version 0x14, six entries in the local vector table.
            case 0x030: return 0x0005_0014
            case 0x080: return taskPriority
            case 0x0a0: return UInt32(processorPriority)
            case 0x0d0: return logicalDestination
            case 0x0e0: return destinationFormat
            case 0x0f0: return spurious
            case 0x100...0x170: return inService.register((offset >> 4) & 7)
            case 0x280: return errorStatus
            case 0x300: return UInt32(truncatingIfNeeded: interruptCommand)
            case 0x310: return UInt32(truncatingIfNeeded: interruptCommand >> 32)
            case 0x320...0x370: return localVectors[Int((offset & 0xff0) &- 0x320) >> 4]
            case 0x380: return initialCount
            case 0x3e0: return divideConfiguration
            default: return 0
            }
        }

        /// What a write brings about outside the registers.
        struct Consequence {
            var effect = Effect.none
            /// The timer has to be programmed anew.
            var timer = false
            var delivery: LocalDelivery?
        }

        /// - Parameter isLevelTriggered: the trigger mode register has the vector.
        mutating func write(
            _ offset: UInt32, _ value: UInt32, source: VCPUIndex,
            isLevelTriggered: (UInt8) -> Bool
        ) -> Consequence {
            var result = Consequence()
            switch offset & 0xff0 {
            case 0x080: taskPriority = value & 0xff
            case 0x0b0:
                guard let vector = inService.highest else { break }
                inService.remove(vector)
                if isLevelTriggered(vector) {
                    result.effect = .endOfInterrupt(vector: vector)
                    result.delivery = endLocalInterrupt(vector)
                }
            case 0x0d0: if !isX2 { logicalDestination = value & 0xff00_0000 }
            case 0x0e0: if !isX2 { destinationFormat = value | 0x0fff_ffff }
            case 0x0f0:
                spurious = value & 0x3ff
                if spurious & 0x100 == 0 {
                    for index in localVectors.indices { localVectors[index] |= Self.masked }
                }
            case 0x300:
                interruptCommand =
                    interruptCommand & 0xffff_ffff_0000_0000 | UInt64(value & 0xc_cfff)
                result.effect = .command(
                    Command(value: interruptCommand, isX2: false, source: source))
            case 0x310:
                interruptCommand = interruptCommand & 0xffff_ffff | UInt64(value) << 32
            case 0x320...0x370: result = writeEntry(Int((offset & 0xff0) &- 0x320) >> 4, value)
            case 0x380:
                if timerMode == .deadline { break }
                initialCount = value
                result.timer = true
            case 0x3e0:
                divideConfiguration = value & 0xb
                result.timer = initialCount != 0
            default: break
            }
            return result
        }

        private mutating func writeEntry(_ entry: Int, _ value: UInt32) -> Consequence {
            var result = Consequence()
            guard entry < localVectors.count else { return result }
            let oldMode = timerMode
            var new = value & Self.entryMasks[entry]
            if !isSoftwareEnabled { new |= Self.masked }
            if new & 0x8000 != 0 { new |= localVectors[entry] & Self.remoteRequest }
            localVectors[entry] = new
            if entry == Self.timerEntry {
                result.timer = oldMode != timerMode
            } else if inputs & 1 << UInt32(entry) != 0 {
                // A level that waited behind the mask.
                result.delivery = signal(entry, edge: false)
            }
            return result
        }
    }
}
