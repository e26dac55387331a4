import Foundation
import Glibc
import HostIO
import Synchronization

/// An NBD server that does what a test wants: it serves bytes at a socket, stalls, drops its clients, comes
/// back. Fixed newstyle negotiation with NBD_OPT_GO, simple replies.
///
/// Owner: the test. Any thread.
final class PlayedServer: @unchecked Sendable {
    /// What it does. Looked at for each request.
    struct Behaviour: Sendable {
        var bytes: [UInt8]
        /// The flag NBD_FLAG_CAN_MULTI_CONN.
        var allowsSeveral = true
        /// Clients are accepted, and hear nothing.
        var isMute = false
        /// Reads are answered while it is false.
        var stalls = false
        /// An errno of the protocol that reads are answered with; 0: none.
        var readError: UInt32 = 0
        /// Every client is dropped after so many reads; nil: none is.
        var readsOfClient: Int?
        /// What reads have to be multiples of, as the server says and asks.
        var blockByteCount: UInt32 = 1
    }

    let path: String
    var address: String { "nbd+unix:///?socket=\(path)" }
    private let behaviour: RankedLock<Behaviour>
    private let listener = RankedLock(Listener?.none, owner: "played-server", rank: .leaf)
    private let clients = RankedLock([CInt](), owner: "played-clients", rank: .leaf)
    /// Reads that were answered, and clients that came.
    let readCount = Atomic<Int>(0)
    let clientCount = Atomic<Int>(0)

    private struct Listener: Sendable {
        var socket: UnixListener
        var thread: HostThread
        var end: EventCounter
    }

    /// - Parameter folder: where its socket is.
    init(_ bytes: [UInt8], folder: String) throws {
        path = folder + "/s"
        behaviour = RankedLock(Behaviour(bytes: bytes), owner: "played", rank: .leaf)
        try begin()
    }

    deinit { end() }

    func set(_ change: @Sendable (inout Behaviour) -> Void) { behaviour.withLock { change(&$0) } }

    private var now: Behaviour { behaviour.withLock { $0 } }

    /// Takes clients.
    func begin() throws {
        let socket = try UnixListener(path: path, option: "path")
        let end = try EventCounter()
        let thread = try HostThread.spawn(name: "played") { [weak self] in
            while true {
                var descriptors = [
                    pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: end.descriptor, events: Int16(POLLIN), revents: 0),
                ]
                _ = unsafe poll(&descriptors, 2, -1)
                if descriptors[1].revents != 0 { return }
                let client = accept(socket.descriptor, nil, nil)
                guard client >= 0, let self else { continue }
                self.take(client)
            }
        }
        listener.withLock { $0 = Listener(socket: socket, thread: thread, end: end) }
    }

    /// Its clients are dropped in the middle of whatever they do, and nobody listens any more.
    func end() {
        let gone = listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        gone?.end.signal()
        gone?.thread.join()
        drop()
    }

    /// Drops its clients; more may come.
    func drop() { clients.withLock { for each in $0 { shutdown(each, CInt(SHUT_RDWR)) } } }

    private func take(_ client: CInt) {
        clientCount.add(1, ordering: .relaxed)
        clients.withLock { $0.append(client) }
        _ = try? HostThread.spawn(name: "played-client") { [weak self] in
            HostThread.refuseBrokenPipeSignal()
            if let self { Client(client).serve(self) }
            self?.clients.withLock { $0.removeAll { $0 == client } }
            // A process that another test has started may have it too.
            shutdown(client, CInt(SHUT_RDWR))
            close(client)
        }
    }

    /// One client's connection, on its thread.
    private struct Client {
        let socket: CInt

        init(_ socket: CInt) { self.socket = socket }

        func serve(_ server: PlayedServer) {
            while server.now.isMute {
                if !isThere { return }
                usleep(1000)
            }
            guard negotiate(server) else { return }
            var reads = 0
            while let request = receive(28) {
                guard number(request, 0, 4) == 0x2560_9513 else { return }
                let (kind, cookie) = (number(request, 6, 2), request[8..<16])
                let (offset, count) = (Int(number(request, 16, 8)), Int(number(request, 24, 4)))
                if kind == 2 { return }
                while server.now.stalls {
                    if !isThere { return }
                    usleep(1000)
                }
                let now = server.now
                if let most = now.readsOfClient, reads >= most { return }
                reads += 1
                let block = Int(now.blockByteCount)
                let isRight =
                    kind == 0 && offset + count <= now.bytes.count && offset % block == 0
                    && count % block == 0
                let error = isRight ? now.readError : 22
                var answer = bytes(0x6744_6698, 4) + bytes(UInt64(error), 4) + cookie
                if error == 0 { answer += now.bytes[offset..<offset + count] }
                guard send(answer) else { return }
                server.readCount.add(1, ordering: .relaxed)
            }
        }

        private func negotiate(_ server: PlayedServer) -> Bool {
            let option: UInt64 = 0x4948_4156_454f_5054
            guard send(bytes(0x4e42_444d_4147_4943, 8) + bytes(option, 8) + bytes(3, 2)),
                receive(4) != nil
            else { return false }
            while let head = receive(16) {
                guard number(head, 0, 8) == option, receive(Int(number(head, 12, 4))) != nil else {
                    return false
                }
                func reply(_ kind: UInt64, _ data: [UInt8] = []) -> Bool {
                    send(
                        bytes(0x3_e889_0455_65a9, 8) + head[8..<12] + bytes(kind, 4)
                            + bytes(UInt64(data.count), 4) + data)
                }
                guard number(head, 8, 4) == 7 else {
                    guard reply(0x8000_0001) else { return false }
                    continue
                }
                let now = server.now
                let flags: UInt64 = 1 | 2 | (now.allowsSeveral ? 1 << 8 : 0)
                let block = UInt64(now.blockByteCount)
                return reply(3, bytes(0, 2) + bytes(UInt64(now.bytes.count), 8) + bytes(flags, 2))
                    && reply(3, bytes(3, 2) + bytes(block, 4) + bytes(4096, 4) + bytes(65_536, 4))
                    && reply(1)
            }
            return false
        }

        /// The client has not gone.
        private var isThere: Bool {
            var byte: UInt8 = 0
            let count = unsafe recv(
                socket, &byte, 1, CInt(MSG_PEEK | MSG_DONTWAIT))
            return count > 0 || count < 0 && errno == EAGAIN
        }

        private func receive(_ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            var done = 0
            while done < count {
                let got = unsafe bytes.withUnsafeMutableBytes {
                    unsafe recv(socket, $0.baseAddress.map { unsafe $0 + done }, count - done, 0)
                }
                if got <= 0 { return nil }
                done += got
            }
            return bytes
        }

        private func send(_ bytes: [UInt8]) -> Bool {
            var done = 0
            while done < bytes.count {
                let sent = unsafe bytes.withUnsafeBytes {
                    unsafe Glibc.send(
                        socket, $0.baseAddress.map { unsafe $0 + done }, bytes.count - done,
                        CInt(MSG_NOSIGNAL))
                }
                if sent <= 0 { return false }
                done += sent
            }
            return true
        }

        private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
            bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
        }

        private func bytes(_ number: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) }
        }
    }
}
