internal import CEngine

/// Instructions that cross into the next page, lowered: they are not kept in blocks, and come again in
/// every round of the guest's loops. Found by their bytes, so that no change of them is missed.
struct TransientInstructions {
    @safe
    private struct Entry {
        /// Fifteen, of both pages.
        var bytes: (UInt64, UInt64)
        var linear: UInt64
        var mode: UInt32
        var lowered: DecodedInstruction
    }

    private static let count = 64
    private var entries = [Entry?](repeating: nil, count: count)

    /// The bits of the page choose the place.
    private static func place(_ linear: UInt64) -> Int {
        Int(truncatingIfNeeded: (linear &>> 12) ^ (linear &>> 18)) & (count &- 1)
    }

    private func entry(_ linear: UInt64, _ mode: UInt32) -> Entry? {
        guard let entry = entries[Self.place(linear)], entry.linear == linear, entry.mode == mode
        else { return nil }
        return entry
    }

    /// The bytes at the end of the page, `room` of them, are the start of an instruction kept here.
    func cross(_ bytes: (UInt64, UInt64), room: Int, _ linear: UInt64, _ mode: UInt32) -> Bool {
        guard room < 15, let entry = entry(linear, mode) else { return false }
        let bits = UInt64(room &* 8)
        let low: UInt64 = room < 8 ? (1 &<< bits) &- 1 : .max
        let high: UInt64 = room <= 8 ? 0 : (1 &<< (bits &- 64)) &- 1
        return (entry.bytes.0 ^ bytes.0) & low == 0 && (entry.bytes.1 ^ bytes.1) & high == 0
    }

    func find(_ bytes: (UInt64, UInt64), _ linear: UInt64, _ mode: UInt32) -> DecodedInstruction? {
        guard let entry = entry(linear, mode), entry.bytes == bytes else { return nil }
        return unsafe entry.lowered
    }

    mutating func keep(
        _ lowered: DecodedInstruction, _ bytes: (UInt64, UInt64), _ linear: UInt64, _ mode: UInt32
    ) {
        entries[Self.place(linear)] = unsafe Entry(
            bytes: bytes, linear: linear, mode: mode, lowered: lowered)
    }
}
