public import Vocabulary

extension TimeStampCounter {
    public struct State: Codable, Sendable, Equatable {
        /// In hertz.
        public var frequency: UInt64
        /// What the guest's counter showed.
        public var value: UInt64
    }

    /// Difference of frequencies that a guest's clocks bear, in millionths.
    static let tolerance: UInt64 = 250

    public func captureState() -> State { State(frequency: frequency, value: now) }

    /// The counter goes on from what it showed. A host of another frequency cannot take it.
    public func restore(_ state: State) throws(XError) {
        let difference = max(state.frequency, frequency) &- min(state.frequency, frequency)
        guard difference <= frequency / 1_000_000 &* Self.tolerance else {
            throw XError(
                .unsupported,
                "the guest's time-stamp counter runs at \(state.frequency) Hz and this host's at "
                    + "\(frequency) Hz: restore it on a host of the same kind")
        }
        start(at: state.value)
    }
}
