internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// A connection at a path that either side may begin, and that comes back after it broke.
///
/// Owner: a `SocketNetwork`; who opens it first, then the network's thread.
final class SocketLink: @unchecked Sendable {
    private let path: String
    /// Made by us: the other side comes here. -1: we go to the other side.
    private(set) var listener: CInt = -1
    /// -1: the other side is not there.
    private(set) var connection: CInt = -1

    init(path: String) throws(XError) {
        self.path = path
        // Between a look and the next step the other side may come or go.
        var error: CInt = 0
        for _ in 0..<8 {
            let found = unsafe chost_unix_connect(path)
            if found >= 0 {
                connection = found
                return
            }
            // A listener that is there and busy: its queue is full.
            if found == -EAGAIN { return }
            guard found == -ENOENT || found == -ECONNREFUSED else {
                throw Self.failure(path, -found)
            }
            if found == -ECONNREFUSED { try Self.removeLeftover(path) }
            let made = unsafe chost_unix_listen(path)
            if made >= 0 {
                listener = made
                return
            }
            error = -made
            guard error == EADDRINUSE else { break }
        }
        throw Self.failure(path, error)
    }

    deinit {
        disconnect()
        if listener >= 0 {
            close(listener)
            _ = unsafe unlink(path)
        }
    }

    /// A socket that nobody listens at is what an ended machine left. Anything else is not ours.
    private static func removeLeftover(_ path: String) throws(XError) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw XError(
                .invalidArgument,
                "'\(path)' is there and is no socket; take another path or remove the file")
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

    /// The other side is there now, if it was not: takes its connection, or goes to it.
    func connect() {
        guard connection < 0 else { return }
        let found =
            listener >= 0 ? chost_unix_accept(listener) : unsafe chost_unix_connect(path)
        if found >= 0 { connection = found }
    }

    /// Turns away whoever comes while there is a connection: a stream has two ends.
    func refuseOthers() {
        while case let other = chost_unix_accept(listener), other >= 0 { close(other) }
    }

    func disconnect() {
        if connection >= 0 { close(connection) }
        connection = -1
    }
}
