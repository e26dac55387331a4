import Glibc
import HostIO
import Vocabulary
import XenStore

/// A client of a guest's XenStore on a socket, which waits for each answer.
///
/// What the store refuses is a `StoreError`; what the host or the other side does wrong, an `XError`.
final class XenStoreClient {
    private let path: String
    private let connection: Descriptor
    private var caller = StoreCaller()

    init(path: String) throws {
        self.path = path
        do {
            connection = try UnixSocket.connect(path)
        } catch {
            throw XError(
                error.code,
                "\(error.message); give --socket the path that 'martlet run --xenstore-socket' has, "
                    + "while the guest runs", cause: error.cause)
        }
    }

    // MARK: The store's operations

    func read(_ node: String, _ transaction: UInt32 = 0) throws -> [UInt8] {
        try call(.read, [node], transaction)
    }

    func write(_ node: String, _ value: String, _ transaction: UInt32 = 0) throws {
        let payload = Array(node.utf8) + [0] + Array(value.utf8)
        _ = try reply(to: caller.request(.write, payload, transaction: transaction))
    }

    func remove(_ node: String, _ transaction: UInt32 = 0) throws {
        _ = try call(.remove, [node], transaction)
    }

    /// The names of the children, in order.
    func directory(_ node: String) throws -> [String] {
        do {
            return Self.strings(try call(.directory, [node]))
        } catch StoreError.tooBig {
            return try longDirectory(node)
        }
    }

    /// A list that has no room in one message comes in parts, which belong together while the node's
    /// generation is the same.
    private func longDirectory(_ node: String) throws -> [String] {
        var generation = ""
        var names: [String] = []
        var offset = 0
        while true {
            let part = Self.strings(try call(.directoryPart, [node, String(offset)]))
            guard part.count > 1 else { return names }
            if offset > 0, part[0] != generation {
                (names, offset) = ([], 0)
                continue
            }
            generation = part[0]
            for name in part.dropFirst() {
                if name.isEmpty { return names }
                names.append(name)
                offset += name.utf8.count + 1
            }
        }
    }

    /// Does `body` wholly or, if it throws, not at all, and again when others have come in between.
    func inTransaction(_ body: (_ transaction: UInt32) throws -> Void) throws {
        while true {
            let text = Self.strings(try call(.transactionStart, [""])).first ?? ""
            guard let number = UInt32(text) else { throw broken("has given no transaction") }
            do {
                try body(number)
            } catch {
                _ = try? call(.transactionEnd, ["F"], number)
                throw error
            }
            do {
                _ = try call(.transactionEnd, ["T"], number)
                return
            } catch StoreError.tryAgain {
                continue
            }
        }
    }

    func watch(_ node: String) throws { _ = try call(.watch, [node, node]) }

    /// The path of the next event; waits for it.
    func nextEvent() throws -> String {
        while true {
            if let event = caller.takeEvent() { return event.path }
            try receive()
        }
    }

    // MARK: Bytes

    private func call(
        _ kind: StoreMessageKind, _ strings: [String], _ transaction: UInt32 = 0
    ) throws -> [UInt8] {
        try reply(to: caller.request(kind, strings, transaction: transaction))
    }

    private static func strings(_ payload: [UInt8]) -> [String] {
        StoreMessage(.directory, payload: payload).strings
    }

    private func reply(to request: (bytes: [UInt8], id: UInt32)) throws -> [UInt8] {
        var rest = request.bytes[...]
        while !rest.isEmpty {
            let count: Int?
            do {
                count = try UnixSocket.send(connection.rawValue, rest)
            } catch {
                throw broken("has closed the connection")
            }
            if let count { rest = rest.dropFirst(count) } else { wait(POLLOUT) }
        }
        while true {
            if let payload = try caller.takeReply(to: request.id) { return payload }
            try receive()
        }
    }

    private func receive() throws {
        var piece = [UInt8](repeating: 0, count: 8192)
        let descriptor = connection.rawValue
        wait(POLLIN)
        // SAFETY: the whole buffer.
        let count = try unsafe piece.withUnsafeMutableBytes {
            try unsafe readSome(descriptor, into: $0)
        }
        guard let count else { return }
        guard count > 0 else { throw broken("has closed the connection") }
        do {
            try caller.receive(Array(piece.prefix(count)))
        } catch {
            throw broken("has sent what is no message")
        }
    }

    private func wait(_ events: CInt) {
        var wanted = pollfd(fd: connection.rawValue, events: Int16(events), revents: 0)
        _ = unsafe poll(&wanted, 1, -1)
    }

    private func broken(_ what: String) -> XError {
        XError(
            .hostCall,
            "the store at '\(path)' \(what): the guest has ended, or give --socket a XenStore's path"
        )
    }
}
