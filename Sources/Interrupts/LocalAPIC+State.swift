internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import VirtualCPU
public import Vocabulary

extension LocalAPIC {
    /// The registers, the requests and what is left of the timer.
    public struct State: Codable, Sendable, Equatable {
        /// IA32_APIC_BASE.
        public var base: UInt64
        public var taskPriority: UInt32
        public var logicalDestination: UInt32
        public var destinationFormat: UInt32
        public var spurious: UInt32
        /// ISR, IRR and TMR: four words each, vector 0 first.
        public var inService: [UInt64]
        public var interruptRequest: [UInt64]
        public var triggerMode: [UInt64]
        public var errorStatus: UInt32
        /// Errors the next write of the error status register will show.
        public var newErrors: UInt32
        public var interruptCommand: UInt64
        /// Timer, thermal, performance, LINT0, LINT1, error.
        public var localVectors: [UInt32]
        /// Levels of the local inputs, bit n for entry n.
        public var inputs: UInt32
        public var initialCount: UInt32
        public var divideConfiguration: UInt32
        /// Nanoseconds since the count began.
        public var timerElapsed: UInt64
        /// The one-shot count has come to 0.
        public var timerHasFired: Bool
        /// IA32_TSC_DEADLINE, on the guest's counter.
        public var timerDeadline: UInt64
        /// IA32_TSC_ADJUST of the vCPU, which the deadline goes by.
        public var counterAdjustment: UInt64
        /// MSR_KVM_PV_EOI_EN.
        public var endOfInterruptWord: UInt64
        /// The guest may end the highest in service by that word, which is in its memory.
        public var endIsOffered: Bool
        /// INIT and start-up requests: bit 0, bit 1, vector in bits 15:8.
        public var startUps: UInt32
        /// An NMI waits for the vCPU.
        public var nonMaskableInterruptPending: Bool
    }

    public func captureState() -> State {
        let now = timing.now().nanoseconds
        return registers.withLock { registers in
            State(
                base: registers.base, taskPriority: registers.taskPriority,
                logicalDestination: registers.logicalDestination,
                destinationFormat: registers.destinationFormat, spurious: registers.spurious,
                inService: registers.inService.array, interruptRequest: requests.current.array,
                triggerMode: triggers.current.array, errorStatus: registers.errorStatus,
                newErrors: errors.load(ordering: .acquiring),
                interruptCommand: registers.interruptCommand,
                localVectors: registers.localVectors, inputs: registers.inputs,
                initialCount: registers.initialCount,
                divideConfiguration: registers.divideConfiguration,
                timerElapsed: now &- registers.timerStart,
                timerHasFired: registers.timerHasFired,
                timerDeadline: registers.timerDeadline,
                counterAdjustment: registers.counterAdjustment,
                endOfInterruptWord: registers.endOfInterruptWord,
                endIsOffered: registers.endIsOffered, startUps: startUps.bits,
                nonMaskableInterruptPending: pending.current.contains(.nonMaskableInterrupt))
        }
    }

    public func restore(_ state: State) throws(XError) {
        guard let inService = VectorSet(state.inService),
            let interruptRequest = VectorSet(state.interruptRequest),
            let triggerMode = VectorSet(state.triggerMode), state.localVectors.count == 6
        else {
            throw XError(.invalidFormat, "the state of \(name) is damaged: vectors are missing")
        }
        let word = state.endOfInterruptWord
        guard word & 1 == 0 || word & 2 == 0 && memory?.contains(word & ~1, 4) == true else {
            throw XError(
                .invalidFormat, "the state of \(name) is damaged: its memory is not there")
        }
        let now = timing.now().nanoseconds
        registers.withLock { registers in
            registers.endOfInterruptWord = word
            registers.endIsOffered = state.endIsOffered && word & 1 != 0
            registers.base = state.base
            registers.taskPriority = state.taskPriority & 0xff
            registers.logicalDestination = state.logicalDestination
            registers.destinationFormat = state.destinationFormat
            registers.spurious = state.spurious
            registers.inService = inService
            registers.errorStatus = state.errorStatus
            registers.interruptCommand = state.interruptCommand
            registers.localVectors = state.localVectors
            registers.inputs = state.inputs
            registers.initialCount = state.initialCount
            registers.divideConfiguration = state.divideConfiguration
            registers.timerStart = now &- state.timerElapsed
            registers.timerHasFired = state.timerHasFired
            registers.timerDeadline = state.timerDeadline
            registers.counterAdjustment = state.counterAdjustment
            requests.replace(interruptRequest)
            triggers.replace(triggerMode)
            errors.store(state.newErrors, ordering: .releasing)
            startUps.replace(state.startUps)
            publish(registers)
            setTimer(registers)
        }
        if state.nonMaskableInterruptPending { pending.raise(.nonMaskableInterrupt) }
        if state.startUps != 0 { pending.raise(.initialize) }
        announce()
    }
}
