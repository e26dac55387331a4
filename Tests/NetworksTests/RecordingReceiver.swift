import HostIO
import Vocabulary

@testable import Networks

/// A guest's side that keeps what it is given.
final class RecordingReceiver: PacketSink {
    struct Received: Sendable {
        var bytes: [UInt8]
        var metadata: PacketMetadata
    }

    private struct State: Sendable {
        var packets: [Received] = []
        var room = Int.max
        var batches = 0
        var accepts = 0
    }

    private let state = RankedLock(State(), owner: "test", rank: .device)

    func receive(_ packet: Packet) -> Bool {
        state.withLock { state in
            guard state.room > 0 else { return false }
            state.room -= 1
            state.packets.append(Received(bytes: packet.bytes, metadata: packet.metadata))
            return true
        }
    }

    func receivedBatch() { state.withLock { $0.batches += 1 } }
    func networkAcceptsAgain() { state.withLock { $0.accepts += 1 } }

    var batches: Int { state.withLock { $0.batches } }
    var accepts: Int { state.withLock { $0.accepts } }
    var count: Int { state.withLock { $0.packets.count } }

    /// Packets that are taken before it is full.
    func setRoom(_ room: Int) { state.withLock { $0.room = room } }

    /// What came so far.
    func takeAll() -> [Received] {
        state.withLock { state in
            defer { state.packets = [] }
            return state.packets
        }
    }

    func takeFirst() -> Received? {
        state.withLock { $0.packets.isEmpty ? nil : $0.packets.removeFirst() }
    }

    /// The next packet, waited for.
    func next(seconds: Double = 10) -> Received? {
        var result: Received?
        _ = eventually(seconds: seconds) {
            result = self.takeFirst()
            return result != nil
        }
        return result
    }
}

/// Whether a condition comes true in time.
func eventually(seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    let end = HostThread.monotonicNow.nanoseconds + UInt64(seconds * 1e9)
    while !condition() {
        if HostThread.monotonicNow.nanoseconds > end { return false }
        HostThread.sleep(nanoseconds: 200_000)
    }
    return true
}

extension Network {
    @discardableResult
    func send(_ bytes: [UInt8], _ metadata: PacketMetadata = PacketMetadata()) -> SendOutcome {
        unsafe bytes.withUnsafeBytes {
            unsafe Packet.withBytes($0, metadata: metadata, self.send)
        }
    }
}

/// Runs `body` on a thread in a network namespace of its own; false if the host does not allow that.
func inOwnNamespace(
    _ enter: @escaping @Sendable () -> CInt, _ body: @escaping @Sendable () throws -> Void
) throws -> Bool {
    let box = NamespaceOutcome()
    try HostThread.spawn(name: "namespace") {
        guard enter() == 0 else { return }
        box.entered.withLock { $0 = true }
        do { try body() } catch { box.error.withLock { $0 = "\(error)" } }
    }.join()
    if let error = box.error.withLock({ $0 }) { throw XError(.hostCall, error) }
    return box.entered.withLock { $0 }
}

private final class NamespaceOutcome: Sendable {
    let entered = RankedLock(false, owner: "test", rank: .device)
    let error = RankedLock<String?>(nil, owner: "test", rank: .device)
}
