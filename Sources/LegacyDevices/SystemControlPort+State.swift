internal import Synchronization
public import Vocabulary

extension SystemControlPort {
    /// Bits 3:1. The gate is in the timer's state.
    public struct State: Codable, Sendable, Equatable {
        public var control: UInt8
    }

    public func captureState() -> State { State(control: control.load(ordering: .relaxed)) }

    public func restore(_ state: State) throws(XError) {
        control.store(state.control & 0xe, ordering: .relaxed)
    }
}
