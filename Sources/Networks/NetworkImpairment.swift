internal import Glibc
internal import HostIO
internal import Synchronization
public import Vocabulary

/// A network behind a link that is slow, far or bad: a rate, delay, loss and reordering, each way.
///
/// For tests of guests and of protocols. Losses go by packets: one that is to be segmented is lost
/// whole. Everything is copied once more, and passed on by a thread of its own, `net/NAME-link`.
public final class NetworkImpairment: Network {
    private let base: any Network
    private let core: Core
    private let thread = RankedLock<HostThread?>(nil, owner: "link", rank: .leaf)

    /// - Parameter seed: the same seed gives the same losses for the same packets.
    public init(
        _ base: any Network, sent: LinkImpairment = LinkImpairment(),
        received: LinkImpairment = LinkImpairment(), seed: UInt64 = 1
    ) throws(XError) {
        self.base = base
        core = try Core(base, sent: sent, received: received, seed: seed)
    }

    public var name: String { base.name }
    public var capabilities: NetworkCapabilities { base.capabilities }

    /// Of the network, with what the link lost among the drops.
    public var statistics: NetworkStatistics {
        var result = base.statistics
        result.sent.drops &+= core.sentLosses.count
        result.received.drops &+= core.receivedLosses.count
        return result
    }

    public func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {
        let core = core
        core.sink.withLock { $0 = sink }
        let thread = try HostThread.spawn(name: "net/\(name)-link") { core.run() }
        self.thread.withLock { $0 = thread }
        try base.start(sink: core, offloads: offloads)
    }

    public func setOffloads(_ offloads: PacketOffloads) { base.setOffloads(offloads) }

    /// Never full: what is too much for the link is lost.
    public func send(_ packet: Packet) -> SendOutcome {
        core.insert(packet, core.sent, core.sentLosses)
        return .accepted
    }

    public func resume() { core.unblock(core.received) }

    public func stop() {
        base.stop()
        core.stopping.store(true, ordering: .releasing)
        core.wake.signal()
        let old = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        old?.join()
        core.sink.withLock { $0 = nil }
    }

    deinit { stop() }

    /// What the thread works on, and what the network behind gives its packets to.
    fileprivate final class Core: PacketSink {
        let base: any Network
        let sink = RankedLock<(any PacketSink)?>(nil, owner: "link", rank: .leaf)
        let sent: RankedLane
        let received: RankedLane
        let sentLosses = Counter()
        let receivedLosses = Counter()
        let wake: EventCounter
        let timer: HostTimer
        let stopping = Atomic<Bool>(false)

        init(
            _ base: any Network, sent: LinkImpairment, received: LinkImpairment, seed: UInt64
        ) throws(XError) {
            self.base = base
            self.sent = RankedLane(LinkLane(sent, seed: seed))
            self.received = RankedLane(LinkLane(received, seed: ~seed))
            wake = try EventCounter()
            timer = try HostTimer()
        }

        func insert(_ packet: Packet, _ lane: RankedLane, _ losses: Counter) {
            let now = HostThread.monotonicNow.nanoseconds
            if !lane.lock.withLock({ $0.insert(packet, now: now) }) { losses.increment() }
            wake.signal()
        }

        func unblock(_ lane: RankedLane) {
            lane.lock.withLock { $0.unblock() }
            wake.signal()
        }

        // MARK: PacketSink of the network behind

        func receive(_ packet: Packet) -> Bool {
            insert(packet, received, receivedLosses)
            return true
        }

        func receivedBatch() {}
        func networkAcceptsAgain() { unblock(sent) }

        // MARK: The thread

        func run() {
            while !stopping.load(ordering: .acquiring) {
                wake.take()
                timer.take()
                deliver(sent) { base.send($0) == .accepted }
                let sink = sink.withLock { $0 }
                if let sink, deliver(received, sink.receive) { sink.receivedBatch() }
                let due = [sent, received].compactMap { $0.lock.withLock { $0.nextDue } }.min()
                timer.set(due.map { Instant(nanoseconds: $0) })
                var waits = [wake.descriptor, timer.descriptor].map {
                    pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
                }
                _ = unsafe poll(&waits, 2, -1)
            }
        }

        /// Passes on what has arrived. Whether there was something.
        @discardableResult
        private func deliver(_ lane: RankedLane, _ taker: (Packet) -> Bool) -> Bool {
            var delivered = false
            while true {
                let (found, unblocks) = lane.lock.withLock { lane in
                    (lane.take(now: HostThread.monotonicNow.nanoseconds), lane.unblocks)
                }
                guard let entry = found else { break }
                let taken = unsafe entry.bytes.withUnsafeBytes {
                    unsafe Packet.withBytes($0, metadata: entry.metadata, taker)
                }
                guard taken else {
                    lane.lock.withLock { $0.putBack(entry, before: unblocks) }
                    break
                }
                delivered = true
            }
            return delivered
        }
    }
}

/// A lane that several threads use.
private final class RankedLane: Sendable {
    let lock: RankedLock<LinkLane>
    init(_ lane: LinkLane) { lock = RankedLock(lane, owner: "link", rank: .leaf) }
}

private final class Counter: Sendable {
    private let value = Atomic<UInt64>(0)
    func increment() { value.wrappingAdd(1, ordering: .relaxed) }
    var count: UInt64 { value.load(ordering: .relaxed) }
}
