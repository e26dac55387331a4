import Glibc
import HostIO
import Vocabulary
import XenStore

/// A client of a store's socket: what it is told to send, and what comes within some seconds.
final class ScriptedStoreClient {
    private let connection: Descriptor
    private var caller = StoreCaller()
    /// The other side has closed the connection.
    private(set) var isClosed = false
    /// Of what has come.
    private(set) var byteCount = 0

    init(_ path: String) throws { connection = try UnixSocket.connect(path) }

    /// Sends all of it; false if the other side takes nothing for so long.
    @discardableResult
    func send(_ bytes: [UInt8], milliseconds: CInt = 5000) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            do {
                if let count = try UnixSocket.send(connection.rawValue, rest) {
                    rest = rest.dropFirst(count)
                } else if !wait(POLLOUT, milliseconds) {
                    return false
                }
            } catch {
                isClosed = true
                return false
            }
        }
        return true
    }

    /// No more is sent; what comes is still read.
    func endSending() { _ = Glibc.shutdown(connection.rawValue, CInt(SHUT_WR)) }

    private func wait(_ events: CInt, _ milliseconds: CInt) -> Bool {
        var wanted = pollfd(fd: connection.rawValue, events: Int16(events), revents: 0)
        return unsafe poll(&wanted, 1, milliseconds) > 0
    }

    /// Reads once; false if nothing comes for so long, or nothing more will.
    @discardableResult
    func read(milliseconds: CInt = 5000) throws -> Bool {
        guard !isClosed, wait(POLLIN, milliseconds) else { return false }
        var piece = [UInt8](repeating: 0, count: 4096)
        let count = unsafe piece.withUnsafeMutableBytes { buffer in
            // SAFETY: the whole buffer.
            unsafe Glibc.read(connection.rawValue, buffer.baseAddress, buffer.count)
        }
        guard count > 0 else {
            isClosed = true
            return false
        }
        byteCount += count
        try caller.receive(Array(piece.prefix(count)))
        return true
    }

    /// Reads until the other side closes; false if it does not.
    func readToEnd() throws -> Bool {
        while try read() {}
        return isClosed
    }

    /// The bytes of a request, not sent.
    func bytes(_ kind: StoreMessageKind, _ strings: [String]) throws -> [UInt8] {
        try caller.request(kind, strings).bytes
    }

    /// The reply to a request; nil if none comes.
    func call(
        _ kind: StoreMessageKind, _ payload: [UInt8], _ transaction: UInt32 = 0
    ) throws -> [UInt8]? {
        let (bytes, id) = try caller.request(kind, payload, transaction: transaction)
        guard send(bytes) else { return nil }
        while true {
            if let reply = try caller.takeReply(to: id) { return reply }
            guard try read() else { return nil }
        }
    }

    func call(
        _ kind: StoreMessageKind, _ strings: [String], _ transaction: UInt32 = 0
    ) throws -> String? {
        let payload = StoreMessage(kind, strings: strings).payload
        return try call(kind, payload, transaction).map { String(decoding: $0, as: UTF8.self) }
    }

    func write(_ path: String, _ value: String, _ transaction: UInt32 = 0) throws {
        _ = try call(.write, Array(path.utf8) + [0] + Array(value.utf8), transaction)
    }

    /// The next event; nil if none comes.
    func event(milliseconds: CInt = 5000) throws -> StoreWatchEvent? {
        while true {
            if let event = caller.takeEvent() { return event }
            guard try read(milliseconds: milliseconds) else { return nil }
        }
    }
}
