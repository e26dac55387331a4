public import Vocabulary

extension KeyboardController {
    /// The controller keeps nothing.
    public struct State: Codable, Sendable, Equatable {}

    public func captureState() -> State { State() }
    public func restore(_ state: State) throws(XError) {}
}
