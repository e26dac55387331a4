internal import CHost
internal import Glibc
public import Vocabulary

/// A stream socket at a path, made for this user alone, that others connect to. Its file goes with it.
///
/// Owner: who made it. Any thread.
public final class UnixListener: Sendable {
    public let path: String
    /// Readable while somebody waits to be accepted; calls on it do not block. Open as long as this
    /// object.
    public let descriptor: CInt
    private let device: dev_t
    private let number: ino_t

    /// Connections that wait to be accepted; the next one has to wait or try again.
    private static let backlog: CInt = 64
    /// What is left for a socket that looks abandoned and may be about to listen, in nanoseconds.
    private static let patience: UInt64 = 20_000_000

    /// Makes the socket, in place of one that nobody listens at any more.
    ///
    /// - Parameter option: what the user gave the path by, for the words of errors.
    /// - Throws: `XError` if somebody listens there, if something else is there, or if the host refuses.
    public init(path: String, option: String) throws(XError) {
        self.path = path
        descriptor = try Self.listen(path, option)
        var information = stat()
        _ = unsafe lstat(path, &information)
        (device, number) = (information.st_dev, information.st_ino)
        _ = Glibc.listen(descriptor, Self.backlog)
    }

    deinit {
        close(descriptor)
        var information = stat()
        // Whoever has put something else there keeps it.
        guard unsafe lstat(path, &information) == 0, information.st_dev == device,
            information.st_ino == number
        else { return }
        _ = unsafe unlink(path)
    }

    private static func listen(_ path: String, _ option: String) throws(XError) -> CInt {
        let limit = UnixSocket.pathByteCountLimit
        guard (1...limit).contains(path.utf8.count) else {
            throw XError(
                .invalidArgument,
                "the path of a socket has 1 to \(limit) bytes, '\(path)' has \(path.utf8.count): "
                    + "give another one with \(option)")
        }
        // Between a look and the next step others may come or go.
        for attempt in 0..<8 {
            let made = unsafe chost_unix_listen(path)
            if made >= 0 { return made }
            guard made == -EADDRINUSE else { throw failure(path, option, -made) }
            let found = unsafe chost_unix_connect(path)
            if found >= 0 { close(found) }
            switch -found {
            case ENOENT: continue
            case ECONNREFUSED where attempt == 0: HostThread.sleep(nanoseconds: patience)
            case ECONNREFUSED: try removeLeftover(path, option)
            case let error where error <= 0 || error == EAGAIN || error == EPROTOTYPE:
                throw XError(
                    .busy,
                    "somebody listens at the socket '\(path)': give another path with \(option), or "
                        + "end who does")
            case let error: throw failure(path, option, error)
            }
        }
        throw failure(path, option, EADDRINUSE)
    }

    /// A socket that nobody listens at is what an ended process left. Anything else is not ours.
    private static func removeLeftover(_ path: String, _ option: String) throws(XError) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw XError(
                .invalidArgument,
                "'\(path)' is there and is no socket: give another path with \(option), or remove it"
            )
        }
        _ = unsafe unlink(path)
    }

    private static func failure(_ path: String, _ option: String, _ number: CInt) -> XError {
        let error = HostErrno(rawValue: number)
        return XError(
            .hostCall,
            "cannot make the socket '\(path)': \(error); give a path in a folder of yours with "
                + option, cause: error)
    }

    /// Who is next; does not wait.
    public enum Arrival: ~Copyable, Sendable {
        /// Calls on it do not block.
        case connection(Descriptor)
        case nobody
        /// The host has no descriptor or memory for it now: try later.
        case noRoom
    }

    public func accept() -> Arrival {
        while true {
            let found = chost_unix_accept(descriptor)
            if found >= 0 { return .connection(Descriptor(owning: found)) }
            switch -found {
            case EAGAIN: return .nobody
            // It has gone again.
            case EINTR, ECONNABORTED: continue
            default: return .noRoom
            }
        }
    }
}

/// The client's side of stream sockets with paths.
public enum UnixSocket {
    /// Of a path, in bytes: `sun_path` without its zero (unix(7)).
    public static let pathByteCountLimit = 107

    /// How long to wait for a listener with a full queue, in tries and nanoseconds between them.
    private static let (tries, pause) = (200, 10_000_000 as UInt64)

    /// Connects to who listens at a path. Calls on the descriptor do not block.
    public static func connect(_ path: String) throws(XError) -> Descriptor {
        var found: CInt = -ENAMETOOLONG
        if path.utf8.count <= pathByteCountLimit {
            for _ in 0..<tries {
                found = unsafe chost_unix_connect(path)
                guard found == -EAGAIN || found == -EINTR else { break }
                HostThread.sleep(nanoseconds: pause)
            }
        }
        guard found < 0 else { return Descriptor(owning: found) }
        throw hostError("connect to the socket '\(path)'", HostErrno(rawValue: -found))
    }

    /// Sends what the socket takes now of `bytes`; nil if it takes nothing. A peer that has gone is an
    /// error and no signal.
    public static func send(_ descriptor: CInt, _ bytes: ArraySlice<UInt8>) throws(XError) -> Int? {
        guard !bytes.isEmpty else { return 0 }
        while true {
            let sent = unsafe bytes.withUnsafeBytes { buffer in
                // SAFETY: the whole buffer.
                unsafe buffer.baseAddress.map {
                    unsafe chost_send(descriptor, $0, UInt64(buffer.count))
                } ?? 0
            }
            if sent >= 0 { return sent }
            if sent == -Int(EAGAIN) { return nil }
            if sent == -Int(EINTR) { continue }
            throw hostError(
                "send to descriptor \(descriptor)", HostErrno(rawValue: CInt(clamping: -sent)))
        }
    }

    /// Sends all bytes, with at most so many milliseconds for each part. False: the peer is gone, or takes
    /// nothing.
    public static func sendAll(
        _ descriptor: CInt, _ bytes: [UInt8], milliseconds: CInt
    ) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let sent = try? send(descriptor, rest) else {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard unsafe poll(&wait, 1, milliseconds) > 0,
                    wait.revents & Int16(POLLERR | POLLHUP) == 0
                else { return false }
                continue
            }
            rest = rest.dropFirst(sent)
        }
        return true
    }
}
