internal import HostIO
public import Vocabulary

extension ACPIPower {
    public struct State: Codable, Sendable, Equatable {
        /// PM1 status, enable and control registers.
        public var status: UInt16
        public var enable: UInt16
        public var control: UInt16
        /// What the PM timer showed.
        public var timer: UInt64
    }

    public func captureState() -> State {
        let ticks = ticks
        return registers.withLock {
            State(
                status: $0.status, enable: $0.enable, control: $0.control,
                timer: ticks &+ $0.timerOffset)
        }
    }

    public func restore(_ state: State) throws(XError) {
        let ticks = ticks
        registers.withLock { registers in
            registers.status = state.status
            registers.enable = state.enable
            registers.control = state.control
            registers.timerOffset = state.timer &- ticks
            announce(registers)
        }
    }
}
