internal import HostIO

/// The I/O APIC: 24 lines, each with an entry that says where its interrupt goes (Intel 82093AA).
///
/// Owner: `InterruptController`. Any thread.
public final class IOAPIC: Sendable {
    public static let lineCount = 24

    /// An interrupt that leaves the I/O APIC.
    public struct Message: Sendable, Equatable {
        public var vector: UInt8
        /// 0 fixed, 1 lowest priority, 4 NMI, 5 INIT, 7 external.
        public var deliveryMode: UInt8
        public var isLogical: Bool
        public var isLevel: Bool
        public var destination: UInt8
    }

    private struct State {
        var select: UInt32 = 0
        var identifier: UInt32 = 0
        /// Masked at power-up.
        var entries = [UInt64](repeating: 1 << 16, count: lineCount)
        var asserted = [Bool](repeating: false, count: lineCount)

        static let remoteRequest: UInt64 = 1 << 14
        static let masked: UInt64 = 1 << 16
        static let level: UInt64 = 1 << 15

        /// The message line `line` sends now, if any; a level-triggered one waits for its EOI.
        mutating func evaluate(_ line: Int, edge: Bool) -> Message? {
            let entry = entries[line]
            if entry & Self.masked != 0 { return nil }
            if entry & Self.level != 0 {
                if !asserted[line] || entry & Self.remoteRequest != 0 { return nil }
                entries[line] |= Self.remoteRequest
            } else if !edge {
                return nil
            }
            return Message(
                vector: UInt8(truncatingIfNeeded: entry),
                deliveryMode: UInt8(truncatingIfNeeded: entry >> 8) & 7,
                isLogical: entry & (1 << 11) != 0, isLevel: entry & Self.level != 0,
                destination: UInt8(truncatingIfNeeded: entry >> 56))
        }
    }

    private let state = RankedLock(State(), owner: "ioapic", rank: .ioAPIC)
    private let send: @Sendable (Message) -> Void

    public init(send: @escaping @Sendable (Message) -> Void) { self.send = send }

    /// Sets the level of a line; a rising edge or an asserted level sends its message.
    public func setLine(_ line: Int, asserted: Bool) {
        guard line >= 0, line < Self.lineCount else { return }
        let message = state.withLock { state -> Message? in
            let rises = asserted && !state.asserted[line]
            state.asserted[line] = asserted
            return asserted ? state.evaluate(line, edge: rises) : nil
        }
        if let message { send(message) }
    }

    /// A local APIC has ended a level-triggered interrupt.
    public func endOfInterrupt(vector: UInt8) {
        let messages = state.withLock { state -> [Message] in
            var again: [Message] = []
            for line in 0..<Self.lineCount
            where UInt8(truncatingIfNeeded: state.entries[line]) == vector
                && state.entries[line] & State.remoteRequest != 0
            {
                state.entries[line] &= ~State.remoteRequest
                if let message = state.evaluate(line, edge: false) { again.append(message) }
            }
            return again
        }
        for message in messages { send(message) }
    }

    /// A register access at `offset` of the page.
    public func read(_ offset: UInt64) -> UInt32 {
        state.withLock { state in
            switch offset & 0xff {
            case 0x00: return state.select
            case 0x10: break
            default: return 0
            }
            switch state.select {
            case 0, 2: return state.identifier << 24
            case 1: return 0x17_0020
            case 0x10...0x3f:
                let entry = state.entries[Int(state.select - 0x10) / 2]
                return UInt32(truncatingIfNeeded: state.select & 1 == 0 ? entry : entry >> 32)
            default: return 0
            }
        }
    }

    public func write(_ offset: UInt64, _ value: UInt32) {
        if offset & 0xff == 0x40 {
            endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
            return
        }
        let message = state.withLock { state -> Message? in
            if offset & 0xff == 0 {
                state.select = value & 0xff
                return nil
            }
            guard offset & 0xff == 0x10 else { return nil }
            if state.select == 0 { state.identifier = (value >> 24) & 0xf }
            guard state.select >= 0x10, state.select <= 0x3f else { return nil }
            let line = Int(state.select - 0x10) / 2
            let old = state.entries[line]
            if state.select & 1 == 0 {
                let readOnly: UInt64 = 0x5000
                var low = UInt64(value) & 0x1_afff | old & readOnly
                if low & State.level == 0 { low &= ~State.remoteRequest }
                state.entries[line] = old & 0xffff_ffff_0000_0000 | low
            } else {
                state.entries[line] = old & 0xffff_ffff | UInt64(value & 0xff00_0000) << 32
            }
            return state.evaluate(line, edge: false)
        }
        if let message { send(message) }
    }
}
