internal import Glibc

/// One row of the trace: a vCPU, a worker or another thread. A value; recording on one that is off
/// is a branch.
///
/// Any thread may record on a track; slices of one track should nest, as Perfetto draws them.
@frozen public struct TraceTrack: Sendable {
    @usableFromInline let ring: TraceRing?

    @usableFromInline init(ring: TraceRing?) { self.ring = ring }

    /// Records nothing.
    public static let off = TraceTrack(ring: nil)

    /// Something is recorded here.
    @inlinable public var isOn: Bool { ring != nil }

    /// Nanoseconds of CLOCK_MONOTONIC, or 0 if the track is off: the start of a slice to come.
    @inlinable public var now: UInt64 { ring == nil ? 0 : traceClock() }

    /// Records `event`. No lock, no allocation; when the writer is behind, it is counted as lost.
    @inlinable public func record(_ event: @autoclosure () -> TraceEvent) {
        guard let ring else { return }
        ring.record(event())
    }
}

/// Nanoseconds of CLOCK_MONOTONIC.
@usableFromInline func traceClock() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
