/// One redirection entry of the I/O APIC, with the level of its line (82093AA, 3.2.4).
struct RedirectionEntry: Sendable {
    /// Masked at power-up: vector 7:0, delivery mode 10:8, logical 11, delivery status 12
    /// (read-only; delivery takes no time here), active low 13, remote IRR 14 (read-only), level 15,
    /// mask 16, destination 63:56.
    var bits = masked
    var asserted = false
    var counters = IOAPIC.Counters()

    static let remoteRequestBit: UInt64 = 1 << 14
    static let level: UInt64 = 1 << 15
    static let masked: UInt64 = 1 << 16
    static let writableLow: UInt64 = 0x1_afff
    static let writableHigh: UInt64 = 0xff00_0000 << 32

    var vector: UInt8 { UInt8(truncatingIfNeeded: bits) }
    /// A level that was sent waits for its end.
    var remoteRequest: Bool { bits & Self.remoteRequestBit != 0 }

    /// The message the line sends now, if any; a level-triggered one waits for its EOI.
    mutating func evaluate(edge: Bool) -> IOAPIC.Message? {
        if bits & Self.masked != 0 {
            if edge { counters.maskedEdges &+= 1 }
            return nil
        }
        // Only fixed and lowest priority know levels; the others are edges.
        let mode = UInt8(truncatingIfNeeded: bits >> 8) & 7
        let isLevel = bits & Self.level != 0 && mode <= 1
        if isLevel {
            if !asserted || remoteRequest { return nil }
            bits |= Self.remoteRequestBit
        } else if !edge {
            return nil
        }
        counters.messages &+= 1
        return IOAPIC.Message(
            vector: vector, deliveryMode: mode, isLogical: bits & (1 << 11) != 0,
            isLevel: isLevel, destination: UInt8(truncatingIfNeeded: bits >> 56))
    }

    /// True if the entry waited for the end of `vector`.
    mutating func endInterrupt(_ vector: UInt8) -> Bool {
        guard self.vector == vector, remoteRequest else { return false }
        bits &= ~Self.remoteRequestBit
        return true
    }

    mutating func writeLow(_ value: UInt32) {
        var low = UInt64(value) & Self.writableLow | bits & Self.remoteRequestBit
        // Guests without the EOI register end an interrupt by a turn to edge and back.
        if low & Self.level == 0 { low &= ~Self.remoteRequestBit }
        bits = bits & 0xffff_ffff_0000_0000 | low
    }

    mutating func writeHigh(_ value: UInt32) {
        bits = bits & 0xffff_ffff | UInt64(value) << 32 & Self.writableHigh
    }
}
