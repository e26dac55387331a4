internal import HostIO
internal import Synchronization
internal import Vocabulary

/// Packets that guests' threads put in and the network's thread takes out, all at once.
final class SendQueue: Sendable {
    private struct State: Sendable {
        var filling: PacketArena
        /// The network's thread is waiting, or will before it looks again.
        var consumerWaits = false
        /// Somebody was told that the queue is full.
        var producerWaits = false
        var isClosed = false
    }

    /// Bytes of packets that wait: sixteen connections' windows.
    static let capacity = 1 << 20

    private let state: RankedLock<State>
    private let counters: NetworkCounters
    private let resumed = Atomic<Bool>(false)
    /// What the network's thread waits for.
    let wake: EventCounter

    init(owner: String, counters: NetworkCounters) throws(XError) {
        wake = try EventCounter()
        self.counters = counters
        state = RankedLock(
            State(filling: PacketArena(capacity: Self.capacity)), owner: owner, rank: .leaf)
    }

    /// Copies a packet. Any thread.
    func append(_ packet: Packet) -> SendOutcome {
        guard packet.byteCount <= Packet.maximumByteCount, packet.byteCount >= 14 else {
            counters.sent.error()
            return .accepted
        }
        let (outcome, wakes) = state.withLock { state in
            if state.isClosed { return (SendOutcome.accepted, false) }
            guard state.filling.append(packet) else {
                state.producerWaits = true
                return (.full, false)
            }
            let wakes = state.consumerWaits
            state.consumerWaits = false
            return (.accepted, wakes)
        }
        switch outcome {
        case .accepted: counters.sent.count(packet.byteCount)
        case .full: counters.sendWaits.wrappingAdd(1, ordering: .relaxed)
        }
        if wakes { wake.signal() }
        return outcome
    }

    /// Gives an empty arena for one with what is queued. The network's thread.
    ///
    /// - Returns: the arena, and whether somebody waits for the room that there is now.
    func exchange(_ empty: PacketArena) -> (PacketArena, producerWaited: Bool) {
        state.withLock { state in
            guard !state.filling.isEmpty else { return (empty, false) }
            let filled = state.filling
            state.filling = empty
            defer { state.producerWaits = false }
            return (filled, state.producerWaits)
        }
    }

    /// Before the network's thread waits for `wake`: false if it must not, there is something to do.
    func prepareToWait() -> Bool {
        if resumed.load(ordering: .acquiring) { return false }
        return state.withLock { state in
            state.consumerWaits = state.filling.isEmpty && !state.isClosed
            return state.consumerWaits
        }
    }

    /// The sink has room again. Any thread.
    func resume() {
        resumed.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Whether `resume` was called since this was last asked.
    func takeResumed() -> Bool { resumed.exchange(false, ordering: .acquiringAndReleasing) }

    /// Ends the thread's waiting. What is sent from now on is lost.
    func close() {
        state.withLock { $0.isClosed = true }
        wake.signal()
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }
}
