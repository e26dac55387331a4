internal import CNBD
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Why something did not come from an NBD server.
enum RemoteTrouble: Error {
    /// There is no connection, or none any more: what was said about it.
    case lost(String)
    /// The server answered with an error. The connection goes on.
    case refused(HostErrno)
    /// The server has another number of bytes than before: this one.
    case changed(UInt64)
    /// `RemoteSnapshot.stop` was called.
    case stopped

    /// The connection is of no use any more.
    var isLasting: Bool {
        if case .refused = self { false } else { true }
    }

    /// What happened, for a person.
    var text: String {
        switch self {
        case .lost(let reason): reason
        case .refused(let error): "the server says: \(error)"
        case .changed(let count): "it has \(count) bytes now"
        case .stopped: "nobody waits any more"
        }
    }
}

/// A connection to an NBD server, through libnbd (libnbd(3)), for reading.
///
/// Owner: one thread at a time. Calls wait in poll(2), which `stopping` ends.
@safe final class RemoteConnection: @unchecked Sendable {
    // SAFETY: made in `init`, closed once, by `close`; whoever owns the object is alone with it.
    private let handle: OpaquePointer
    private var isOpen = true
    private let stopping: EventCounter
    /// What the library said first of a connection that is lost.
    private var reason: String?

    /// Bytes that the export has.
    let byteCount: UInt64
    /// The server says that several connections see the same.
    let allowsSeveral: Bool
    /// What reads have to be multiples of, and the most bytes that one may have.
    private let smallestByteCount: Int
    private let mostByteCount: Int

    /// Bytes of one read, if the server does not want fewer.
    private static let usualMostByteCount = 1 << 20
    /// The host looks whether a silent peer is there after so many seconds, so often until it is given up.
    private static let keepAlive: [(option: CInt, value: CInt)] = [
        (TCP_KEEPIDLE, 15), (TCP_KEEPINTVL, 5), (TCP_KEEPCNT, 4),
    ]

    /// Connects, and waits for it.
    ///
    /// - Parameters:
    ///   - deadline: nanoseconds of the monotonic clock.
    ///   - stopping: readable once nobody wants the connection any more.
    init(
        _ uri: String, until deadline: UInt64, stopping: EventCounter
    ) throws(RemoteTrouble) {
        guard let handle = unsafe nbd_create() else { throw .lost("there is no memory for it") }
        let poll = RemotePoll(stopping: stopping)
        do throws(RemoteTrouble) {
            if unsafe nbd_aio_connect_uri(handle, uri) != 0 { throw .lost(RemotePoll.lastError) }
            var reason = "the server ended the connection"
            while unsafe nbd_aio_is_ready(handle) != 1 {
                if unsafe RemotePoll.isOver(handle) { throw .lost(reason) }
                if let said = try unsafe poll.wait(handle, until: deadline) { reason = said }
            }
            guard let size = UInt64(exactly: unsafe nbd_get_size(handle)) else {
                throw .lost("the server does not say how many bytes it has")
            }
            byteCount = size
        } catch {
            unsafe nbd_close(handle)
            throw error
        }
        allowsSeveral = unsafe nbd_can_multi_conn(handle) == 1
        let smallest = unsafe nbd_get_block_size(handle, CInt(LIBNBD_SIZE_MINIMUM))
        let most = unsafe nbd_get_block_size(handle, CInt(LIBNBD_SIZE_MAXIMUM))
        smallestByteCount = Int(clamping: min(max(smallest, 1), 1 << 16))
        mostByteCount =
            most > 0
            ? max(min(Int(clamping: most), Self.usualMostByteCount), smallestByteCount)
            : Self.usualMostByteCount
        unsafe self.handle = unsafe handle
        self.stopping = stopping
        keepAlive()
    }

    deinit { close() }

    /// A server may stall as long as it likes, but one whose host has gone is noticed. UNIX sockets need
    /// none of it.
    private func keepAlive() {
        let descriptor = unsafe nbd_aio_get_fd(handle)
        var on: CInt = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, 4)
        for (option, value) in Self.keepAlive {
            var value = value
            unsafe setsockopt(descriptor, CInt(IPPROTO_TCP), option, &value, 4)
        }
    }

    /// Bytes that one `read` may have, from `offset` on.
    func byteCount(ofReadAt offset: UInt64) -> Int {
        let past = Int(offset % UInt64(smallestByteCount))
        return max(1, mostByteCount / smallestByteCount * smallestByteCount - past)
    }

    /// Fills `buffer`, of at most `byteCount(ofReadAt:)` bytes. After any trouble but `refused` the connection
    /// is closed, and nobody touches the buffer any more.
    ///
    /// - Parameter deadline: nanoseconds of the monotonic clock; `UInt64.max`: never.
    func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64
    ) throws(RemoteTrouble) {
        guard isOpen else { throw .lost("the connection is closed") }
        let block = smallestByteCount
        let past = Int(offset % UInt64(block))
        do throws(RemoteTrouble) {
            if past == 0, buffer.count.isMultiple(of: block) {
                return try unsafe readAligned(at: offset, into: buffer, until: deadline)
            }
            let count = (past + buffer.count + block - 1) / block * block
            let whole = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
            defer { unsafe whole.deallocate() }
            do throws(RemoteTrouble) {
                try unsafe readAligned(at: offset - UInt64(past), into: whole, until: deadline)
            } catch {
                // Before the memory goes.
                if error.isLasting { close() }
                throw error
            }
            unsafe buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: whole[past..<past + buffer.count]))
        } catch {
            if error.isLasting { close() }
            throw error
        }
    }

    private func readAligned(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64
    ) throws(RemoteTrouble) {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return }
        let poll = RemotePoll(stopping: stopping)
        // SAFETY: who calls closes the handle before the memory goes, unless the command has ended.
        let cookie = unsafe nbd_aio_pread(
            handle, base, buffer.count, offset,
            nbd_completion_callback(callback: nil, user_data: nil, free: nil), 0)
        guard cookie >= 0 else { throw failure() }
        while true {
            let answer = unsafe nbd_aio_command_completed(handle, UInt64(cookie))
            if answer > 0 { return }
            if answer < 0 { throw failure() }
            if let said = try unsafe poll.wait(handle, until: deadline) { reason = said }
        }
    }

    /// What the library's last call found.
    private func failure() -> RemoteTrouble {
        let error = HostErrno(rawValue: nbd_get_errno())
        let said = RemotePoll.lastError
        if unsafe RemotePoll.isOver(handle) { return .lost(reason ?? said) }
        // It is about to end, and says so.
        return error.rawValue == ESHUTDOWN ? .lost("the server is about to end") : .refused(error)
    }

    /// Ends the connection. The library touches no buffer any more.
    func close() {
        guard isOpen else { return }
        isOpen = false
        // Says so if the socket takes it, and waits for nothing.
        if unsafe nbd_aio_is_ready(handle) == 1 { _ = unsafe nbd_aio_disconnect(handle, 0) }
        unsafe nbd_close(handle)
    }
}

/// Waits for what a handle of libnbd waits for.
private struct RemotePoll {
    let stopping: EventCounter

    /// Sleeps until the server has something, and has the library deal with it. What went wrong, if
    /// something did.
    ///
    /// - Throws: the time has come, or nobody waits any more.
    func wait(_ handle: OpaquePointer, until deadline: UInt64) throws(RemoteTrouble) -> String? {
        let direction = unsafe Int(nbd_aio_get_direction(handle))
        var wanted: Int16 = 0
        if direction & Int(LIBNBD_AIO_DIRECTION_READ) != 0 { wanted |= Int16(POLLIN) }
        if direction & Int(LIBNBD_AIO_DIRECTION_WRITE) != 0 { wanted |= Int16(POLLOUT) }
        var descriptors = unsafe [
            pollfd(fd: nbd_aio_get_fd(handle), events: wanted, revents: 0),
            pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let now = HostThread.monotonicNow.nanoseconds
        guard now < deadline else { throw .lost("it gave no answer in time") }
        _ = unsafe poll(&descriptors, 2, Self.milliseconds(deadline - now))
        if descriptors[1].revents != 0 { throw .stopped }
        let happened = descriptors[0].revents
        guard happened != 0 else { return nil }
        let result =
            wanted & Int16(POLLIN) != 0 && happened & ~Int16(POLLOUT) != 0
            ? unsafe nbd_aio_notify_read(handle) : unsafe nbd_aio_notify_write(handle)
        return result == 0 ? nil : Self.lastError
    }

    /// For poll(2), never less than it is; -1: no end.
    static func milliseconds(_ nanoseconds: UInt64) -> CInt {
        let rounded = nanoseconds / 1_000_000 + 1
        return CInt(exactly: rounded) ?? -1
    }

    /// The connection has ended.
    static func isOver(_ handle: OpaquePointer) -> Bool {
        unsafe nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1
    }

    /// What the library's last call on this thread says, without the call's name, in one line.
    static var lastError: String {
        // SAFETY: the text is this thread's, until its next call of the library.
        guard let text = unsafe nbd_get_error() else { return "no reason is given" }
        var line = Substring(unsafe String(cString: text))
        while line.hasPrefix("nbd_"), let end = line.firstRange(of: ": ") {
            line = line[end.upperBound...]
        }
        return String(line.map { $0.isNewline ? " " : $0 })
    }
}
