internal import CNBD
internal import Glibc
internal import HostIO
internal import Vocabulary

/// A disk of an NBD server, through libnbd (libnbd(3)). One connection, which is not made again once it
/// is lost: then every request fails.
///
/// One thread, `nbd`, talks to the server; it alone touches the handle after the connection is made.
@safe final class NBDImage: DiskDriver, @unchecked Sendable {
    /// Bytes that the server says the disk has, also of a sector that is not whole.
    let exactByteCount: UInt64
    let byteCount: UInt64
    let sectorSize: Int
    let features: DiskFeatures
    private let loop: IOLoop
    /// The server says where it has zeros.
    let canTellExtents: Bool
    // SAFETY: made in `init`, then the thread's alone, which closes it.
    private let handle: OpaquePointer
    private let canFlush: Bool
    private let canTrim: Bool
    private let canZero: Bool
    private let canForce: Bool
    /// Bytes of data in one command at most.
    private let mostByteCount: Int
    private let wakeUp: EventCounter

    private struct State {
        var waiting: [(request: DiskRequest, completion: IOCompletion)] = []
        var lookups: [NBDExtents] = []
        var closer: IOCompletion?
    }
    private let state = RankedLock(State(), owner: "nbd", rank: .leaf)

    /// Connects; blocks as long as that takes.
    ///
    /// - Parameter wantsExtents: asks the server to say where it has zeros, if it can.
    init(
        uri: String, isWritable: Bool, loop: IOLoop, wantsExtents: Bool = false
    ) throws(XError) {
        guard let handle = unsafe nbd_create() else {
            throw XError(.outOfMemory, "no memory to connect to '\(uri)'")
        }
        if wantsExtents {
            _ = unsafe nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION)
        }
        var failure: XError?
        if unsafe nbd_connect_uri(handle, uri) != 0 {
            failure = XError(
                .hostCall,
                "cannot connect to the disk '\(uri)': \(Self.lastError): is its server running?",
                cause: HostErrno(rawValue: nbd_get_errno()))
        }
        let size = unsafe failure == nil ? nbd_get_size(handle) : 0
        if failure == nil, size < 0 {
            failure = XError(.hostCall, "the server of '\(uri)' does not say how large the disk is")
        }
        if failure == nil, isWritable, unsafe nbd_is_read_only(handle) != 0 {
            failure = XError(
                .hostCall, "the server of '\(uri)' lets it only be read: add ',readonly'")
        }
        let smallest =
            unsafe failure == nil
            ? nbd_get_block_size(handle, CInt(LIBNBD_SIZE_MINIMUM)) : 0
        if smallest > 4096 {
            failure = XError(
                .unsupported,
                "the server of '\(uri)' has blocks of \(smallest) bytes, 4096 is the most")
        }
        if let failure {
            unsafe nbd_close(handle)
            throw failure
        }
        let largest = unsafe nbd_get_block_size(handle, CInt(LIBNBD_SIZE_MAXIMUM))
        let sector = smallest > 512 ? 4096 : 512
        sectorSize = sector
        mostByteCount =
            largest > 0 ? min(max(Int(largest), sector), 32 << 20) & ~(sector - 1) : 32 << 20
        exactByteCount = UInt64(size)
        byteCount = UInt64(size) & ~UInt64(sector - 1)
        canTellExtents =
            unsafe wantsExtents
            && nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1
        canFlush = unsafe nbd_can_flush(handle) == 1
        canTrim = unsafe isWritable && nbd_can_trim(handle) == 1
        canZero = unsafe isWritable && nbd_can_zero(handle) == 1
        canForce = unsafe nbd_can_fua(handle) == 1
        var features: DiskFeatures = []
        if canTrim { features.insert(.discard) }
        if canZero { features.insert(.writeZeroes) }
        if canFlush, isWritable { features.insert(.flush) }
        self.features = features
        self.loop = loop
        unsafe self.handle = unsafe handle
        wakeUp = try EventCounter()
        _ = try HostThread.spawn(name: "nbd") { self.serve() }
    }

    private static var lastError: String {
        // SAFETY: the text is this thread's, until its next call of the library.
        guard let text = unsafe nbd_get_error() else { return "no reason given" }
        return unsafe String(cString: text).replacingNewlines
    }

    func refreshSize() throws(XError) -> UInt64 { byteCount }

    func grow(to byteCount: UInt64) throws(XError) {
        throw XError(.unsupported, "a disk of an NBD server keeps the size that it had at first")
    }

    func submit(_ request: DiskRequest, _ completion: @escaping IOCompletion) {
        state.withLock { $0.waiting.append((request, completion)) }
        wakeUp.signal()
    }

    /// Has the server say what a stretch of the disk holds. Any thread.
    func submit(_ lookup: NBDExtents) {
        state.withLock { $0.lookups.append(lookup) }
        wakeUp.signal()
    }

    func close(_ completion: @escaping IOCompletion) {
        submit(.flush) { [self] error in
            state.withLock { $0.closer = { _ in completion(error) } }
            wakeUp.signal()
        }
    }

    // MARK: The thread

    private func serve() {
        while true {
            let (waiting, lookups, closer) = state.withLock { state in
                defer { (state.waiting, state.lookups) = ([], []) }
                return (state.waiting, state.lookups, state.closer)
            }
            for (request, completion) in waiting { begin(request, completion) }
            for lookup in lookups { begin(lookup) }
            if let closer {
                _ = unsafe nbd_shutdown(handle, 0)
                unsafe nbd_close(handle)
                loop.submit { closer(nil) }
                return
            }
            wait()
        }
    }

    /// Sleeps until the server or somebody else has something, and serves the server.
    private func wait() {
        let direction = unsafe Int(nbd_aio_get_direction(handle))
        var wanted: Int16 = 0
        if direction & Int(LIBNBD_AIO_DIRECTION_READ) != 0 { wanted |= Int16(POLLIN) }
        if direction & Int(LIBNBD_AIO_DIRECTION_WRITE) != 0 { wanted |= Int16(POLLOUT) }
        // -1 once the connection is lost: poll(2) leaves it out.
        var descriptors = unsafe [
            pollfd(fd: nbd_aio_get_fd(handle), events: wanted, revents: 0),
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = unsafe poll(&descriptors, 2, -1)
        if descriptors[1].revents != 0 { wakeUp.take() }
        let happened = descriptors[0].revents
        if happened & Int16(POLLIN | POLLHUP | POLLERR) != 0, wanted & Int16(POLLIN) != 0 {
            _ = unsafe nbd_aio_notify_read(handle)
        } else if happened & Int16(POLLOUT) != 0 {
            _ = unsafe nbd_aio_notify_write(handle)
        } else if happened & Int16(POLLHUP | POLLERR | POLLNVAL) != 0 {
            _ = unsafe nbd_aio_notify_write(handle)
        }
    }

    private func begin(_ request: DiskRequest, _ completion: @escaping IOCompletion) {
        let parts = Parts { [loop] error in loop.submit { completion(error) } }
        let force: UInt32 = request.isForced && canForce ? 1 : 0
        switch request.operation {
        case .read, .write:
            var position = request.offset
            for index in unsafe 0..<request.segments.count {
                let segment = unsafe request.segments[index]
                var start = 0
                while start < segment.count {
                    let end = min(start + mostByteCount, segment.count)
                    let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: segment[start..<end])
                    unsafe transfer(
                        request.operation == .read, unsafe piece, position, force, parts)
                    position &+= UInt64(end - start)
                    start = end
                }
            }
        case .flush:
            if canFlush {
                let answer = unsafe parts.callback()
                parts.check(unsafe nbd_aio_flush(handle, answer, 0))
            }
        case .discard:
            if canTrim { eachGibibyte(request) { trim($0, $1, parts) } }
        case .writeZeroes: zero(request, force, parts)
        }
        // Every part of a write is done before what makes it permanent begins.
        if request.isForced, !canForce, canFlush, request.operation != .read {
            parts.finish { [self] error in
                error == nil
                    ? submit(.flush, completion) : loop.submit { completion(error) }
            }
        } else {
            parts.finish(nil)
        }
    }

    private func transfer(
        _ isRead: Bool, _ piece: UnsafeMutableRawBufferPointer, _ position: UInt64,
        _ force: UInt32, _ parts: Parts
    ) {
        guard let base = piece.baseAddress else { return }
        let answer = unsafe parts.callback()
        // SAFETY: the maker of the request keeps the memory until its completion.
        parts.check(
            unsafe isRead
                ? nbd_aio_pread(handle, base, piece.count, position, answer, 0)
                : nbd_aio_pwrite(handle, base, piece.count, position, answer, force))
    }

    private func trim(_ position: UInt64, _ count: UInt64, _ parts: Parts) {
        let answer = unsafe parts.callback()
        parts.check(unsafe nbd_aio_trim(handle, count, position, answer, 0))
    }

    private func zero(_ request: DiskRequest, _ force: UInt32, _ parts: Parts) {
        if canZero {
            let flags = force | (request.mayUnmap ? 0 : UInt32(LIBNBD_CMD_FLAG_NO_HOLE))
            eachGibibyte(request) { position, count in
                let answer = unsafe parts.callback()
                parts.check(unsafe nbd_aio_zero(handle, count, position, answer, flags))
            }
            return
        }
        let zeros = IOBuffer(byteCount: Int(min(request.byteCount, 1 << 20)))
        parts.memory = zeros
        var position = request.offset
        let end = request.offset + request.byteCount
        while position < end {
            let count = min(Int(end - position), zeros.byteCount, mostByteCount)
            unsafe transfer(
                false, unsafe UnsafeMutableRawBufferPointer(rebasing: zeros.bytes[0..<count]),
                position, force, parts)
            position += UInt64(count)
        }
    }

    private func begin(_ lookup: NBDExtents) {
        let parts = Parts { [loop] error in loop.submit { lookup.finish(error) } }
        let answer = unsafe parts.callback()
        parts.check(
            unsafe nbd_aio_block_status(
                handle, lookup.byteCount, lookup.offset, lookup.callback(), answer, 0))
        parts.finish(nil)
    }

    private func eachGibibyte(_ request: DiskRequest, _ body: (UInt64, UInt64) -> Void) {
        var position = request.offset
        let end = request.offset + request.byteCount
        while position < end {
            let count = min(end - position, 1 << 30)
            body(position, count)
            position += count
        }
    }
}

/// The commands that one request becomes; it is done when the last of them is. On the thread of the
/// connection.
private final class Parts {
    private var left = 1
    private var error: HostErrno?
    private var completion: IOCompletion
    var memory: IOBuffer?

    init(_ completion: @escaping IOCompletion) { self.completion = completion }

    /// What the library is to call for one command more.
    func callback() -> nbd_completion_callback {
        left += 1
        return unsafe nbd_completion_callback(
            callback: { user, error in
                guard let user = unsafe user else { return 1 }
                // SAFETY: retained below until the library calls `free`.
                let parts = unsafe Unmanaged<Parts>.fromOpaque(user).takeUnretainedValue()
                parts.done(unsafe error?.pointee ?? 0)
                return 1
            }, user_data: Unmanaged.passRetained(self).toOpaque(),
            free: { user in
                if let user = unsafe user { unsafe Unmanaged<Parts>.fromOpaque(user).release() }
            })
    }

    /// What beginning a command gave: of one that did not begin the library tells nothing more.
    func check(_ cookie: Int64) {
        if cookie == -1 {
            let number = nbd_get_errno()
            done(number == 0 ? EIO : number)
        }
    }

    /// All commands have begun. Another completion may take the place of the first.
    func finish(_ other: IOCompletion?) {
        if let other { completion = other }
        done(0)
    }

    private func done(_ number: CInt) {
        if number != 0, error == nil { error = HostErrno(rawValue: number) }
        left -= 1
        if left == 0 { completion(error) }
    }
}

extension String {
    /// On one line.
    fileprivate var replacingNewlines: String {
        String(map { $0.isNewline ? " " : $0 })
    }
}
