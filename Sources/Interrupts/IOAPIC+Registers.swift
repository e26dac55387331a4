extension IOAPIC {
    /// The registers and the levels of the lines (82093AA, 3.0).
    struct Registers: Sendable {
        var select: UInt32 = 0
        var identifier: UInt32 = 0
        /// Redirection entries, masked at power-up: vector 7:0, delivery mode 10:8, logical 11,
        /// delivery status 12 (read-only; delivery takes no time here), active low 13, remote IRR
        /// 14 (read-only), level 15, mask 16, destination 63:56.
        var entries = [UInt64](repeating: masked, count: lineCount)
        var asserted = [Bool](repeating: false, count: lineCount)
        var counters = Counters()

        static let remoteRequest: UInt64 = 1 << 14
        static let level: UInt64 = 1 << 15
        static let masked: UInt64 = 1 << 16
        static let writableLow: UInt64 = 0x1_afff
        static let writableHigh: UInt64 = 0xff00_0000 << 32

        /// The message line `line` sends now, if any; a level-triggered one waits for its EOI.
        /// `line` is below `lineCount`.
        mutating func evaluate(_ line: Int, edge: Bool) -> Message? {
            let entry = entries[line]
            if entry & Self.masked != 0 {
                if edge { counters.maskedEdges &+= 1 }
                return nil
            }
            // Only fixed and lowest priority know levels; the others are edges.
            let mode = UInt8(truncatingIfNeeded: entry >> 8) & 7
            let isLevel = entry & Self.level != 0 && mode <= 1
            if isLevel {
                if !asserted[line] || entry & Self.remoteRequest != 0 { return nil }
                entries[line] |= Self.remoteRequest
            } else if !edge {
                return nil
            }
            counters.messages &+= 1
            return Message(
                vector: UInt8(truncatingIfNeeded: entry), deliveryMode: mode,
                isLogical: entry & (1 << 11) != 0, isLevel: isLevel,
                destination: UInt8(truncatingIfNeeded: entry >> 56))
        }

        /// True if the entry waited for the end of `vector`.
        mutating func endInterrupt(_ line: Int, _ vector: UInt8) -> Bool {
            guard UInt8(truncatingIfNeeded: entries[line]) == vector,
                entries[line] & Self.remoteRequest != 0
            else { return false }
            entries[line] &= ~Self.remoteRequest
            return true
        }

        func read(_ offset: UInt64) -> UInt32 {
            switch offset & 0xff {
            case 0x00: return select
            case 0x10: break
            default: return 0
            }
            switch select {
            // Identification and arbitration.
            case 0, 2: return identifier << 24
            // Version 0x20, 24 entries.
            case 1: return UInt32(IOAPIC.lineCount - 1) << 16 | 0x20
            case 0x10...0x3f:
                let entry = entries[Int(select - 0x10) / 2]
                return UInt32(truncatingIfNeeded: select & 1 == 0 ? entry : entry >> 32)
            default: return 0
            }
        }

        /// The line whose entry was written, if one was.
        mutating func write(_ offset: UInt64, _ value: UInt32) -> Int? {
            if offset & 0xff == 0 {
                select = value & 0xff
                return nil
            }
            guard offset & 0xff == 0x10 else { return nil }
            if select == 0 { identifier = (value >> 24) & 0xf }
            guard select >= 0x10, select <= 0x3f else { return nil }
            let line = Int(select - 0x10) / 2
            let old = entries[line]
            if select & 1 == 0 {
                var low = UInt64(value) & Self.writableLow | old & Self.remoteRequest
                // Guests without the EOI register end an interrupt by a turn to edge and back.
                if low & Self.level == 0 { low &= ~Self.remoteRequest }
                entries[line] = old & 0xffff_ffff_0000_0000 | low
            } else {
                entries[line] = old & 0xffff_ffff | UInt64(value) << 32 & Self.writableHigh
            }
            return line
        }
    }
}
