internal import HostIO
public import Vocabulary

extension RealTimeClock {
    /// The registers and how far the guest's clock is ahead: it goes on with the host's time, as one
    /// with a battery does.
    public struct State: Codable, Sendable, Equatable {
        var registers: Registers
    }

    public func captureState() -> State { access { registers, _ in State(registers: registers) } }

    public func restore(_ state: State) throws(XError) {
        guard state.registers.memory.count == 128, state.registers.index < 128,
            state.registers.standing.map({ $0.count == 128 }) ?? true
        else { throw XError(.invalidFormat, "the state of \(name) is damaged") }
        registers.withLock { $0 = state.registers }
        announce(access { registers, _ in registers.isInterrupting })
    }
}
