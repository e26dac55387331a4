internal import HostIO
internal import Interrupts
public import Vocabulary

extension UART {
    /// The registers, the received bytes that the guest has not read, and those on the wires.
    public struct State: Codable, Sendable, Equatable {
        var registers: Registers
    }

    public func captureState() -> State { State(registers: registers.withLock { $0 }) }

    public func restore(_ state: State) throws(XError) {
        guard state.registers.input.count <= Registers.inputCapacity,
            state.registers.arriving.count <= Registers.arrivingCapacity,
            state.registers.leaving.count <= Registers.leavingCapacity
        else {
            throw XError(.invalidFormat, "the state of \(name) is damaged: its FIFO is too full")
        }
        registers.withLock { registers in
            registers = state.registers
            announce(registers)
        }
        transmitter.signal()
        receiver.signal()
    }
}
