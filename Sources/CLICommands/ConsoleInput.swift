import Foundation
internal import HostIO
import Machine

/// Bytes on their way to the guest's console: held until its UART takes them, so that none of a
/// piped input is lost.
///
/// `feed` on one thread, `flush` on any.
final class ConsoleInput: Sendable {
    /// The serial port of the console.
    static let port = 0

    private struct State {
        var machine: Machine?
        /// What the UART has not taken yet.
        var waiting: [UInt8] = []
        var isClosed = false
    }

    /// Held while the UART takes bytes.
    private let state = RankedLock(State(), owner: "console-input", rank: .machine)
    /// Signalled when bytes have gone.
    private let progress = NSCondition()

    /// The machine, once it is made and before it starts.
    func attach(_ machine: Machine) { state.withLock { $0.machine = machine } }

    /// Bytes that may wait before `feed` does.
    private static let largestBacklog = 64 << 10

    /// Takes bytes for the guest; waits while it has a backlog of them. Not on a vCPU's thread.
    func feed(_ bytes: some Collection<UInt8>) {
        state.withLock { $0.waiting += bytes }
        flush()
        progress.lock()
        while isFull { progress.wait() }
        progress.unlock()
    }

    private var isFull: Bool {
        state.withLock { !$0.isClosed && $0.waiting.count > Self.largestBacklog }
    }

    /// Gives the UART what it takes; to be called again when it has room.
    func flush() {
        state.withLock { state in
            guard let machine = state.machine, !state.waiting.isEmpty else { return }
            state.waiting.removeFirst(machine.send(state.waiting, toPort: Self.port))
        }
        progress.lock()
        progress.broadcast()
        progress.unlock()
    }

    /// The guest is gone: nobody waits any more.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.machine = nil
        }
        progress.lock()
        progress.broadcast()
        progress.unlock()
    }
}
