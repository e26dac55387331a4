/// What all threads of a pager share, behind its lock.
struct PagerDesk: Sendable {
    typealias Waiter = @Sendable () -> Void

    /// Who waits for each page that is on its way.
    var awaited: [UInt64: [Waiter]] = [:]
    /// Pages to be brought, the oldest first from `head`.
    private var queue: [UInt64] = []
    private var head = 0
    /// Pages that are being taken away and still have their bytes.
    var leaving: Set<UInt64> = []
    /// Who reads the swap file in order.
    var streams = SwapStreams()
    /// Pages of the guest that have host memory, or are about to.
    var residentCount = 0
    /// Fetching threads that wait for `residentCount` to fall.
    var waitingForRoom = 0
    /// The evicting thread has been rung, and has not looked yet.
    var isEvictorRung = false
    var isStopped = false
    /// No page goes, for somebody looks at all of the memory.
    var holdsPages = false
    /// The evictor is at work.
    var isEvicting = false

    mutating func enqueue(_ page: UInt64) { queue.append(page) }

    mutating func dequeue() -> UInt64? {
        guard head < queue.count else { return nil }
        let page = queue[head]
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return page
    }
}
