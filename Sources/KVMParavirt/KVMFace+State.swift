internal import Clocks
internal import HostIO
internal import Synchronization
public import Vocabulary

extension KVMFace {
    public struct State: Codable, Sendable, Equatable {
        /// The system-time register of each vCPU.
        public var systemTime: [UInt64]
        /// What each vCPU's time-stamp counter shows above the machine's, modulo 2^64.
        public var counterAdjustments: [UInt64]
        public var wallClock: UInt64
        /// What the machine's clock showed, in nanoseconds.
        public var nanoseconds: UInt64
        /// MSR_KVM_STEAL_TIME of each vCPU. The stolen time itself is in the guest's memory.
        public var stealTime: [UInt64]
        /// MSR_KVM_POLL_CONTROL of each vCPU.
        public var pollControl: [UInt64]
        /// The vCPU's next HLT does not halt.
        public var isKicked: [Bool]
    }

    /// The clock as guests compute it now.
    private func nanoseconds(_ registers: Registers) -> UInt64 {
        registers.origin.nanoseconds
            &+ registers.scale.nanoseconds(sample.counter &- registers.origin.counter)
    }

    public func captureState() -> State {
        registers.withLock {
            State(
                systemTime: $0.systemTime, counterAdjustments: $0.counterAdjustments,
                wallClock: $0.wallClock, nanoseconds: nanoseconds($0),
                stealTime: processors.map { $0.stealTime.load(ordering: .relaxed) },
                pollControl: processors.map { $0.pollControl.load(ordering: .relaxed) },
                isKicked: processors.map { $0.isKicked.load(ordering: .sequentiallyConsistent) })
        }
    }

    /// The clock goes on from what it showed. Memory and the time-stamp counter have been restored
    /// before.
    public func restore(_ state: State) throws(XError) {
        let refusal = registers.withLock { registers -> XError? in
            guard state.systemTime.count == registers.systemTime.count,
                state.counterAdjustments.count == state.systemTime.count,
                state.stealTime.count == processors.count,
                state.pollControl.count == processors.count,
                state.isKicked.count == processors.count
            else {
                return XError(
                    .invalidFormat,
                    "the state of \(name) is for \(state.systemTime.count) vCPUs, the machine has "
                        + "\(registers.systemTime.count)")
            }
            registers.systemTime = state.systemTime
            registers.counterAdjustments = state.counterAdjustments
            registers.wallClock = state.wallClock
            registers.origin = sample
            registers.origin.nanoseconds = state.nanoseconds
            // The areas are memory, which has been restored.
            for (slot, own) in processors.enumerated() {
                own.stealTime.store(state.stealTime[slot], ordering: .relaxed)
                own.pollControl.store(state.pollControl[slot] & 1, ordering: .relaxed)
                own.isKicked.store(state.isKicked[slot], ordering: .sequentiallyConsistent)
            }
            for slot in state.systemTime.indices {
                publishSystemTime(slot, flags: ClockPage.stopped, &registers)
            }
            if state.wallClock != 0 { publishWallClock(state.wallClock, registers) }
            return nil
        }
        if let refusal { throw refusal }
    }
}
