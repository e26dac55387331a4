internal import CHost
import Glibc
internal import Synchronization

/// What the bus lock of a processor is to a machine's engines: while one holds it, no other one runs
/// guest code. For locked instructions whose operand lies in two cache lines (SDM volume 3, 9.1.2).
///
/// The host's own instruction would do, but hosts find it so harmful that they end the process or
/// have it sleep for each (Linux's `split_lock_detect`): a guest must not have that in its hands. An
/// engine sits down before it runs guest code and gets up after; the one that holds the lock asks
/// the seated ones to pause, and waits until they do. An engine that paused for one holder runs on
/// before there is another, so nobody starves.
///
/// Owner: `GuestMemory`. Any thread.
@safe public final class BusLock: Sendable {
    /// One engine's place. Owner: the engine.
    public final class Seat: Sendable {
        fileprivate let isTaken = Atomic<Bool>(false)
        /// The engine runs guest code, or is about to. Any thread.
        public var isInGuestCode: Bool { isTaken.load(ordering: .sequentiallyConsistent) }
        /// It is in the midst of a guest instruction, or may be. Any thread.
        public var isWithinInstruction: Bool {
            isInGuestCode || isHolder.load(ordering: .sequentiallyConsistent)
        }
        fileprivate let isHolder = Atomic<Bool>(false)
        fileprivate let ask: @Sendable () -> Void

        fileprivate init(_ ask: @escaping @Sendable () -> Void) { self.ask = ask }
    }

    /// Bit 0: held. Above: how many engines pause for a holder.
    // SAFETY: the pointer never changes and what it points at is atomic.
    private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let seats = GrowingList<Seat>()
    private static let held: UInt32 = 1
    private static let pausing: UInt32 = 2

    init() {
        // SAFETY: initialised here, once, and freed in deinit.
        unsafe word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(0))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    /// A place for an engine, for as long as this object.
    ///
    /// - Parameter ask: has the engine call `pauseIfAsked` soon; any thread, must not block.
    public func makeSeat(ask: @escaping @Sendable () -> Void) -> Seat {
        let seat = Seat(ask)
        _ = seats.append(seat)
        return seat
    }

    /// Before guest code is run. Waits for a holder.
    public func sitDown(_ seat: Seat) {
        seat.isTaken.store(true, ordering: .sequentiallyConsistent)
        pauseIfAsked(seat)
    }

    /// After guest code was run.
    public func getUp(_ seat: Seat) { seat.isTaken.store(false, ordering: .releasing) }

    /// Between two blocks of guest code. Waits for a holder.
    public func pauseIfAsked(_ seat: Seat) {
        if unsafe word.pointee.load(ordering: .sequentiallyConsistent) & Self.held != 0 {
            pause(seat)
        }
    }

    @inline(never)
    private func pause(_ seat: Seat) {
        var value = unsafe word.pointee.load(ordering: .sequentiallyConsistent)
        while value & Self.held != 0 {
            let (done, found) = unsafe word.pointee.compareExchange(
                expected: value, desired: value &+ Self.pausing, ordering: .sequentiallyConsistent)
            if done {
                seat.isTaken.store(false, ordering: .sequentiallyConsistent)
                waitWhile { $0 & Self.held != 0 }
                // Nobody takes the lock while anybody pauses.
                seat.isTaken.store(true, ordering: .sequentiallyConsistent)
                let (_, left) = unsafe word.pointee.subtract(
                    Self.pausing, ordering: .sequentiallyConsistent)
                if left == 0 { wakeAll() }
                return
            }
            value = found
        }
    }

    /// Runs `body` while no other engine runs guest code. From guest code, which for the others is
    /// between two instructions here.
    @inline(never)
    public func withLock<R>(_ seat: Seat, _ body: () -> R) -> R {
        seat.isHolder.store(true, ordering: .sequentiallyConsistent)
        seat.isTaken.store(false, ordering: .sequentiallyConsistent)
        while unsafe !word.pointee.compareExchange(
            expected: 0, desired: Self.held, ordering: .sequentiallyConsistent
        ).exchanged {
            waitWhile { $0 != 0 }
        }
        seats.forEach { _, other in
            if other !== seat, other.isInGuestCode { other.ask() }
        }
        seats.forEach { _, other in
            if other === seat { return }
            var looks = 0
            while other.isInGuestCode {
                looks += 1
                // Its thread may wait for this one's processor.
                if looks < 200 { chost_pause() } else { sched_yield() }
            }
        }
        let result = body()
        seat.isTaken.store(true, ordering: .sequentiallyConsistent)
        seat.isHolder.store(false, ordering: .sequentiallyConsistent)
        unsafe word.pointee.subtract(Self.held, ordering: .sequentiallyConsistent)
        wakeAll()
        return result
    }

    private func waitWhile(_ condition: (UInt32) -> Bool) {
        while true {
            let value = unsafe word.pointee.load(ordering: .sequentiallyConsistent)
            if !condition(value) { return }
            // SAFETY: the word lives as long as `self`.
            unsafe chost_futex_wait(UnsafeRawPointer(word), value)
        }
    }

    private func wakeAll() {
        // SAFETY: as above.
        unsafe chost_futex_wake_all(UnsafeRawPointer(word))
    }
}
