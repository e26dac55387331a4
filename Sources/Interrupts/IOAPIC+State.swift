internal import HostIO
internal import Synchronization
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
        let entries = lines.map { line in line.entry.withLock { ($0.bits, $0.asserted) } }
        return State(
            select: select.load(ordering: .relaxed),
            identifier: identifier.load(ordering: .relaxed), entries: entries.map(\.0),
            asserted: entries.map(\.1))
    }

    /// Sends nothing: what a level had sent is in a local APIC's state.
    public func restore(_ state: State) throws(XError) {
        guard state.entries.count == Self.lineCount, state.asserted.count == Self.lineCount else {
            throw XError(
                .invalidFormat,
                "the state of \(name) is damaged: \(state.entries.count) entries, not "
                    + "\(Self.lineCount)")
        }
        select.store(state.select & 0xff, ordering: .relaxed)
        identifier.store(state.identifier & 0xf, ordering: .relaxed)
        for (line, (bits, asserted)) in zip(lines, zip(state.entries, state.asserted)) {
            line.entry.withLock { entry in
                entry.bits = bits
                entry.asserted = asserted
                line.publish(entry)
            }
        }
    }
}
