internal import Glibc
internal import HostIO
internal import Vocabulary

/// What a `StoreSocket`'s thread does: bytes of clients to the store, the store's to them.
///
/// Owner: the thread; before it, who makes it.
final class StoreSocketRun: @unchecked Sendable {
    /// Others are turned away.
    static let clientLimit = 64
    /// Between tries to accept while the host has no room.
    private static let pauseMilliseconds: CInt = 100

    let bell: StoreSocketBell
    private let store: StoreHost
    /// Nil: at the end.
    private var listener: UnixListener?
    private var clients: [StoreSocketClient] = []
    private var hasRoom = true

    init(listener: UnixListener, bell: StoreSocketBell, store: StoreHost) {
        self.listener = listener
        self.bell = bell
        self.store = store
    }

    func run() {
        while !bell.isStopping { turn() }
        for client in clients { client.close() }
        clients = []
        listener = nil
    }

    private func turn() {
        var waits = [
            pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(
                fd: hasRoom ? listener?.descriptor ?? -1 : -1, events: Int16(POLLIN), revents: 0),
        ]
        for client in clients {
            waits.append(
                pollfd(fd: client.descriptor, events: Int16(client.interest), revents: 0))
        }
        let isBusy = clients.contains { $0.hasMore }
        let limit = isBusy ? 0 : hasRoom ? -1 : Self.pauseMilliseconds
        _ = unsafe poll(&waits, nfds_t(waits.count), limit)
        hasRoom = true
        if waits[0].revents != 0 { bell.take() }
        for (client, wait) in zip(clients, waits.dropFirst(2)) {
            client.serve(CInt(wait.revents))
        }
        for client in clients where client.hasEnded { client.close() }
        clients.removeAll { $0.hasEnded }
        if waits[1].revents != 0 { accept() }
    }

    private func accept() {
        while let listener {
            switch listener.accept() {
            case .nobody: return
            case .noRoom:
                hasRoom = false
                return
            case .connection(let descriptor):
                guard clients.count < Self.clientLimit else { continue }
                clients.append(StoreSocketClient(descriptor, store, bell))
            }
        }
    }
}
