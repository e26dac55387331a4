internal import Synchronization

/// Events on their way to the writer: a bounded queue (Vyukov's) that any thread fills and one
/// empties. What does not fit is dropped and counted; nobody waits.
///
/// Owner: `TraceRecorder`, and whoever has a `TraceTrack` of it.
@safe @usableFromInline final class TraceRing: @unchecked Sendable {
    /// Events that wait at most; a power of two. Half a MiB with the events of this size.
    static let capacity = 4096

    /// Called when the ring is half full: the writer should not sleep on.
    private let wakeWriter: @Sendable () -> Void
    // SAFETY: both have `capacity` elements, live as long as the ring, and an event is touched only
    // by the thread that its sequence number gives it to.
    private let sequences: UnsafeMutablePointer<Atomic<UInt64>>
    private let events: UnsafeMutablePointer<TraceEvent?>
    private let tail = Atomic<UInt64>(0)
    /// Written by the writer alone.
    private let head = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)

    init(wakeWriter: @escaping @Sendable () -> Void) {
        self.wakeWriter = wakeWriter
        unsafe sequences = .allocate(capacity: Self.capacity)
        unsafe events = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            unsafe (sequences + index).initialize(to: Atomic(UInt64(index)))
        }
        unsafe events.initialize(repeating: nil, count: Self.capacity)
    }

    deinit {
        unsafe sequences.deinitialize(count: Self.capacity)
        unsafe sequences.deallocate()
        unsafe events.deinitialize(count: Self.capacity)
        unsafe events.deallocate()
    }

    /// Any thread.
    @usableFromInline func record(_ event: TraceEvent) {
        var position = tail.load(ordering: .relaxed)
        while true {
            let slot = Int(position & UInt64(Self.capacity - 1))
            let sequence = unsafe sequences[slot].load(ordering: .acquiring)
            if sequence == position {
                let (won, found) = tail.weakCompareExchange(
                    expected: position, desired: position &+ 1, ordering: .relaxed)
                if won {
                    unsafe events[slot] = event
                    unsafe sequences[slot].store(position &+ 1, ordering: .releasing)
                    break
                }
                position = found
            } else if sequence < position {
                if dropped.wrappingAdd(1, ordering: .relaxed).oldValue == 0 { wakeWriter() }
                return
            } else {
                position = tail.load(ordering: .relaxed)
            }
        }
        if position &- head.load(ordering: .relaxed) == UInt64(Self.capacity / 2) { wakeWriter() }
    }

    /// The oldest event, off the ring. The writer only.
    func take() -> TraceEvent? {
        let position = head.load(ordering: .relaxed)
        let slot = Int(position & UInt64(Self.capacity - 1))
        guard unsafe sequences[slot].load(ordering: .acquiring) == position &+ 1 else { return nil }
        let event = unsafe events[slot]
        unsafe sequences[slot].store(position &+ UInt64(Self.capacity), ordering: .releasing)
        head.store(position &+ 1, ordering: .relaxed)
        return event
    }

    /// Events lost since this was last asked.
    func takeDropped() -> UInt64 { dropped.exchange(0, ordering: .relaxed) }
}
