internal import HostIO
internal import Synchronization

/// The rings of a recorder, with the loop of the thread that empties them.
///
/// Owner: `TraceRecorder`. Any thread; `stream` is the writer's.
final class TraceTracks: Sendable {
    private struct Track {
        let ring: TraceRing
        let group: TraceRecorder.Group
        let name: String
    }

    private struct State {
        var tracks: [Track] = []
        var labels = ["none"]
    }

    /// The writer looks at the rings so often, in nanoseconds.
    private static let period: UInt64 = 20_000_000

    private let state = RankedLock(State(), owner: "trace", rank: .leaf)
    private let bell = SleepWord()
    private let isStopping = Atomic<Bool>(false)
    private let origin = traceClock()

    func make(_ group: TraceRecorder.Group, _ name: String) -> TraceRing {
        let ring = TraceRing { [bell] in bell.ring() }
        state.withLock { $0.tracks.append(Track(ring: ring, group: group, name: name)) }
        return ring
    }

    func label(_ text: String) -> TraceLabel {
        state.withLock { state in
            state.labels.append(text)
            return TraceLabel(number: UInt32(state.labels.count - 1))
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        bell.ring()
    }

    /// Empties the rings into `file` until `stop`, and once more then.
    func stream(to file: TraceFile) {
        for group in TraceRecorder.Group.allCases {
            file.append(
                TraceText(
                    metadata: "process_name", process: group.rawValue, thread: 0,
                    value: group.title
                ).bytes)
        }
        var named = 0
        while true {
            let rings = bell.rings
            let isLast = isStopping.load(ordering: .acquiring)
            let (tracks, labels) = state.withLock { ($0.tracks, $0.labels) }
            for index in named..<tracks.count { name(tracks[index], index + 1, file) }
            named = tracks.count
            for (index, track) in tracks.enumerated() { empty(track, index + 1, labels, file) }
            file.flush()
            if isLast { return }
            bell.wait(after: rings, until: traceClock() &+ Self.period)
        }
    }

    private func name(_ track: Track, _ number: Int, _ file: TraceFile) {
        let process = track.group.rawValue
        file.append(
            TraceText(
                metadata: "thread_name", process: process, thread: number, value: track.name
            ).bytes)
        file.append(TraceText(sortIndexOfProcess: process, thread: number).bytes)
    }

    /// What is in the ring now and no more: a guest that makes events faster than they are written
    /// keeps the writer from no other ring.
    private func empty(_ track: Track, _ number: Int, _ labels: [String], _ file: TraceFile) {
        func write(_ event: TraceEvent) {
            file.append(
                TraceText(
                    event, process: track.group.rawValue, thread: number, origin: origin,
                    labels: labels
                ).bytes)
        }
        for _ in 0..<TraceRing.capacity {
            guard let event = track.ring.take() else { break }
            write(event)
        }
        let lost = track.ring.takeDropped()
        if lost > 0 {
            write(
                .instant(
                    "events lost", .schedule, at: traceClock(), TraceArgument("count", lost)))
        }
    }
}
