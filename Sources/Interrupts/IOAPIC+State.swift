internal import HostIO
public import Vocabulary

extension IOAPIC {
    /// The registers and the levels of the lines.
    public struct State: Codable, Sendable, Equatable {
        public var select: UInt32
        public var identifier: UInt32
        /// 24 redirection entries.
        public var entries: [UInt64]
        /// 24 levels.
        public var asserted: [Bool]
    }

    public func captureState() -> State {
        registers.withLock {
            State(
                select: $0.select, identifier: $0.identifier, entries: $0.entries,
                asserted: $0.asserted)
        }
    }

    /// Sends nothing: what a level had sent is in a local APIC's state.
    public func restore(_ state: State) throws(XError) {
        guard state.entries.count == Self.lineCount, state.asserted.count == Self.lineCount else {
            throw XError(
                .invalidFormat,
                "the state of \(name) is damaged: \(state.entries.count) entries, not "
                    + "\(Self.lineCount)")
        }
        registers.withLock { registers in
            registers.select = state.select & 0xff
            registers.identifier = state.identifier & 0xf
            registers.entries = state.entries
            registers.asserted = state.asserted
        }
    }
}
