internal import HostIO
public import Vocabulary

/// Writes what happens in a machine to a file that Perfetto (ui.perfetto.dev) opens: rows for vCPUs
/// and for threads, with schedule, yield, interrupt and exit events.
///
/// Memory is bounded: each track has a ring, and one thread streams them to the file, which is
/// valid JSON after every write. Any thread.
public final class TraceRecorder: Sendable {
    /// Rows that are shown together.
    public enum Group: Int, Sendable, CaseIterable {
        case vcpus = 1
        case threads = 2

        var title: String { self == .vcpus ? "vCPUs" : "host threads" }
    }

    private let tracks: TraceTracks
    private let thread: HostThread
    private let file: TraceFile

    /// Makes the file and starts the thread that writes it.
    ///
    /// - Throws: `XError` if the host lets us write no such file, or it is none that can be written
    ///   in place.
    public init(path: String) throws(XError) {
        let (file, tracks) = (try TraceFile(path: path), TraceTracks())
        self.file = file
        self.tracks = tracks
        thread = try HostThread.spawn(name: "trace") { tracks.stream(to: file) }
    }

    /// A new row, named as the host's tools name the thread. Cheap enough for each vCPU and thread
    /// once, not for more.
    public func makeTrack(_ group: Group, name: String) -> TraceTrack {
        TraceTrack(ring: tracks.make(group, name))
    }

    /// Makes `text` known, so that an event can name it by number.
    public func makeLabel(_ text: String) -> TraceLabel { tracks.label(text) }

    /// Writes what is recorded and closes the file. Once; what is recorded later is lost.
    ///
    /// - Throws: why the file is not complete.
    public func close() throws(XError) {
        tracks.stop()
        thread.join()
        if let failure = file.failure { throw failure }
    }
}
