internal import Dispatch
internal import Glibc
internal import HostIO
internal import Synchronization
public import Vocabulary

/// A snapshot on an NBD server.
///
/// A server that stalls is waited for. One that is lost is connected to again, and what was asked is asked
/// again, until it has been away for too long. Whether its bytes are right is for checksums to say.
///
/// Any thread; as many reads go on at once as there are connections, one if the server does not say that it
/// may have several.
public final class RemoteSnapshot: SnapshotBytes {
    public struct Options: Sendable {
        /// Connections at most, if the server says it may have several: 1 or more.
        public var connectionCount = 4
        /// Nanoseconds that making a connection may take, the first answer included when the snapshot is opened.
        public var connectNanoseconds: UInt64 = 10_000_000_000
        /// Nanoseconds that a server may be away, from its last answer or the first trouble on, whichever
        /// is later. An address's `patience` goes before it.
        public var patienceNanoseconds: UInt64 = 60_000_000_000

        public init() {}
    }

    /// The address.
    public let name: String
    public let byteCount: UInt64
    private let uri: String
    private let options: Options
    private let patienceNanoseconds: UInt64
    /// Readable once nobody wants anything any more; nobody takes it.
    private let stopping: EventCounter
    private let isStopped = Atomic<Bool>(false)
    /// When the server last gave something, in nanoseconds of the monotonic clock.
    private let lastAnswer = Atomic<UInt64>(0)
    /// Places for connections that no thread has: those with one last.
    private let places = RankedLock([RemoteConnection?](), owner: "remote-snapshot", rank: .leaf)
    /// Counts `places`.
    private let free = DispatchSemaphore(value: 0)

    /// Pauses between attempts, in nanoseconds: the first, and the longest.
    private static let firstPause: UInt64 = 50_000_000
    private static let longestPause: UInt64 = 1_000_000_000

    /// Whether a text is the address of a snapshot on a server rather than a path: an NBD URI.
    public static func isAddress(_ text: String) -> Bool { SnapshotAddress.isOne(text) }

    /// Connects, and waits until the server has answered.
    ///
    /// - Parameter address: `nbd://HOST[:PORT]/[EXPORT]`, `nbd+unix:///[EXPORT]?socket=PATH`, or `nbds` with
    ///   TLS; `patience=SECONDS` among the parameters is for `Options.patienceNanoseconds`.
    /// - Throws: `XError`: it is no address, or nobody answers there in time.
    public init(_ address: String, _ options: Options = Options()) throws(XError) {
        let parsed = try SnapshotAddress(address)
        let stopping = try EventCounter()
        name = address
        uri = parsed.uri
        self.options = options
        patienceNanoseconds = parsed.patienceNanoseconds ?? options.patienceNanoseconds
        self.stopping = stopping
        let first: RemoteConnection
        do throws(RemoteTrouble) {
            first = try Self.firstConnection(parsed.uri, options, stopping)
        } catch {
            throw XError(
                .hostCall,
                "cannot connect to the snapshot '\(address)': \(error.text): is its server running, and "
                    + "does it take one more client?")
        }
        byteCount = first.byteCount
        let count = first.allowsSeveral ? max(1, options.connectionCount) : 1
        places.withLock { $0 = [RemoteConnection?](repeating: nil, count: count - 1) + [first] }
        for _ in 0..<count { free.signal() }
    }

    /// One that has answered: who waits for its start is told if nothing comes.
    private static func firstConnection(
        _ uri: String, _ options: Options, _ stopping: EventCounter
    ) throws(RemoteTrouble) -> RemoteConnection {
        let deadline = now &+ options.connectNanoseconds
        let first = try RemoteConnection(uri, until: deadline, stopping: stopping)
        let count = Int(min(first.byteCount, 512))
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        // The connection is closed before, if it is of no use.
        defer { unsafe bytes.deallocate() }
        try unsafe first.read(at: 0, into: bytes, until: deadline)
        return first
    }

    /// Ends all waiting for the server: reads that go on throw, and so do all later ones. Any thread.
    public func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        stopping.signal()
    }

    public func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(XError) {
        guard offset <= byteCount, UInt64(buffer.count) <= byteCount - offset else {
            throw XError(
                .invalidFormat,
                "the snapshot '\(name)' ends at byte \(byteCount), where more should be: it was "
                    + "truncated; take another copy")
        }
        var done = 0
        var trouble = Trouble()
        while done < buffer.count {
            let start = offset + UInt64(done)
            do throws(RemoteTrouble) {
                done += try unsafe readSome(
                    at: start, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]),
                    trouble)
                trouble = Trouble()
            } catch {
                try wait(after: error, at: start, &trouble)
            }
        }
    }

    /// Asks once for as many bytes as one answer may have. How many came.
    private func readSome(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, _ trouble: Trouble
    ) throws(RemoteTrouble) -> Int {
        free.wait()
        var place = places.withLock { $0.popLast() } ?? nil
        defer { give(place) }
        if isStopped.load(ordering: .sequentiallyConsistent) { throw .stopped }
        let connection: RemoteConnection
        if let place { connection = place } else { connection = try connect(trouble) }
        place = connection
        let count = min(buffer.count, connection.byteCount(ofReadAt: offset))
        do throws(RemoteTrouble) {
            try unsafe connection.read(
                at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]),
                until: .max)
        } catch {
            if error.isLasting { place = nil }
            throw error
        }
        lastAnswer.store(Self.now, ordering: .relaxed)
        return count
    }

    private func connect(_ trouble: Trouble) throws(RemoteTrouble) -> RemoteConnection {
        let deadline = min(Self.now &+ options.connectNanoseconds, end(of: trouble))
        let connection = try RemoteConnection(uri, until: deadline, stopping: stopping)
        guard connection.byteCount == byteCount else { throw .changed(connection.byteCount) }
        return connection
    }

    private func give(_ place: RemoteConnection?) {
        places.withLock { places in
            if let place { places.append(place) } else { places.insert(nil, at: 0) }
        }
        free.signal()
    }

    // MARK: Trouble

    /// What one read has gone through since the server last gave it something.
    private struct Trouble {
        /// Nanoseconds of the monotonic clock; nil: nothing has happened.
        var since: UInt64?
        var pause: UInt64 = 0
    }

    /// Waits a moment before what was asked is asked again.
    ///
    /// - Throws: what happened if that is of no use.
    private func wait(
        after failure: RemoteTrouble, at offset: UInt64, _ trouble: inout Trouble
    ) throws(XError) {
        switch failure {
        case .stopped:
            throw XError(.busy, "the snapshot '\(name)' is not read any more")
        case .refused(let error):
            throw XError(
                .hostCall,
                "cannot read the snapshot '\(name)' at byte \(offset): its server says: \(error); see "
                    + "what has become of its file", cause: error)
        case .changed(let count):
            throw XError(
                .invalidFormat,
                "the server of the snapshot '\(name)' came back with \(count) bytes in place of "
                    + "\(byteCount): have it serve the same file again, and restore the machine once "
                    + "more")
        case .lost(let reason):
            let now = Self.now
            if trouble.since == nil { trouble.since = now }
            guard now < end(of: trouble) else {
                throw XError(
                    .hostCall,
                    "the server of the snapshot '\(name)' has been away for "
                        + "\(patienceNanoseconds / 1_000_000_000) s (\(reason)): have it serve the same "
                        + "file again, and restore the machine once more")
            }
            sleep(min(trouble.pause, end(of: trouble) - now))
            trouble.pause = min(max(trouble.pause * 2, Self.firstPause), Self.longestPause)
        }
    }

    /// When the server has been away for too long, in nanoseconds of the monotonic clock.
    private func end(of trouble: Trouble) -> UInt64 {
        let start = max(trouble.since ?? Self.now, lastAnswer.load(ordering: .relaxed))
        return start &+ patienceNanoseconds
    }

    /// Until `stop`, at most.
    private func sleep(_ nanoseconds: UInt64) {
        guard nanoseconds > 0 else { return }
        var descriptor = pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&descriptor, 1, CInt(clamping: nanoseconds / 1_000_000 + 1))
    }

    private static var now: UInt64 { HostThread.monotonicNow.nanoseconds }
}
