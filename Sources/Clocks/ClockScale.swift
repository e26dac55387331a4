/// How ticks of a counter become nanoseconds: ((ticks << shift) * multiplier) >> 32, as pvclock has
/// it (a negative shift is one to the right).
public struct ClockScale: Codable, Sendable, Equatable {
    public var multiplier: UInt32
    public var shift: Int8

    /// The multiplier has its highest bit set, so it is right to half of 2^-31.
    ///
    /// - Parameter frequency: in hertz, at least 1.
    public init(frequency: UInt64) {
        // 10^9 * 2^(32 - shift) / frequency is in 2^31 ..< 2^32.
        var shift = 0
        while let wide = Self.multiplier(frequency, shift), wide < 1 << 31, shift > -31 {
            shift -= 1
        }
        while Self.multiplier(frequency, shift).map({ $0 >> 32 != 0 }) ?? true, shift < 31 {
            shift += 1
        }
        multiplier = UInt32(clamping: Self.multiplier(frequency, shift) ?? .max)
        self.shift = Int8(shift)
    }

    /// 10^9 * 2^(32 - shift) / frequency, rounded; nil beyond 64 bits.
    private static func multiplier(_ frequency: UInt64, _ shift: Int) -> UInt64? {
        let (high, low) = UInt64(1_000_000_000).multipliedFullWidth(by: 1 << UInt64(32 - shift))
        guard high < frequency else { return nil }
        let (quotient, remainder) = frequency.dividingFullWidth((high, low))
        return remainder >= frequency - remainder ? quotient &+ 1 : quotient
    }

    /// What a guest makes of `ticks`.
    public func nanoseconds(_ ticks: UInt64) -> UInt64 {
        let shifted = shift < 0 ? ticks >> UInt64(-Int(shift)) : ticks << UInt64(shift)
        let (high, low) = shifted.multipliedFullWidth(by: UInt64(multiplier))
        return high << 32 | low >> 32
    }
}
