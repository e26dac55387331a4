internal import Glibc
internal import HostIO
internal import Synchronization
internal import Vocabulary
internal import XenStore

/// One connection of a `StoreSocket`.
///
/// Owner: the socket's thread.
final class StoreSocketClient {
    /// Bytes of requests that are taken at once, while the store is nobody else's.
    private static let pieceByteCount = 4096
    /// Requests wait while so many bytes have not been taken by the client.
    private static let pauseByteCount = 64 << 10
    /// A client that leaves more is dropped. Its requests alone do not come to that, but events come
    /// whether it takes them or not.
    private static let outgoingLimit = 2 * StoreService.privilegedOutputLimit

    private let connection: Descriptor
    private let store: StoreHost
    private let stream: StoreStream
    private let notice: Notice

    /// From the client, not yet taken by the store.
    private var incoming: [UInt8] = []
    /// For the client, not yet sent from `outgoingStart` on.
    private var outgoing: [UInt8] = []
    private var outgoingStart = 0
    /// The client sends nothing more; what it has asked for is still answered.
    private var isAtEnd = false
    private(set) var hasEnded = false

    /// The store has something for the client.
    private final class Notice: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    init(_ connection: consuming Descriptor, _ store: StoreHost, _ bell: StoreSocketBell) {
        let notice = Notice()
        self.connection = connection
        self.store = store
        self.notice = notice
        stream = store.connect {
            notice.isSet.store(true, ordering: .releasing)
            bell.ring()
        }
    }

    /// The store forgets the client.
    func close() { store.disconnect(stream) }

    var descriptor: CInt { connection.rawValue }

    private var outgoingByteCount: Int { outgoing.count - outgoingStart }
    private var isPaused: Bool { outgoingByteCount >= Self.pauseByteCount }

    /// What to wait for.
    var interest: CInt {
        (isAtEnd || !incoming.isEmpty || isPaused ? 0 : POLLIN)
            | (outgoingByteCount > 0 ? POLLOUT : 0)
    }

    /// There is something to do without waiting.
    var hasMore: Bool { !incoming.isEmpty && !isPaused }

    /// Does what can be done now; `events` are those of poll(2).
    func serve(_ events: CInt) {
        if events & (POLLERR | POLLNVAL) != 0 { hasEnded = true }
        if events & (POLLIN | POLLHUP) != 0, !isAtEnd, incoming.isEmpty, !isPaused { read() }
        if !incoming.isEmpty, !isPaused { offer() }
        if notice.isSet.exchange(false, ordering: .acquiringAndReleasing) { take() }
        send()
        // Both ways are closed, and nobody would take what waits.
        if events & POLLHUP != 0, isAtEnd || isPaused { hasEnded = true }
        if isAtEnd, incoming.isEmpty, outgoingByteCount == 0 { hasEnded = true }
    }

    private func read() {
        var piece = [UInt8](repeating: 0, count: Self.pieceByteCount)
        let count = unsafe piece.withUnsafeMutableBytes { buffer in
            // SAFETY: the whole buffer.
            unsafe Glibc.read(connection.rawValue, buffer.baseAddress, buffer.count)
        }
        if count > 0 {
            incoming = Array(piece.prefix(count))
        } else if count == 0 {
            isAtEnd = true
        } else if errno != EAGAIN, errno != EINTR {
            hasEnded = true
        }
    }

    private func offer() {
        guard let count = store.receive(incoming, from: stream) else {
            incoming = []
            hasEnded = true
            return
        }
        incoming.removeFirst(count)
        take()
    }

    /// All of it, so that the guest waits for no client to take what the guest's requests have caused.
    private func take() {
        while !hasEnded {
            guard let bytes = store.takeOutput(stream, limit: Self.pauseByteCount) else {
                hasEnded = true
                return
            }
            outgoing.append(contentsOf: bytes)
            if outgoingByteCount > Self.outgoingLimit {
                send()
                if outgoingByteCount > Self.outgoingLimit { hasEnded = true }
            }
            if bytes.count < Self.pauseByteCount { return }
        }
    }

    private func send() {
        while !hasEnded, outgoingByteCount > 0 {
            do throws(XError) {
                guard
                    let count = try UnixSocket.send(
                        connection.rawValue, outgoing[outgoingStart...])
                else { break }
                outgoingStart += count
            } catch {
                hasEnded = true
            }
        }
        if outgoingStart == outgoing.count {
            outgoing.removeAll()
            outgoingStart = 0
        } else if outgoingStart > Self.pauseByteCount {
            outgoing.removeSubrange(..<outgoingStart)
            outgoingStart = 0
        }
    }
}
