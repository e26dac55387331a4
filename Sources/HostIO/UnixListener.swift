internal import CHost
internal import Glibc
public import Vocabulary

/// A UNIX stream socket at a path, for this user alone, removed at the end of its life.
///
/// Owner: who made it. One thread accepts; any thread may read `descriptor`.
public final class UnixListener: Sendable {
    public let path: String
    private let socket: Descriptor

    /// Readable when somebody has connected.
    public var descriptor: CInt { socket.rawValue }

    /// - Throws: `XError`: somebody listens there already, something else is there, or the host refuses.
    ///   What an ended process left is replaced.
    public init(path: String) throws(XError) {
        self.path = path
        try Self.removeLeftover(path)
        let made = unsafe chost_unix_listen(path)
        guard made >= 0 else { throw Self.failure(path, -made) }
        socket = Descriptor(owning: made)
    }

    deinit { _ = unsafe unlink(path) }

    /// The next connection, not blocking; nil: there is none now.
    public func accept() -> Descriptor? {
        let found = chost_unix_accept(socket.rawValue)
        return found < 0 ? nil : Descriptor(owning: found)
    }

    /// Connects to the socket at a path, not blocking. Nil: nobody listens there.
    public static func connect(to path: String) throws(XError) -> Descriptor? {
        let found = unsafe chost_unix_connect(path)
        if found >= 0 { return Descriptor(owning: found) }
        guard found == -ENOENT || found == -ECONNREFUSED else { throw failure(path, -found) }
        return nil
    }

    private static func removeLeftover(_ path: String) throws(XError) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw XError(
                .invalidArgument,
                "'\(path)' is there and is no socket; take another path or remove the file")
        }
        guard try connect(to: path) == nil else {
            throw XError(.busy, "somebody listens at '\(path)' already; take another path")
        }
        _ = unsafe unlink(path)
    }

    private static func failure(_ path: String, _ number: CInt) -> XError {
        let error = HostErrno(rawValue: number)
        return XError(
            .hostCall,
            "cannot make or use the socket '\(path)': \(error); take a path in a directory of yours",
            cause: error)
    }
}

/// send(2) of all bytes to a socket that does not block, at most `milliseconds` for each part. False: the
/// other side is gone, or takes nothing.
public func sendAll(_ bytes: [UInt8], to descriptor: CInt, milliseconds: CInt) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { bytes -> Int in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe Int(chost_send(descriptor, base, UInt64(bytes.count)))
        }
        if count > 0 {
            rest = rest.dropFirst(count)
            continue
        }
        guard count == -Int(EAGAIN) || count == -Int(EINTR) else { return false }
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&wait, 1, milliseconds) > 0 else { return false }
    }
    return true
}
