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
        /// Asynchronous page faults of each vCPU; nil in snapshots from before there were any.
        public var asyncFaults: [AsyncFaults]?

        /// MSR_KVM_ASYNC_PF_ACK has no value. Which faults are outstanding is not kept: after a
        /// restore everybody who waits is woken.
        public struct AsyncFaults: Codable, Sendable, Equatable {
            /// MSR_KVM_ASYNC_PF_EN.
            public var enable: UInt64
            /// MSR_KVM_ASYNC_PF_INT.
            public var interrupt: UInt64
            /// Bits 31:12 of the next token: a guest may still have tasks that wait on old ones.
            public var nextIdentifier: UInt32
        }
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
                isKicked: processors.map { $0.isKicked.load(ordering: .sequentiallyConsistent) },
                asyncFaults: processors.map { own in
                    State.AsyncFaults(
                        enable: own.asyncFaultEnable.load(ordering: .relaxed),
                        interrupt: own.asyncFaultInterrupt.load(ordering: .relaxed),
                        nextIdentifier: own.asyncFaults.withLock { $0.nextIdentifier })
                })
        }
    }

    /// The clock goes on from what it showed. Memory and the time-stamp counter have been restored
    /// before. Each vCPU has to look at `readyPageVector` then.
    public func restore(_ state: State) throws(XError) {
        let refusal = registers.withLock { registers -> XError? in
            guard state.systemTime.count == registers.systemTime.count,
                state.counterAdjustments.count == state.systemTime.count,
                state.stealTime.count == processors.count,
                state.pollControl.count == processors.count,
                state.isKicked.count == processors.count,
                (state.asyncFaults ?? []).count == (state.asyncFaults == nil ? 0 : processors.count)
            else {
                return XError(
                    .invalidFormat,
                    "the state of \(name) is for \(state.systemTime.count) vCPUs, the machine has "
                        + "\(registers.systemTime.count)")
            }
            for faults in state.asyncFaults ?? []
            where !isAsyncFaultEnable(faults.enable) || faults.interrupt >> 8 != 0 {
                return XError(
                    .invalidFormat,
                    "the state of \(name) has registers for asynchronous page faults that no guest "
                        + "can write: \(faults.enable), \(faults.interrupt)")
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
                restore(own, state.asyncFaults?[slot])
            }
            for slot in state.systemTime.indices {
                publishSystemTime(slot, flags: ClockPage.stopped, &registers)
            }
            if state.wallClock != 0 { publishWallClock(state.wallClock, registers) }
            return nil
        }
        if let refusal { throw refusal }
    }

    /// No old token is told: the pages that they were for are asked for anew by whoever is woken.
    private func restore(_ own: ProcessorFace, _ state: State.AsyncFaults?) {
        dropAsyncFaults(own)
        own.asyncFaultEnable.store(state?.enable ?? 0, ordering: .relaxed)
        own.asyncFaultInterrupt.store(state?.interrupt ?? 0, ordering: .relaxed)
        guard let state else { return }
        own.asyncFaults.withLock { $0.goOn(from: state.nextIdentifier) }
        if AsyncFaultRegister.isEnabled(state.enable) { wakeAll(own) }
    }
}
