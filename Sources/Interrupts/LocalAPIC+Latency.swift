internal import HostIO
public import Trace
internal import Vocabulary

extension LocalAPIC {
    /// Where a trace shows the interrupts that the vCPU takes into service.
    public struct Tracing: Sendable {
        public var track: TraceTrack
        /// What a source is called.
        public var label: @Sendable (InterruptSource) -> TraceLabel

        /// Nowhere.
        public init() {
            track = TraceTrack.off
            label = { _ in TraceLabel.none }
        }

        public init(
            track: TraceTrack, label: @escaping @Sendable (InterruptSource) -> TraceLabel
        ) {
            self.track = track
            self.label = label
        }
    }

    /// What is remembered of the interrupts of one vCPU that were taken into service.
    ///
    /// Owner: the local APIC. Touched with the lock of its registers held, which `acknowledge` has
    /// anyway: recording takes no lock of its own.
    final class LatencyRecord: @unchecked Sendable {
        private let trace: Tracing
        fileprivate var latencies = InterruptLatencies()

        init(_ trace: Tracing) { self.trace = trace }

        func add(_ vector: UInt8, _ stamps: InterruptStamps, _ timing: Timing) {
            guard let stamp = stamps.take(vector, now: timing.now) else { return }
            latencies.record(stamp.source, stamp.nanoseconds)
            guard trace.track.isOn else { return }
            trace.track.record(
                .instant(
                    "interrupt", .interrupt, at: stamp.now.nanoseconds,
                    TraceArgument("source", trace.label(stamp.source)),
                    TraceArgument("latency", stamp.nanoseconds)))
        }
    }

    /// How long the interrupts of this vCPU took so far. Any thread; the vCPU may wait meanwhile.
    public func addLatencies(to sum: inout InterruptLatencies) {
        registers.withLock { _ in sum.add(record.latencies) }
    }
}
