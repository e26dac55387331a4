import CHost
import Synchronization
import VirtualCPU
import Vocabulary

/// Where a halted vCPU's thread sleeps until `PendingEvents` has something for it.
///
/// Owner: the machine, one per vCPU. Only the vCPU's thread waits; any thread wakes. The sleep is a
/// futex on the pending word itself, so an event between the last look and the sleep is not lost.
final class WakeGate: Sendable {
    private let pending: PendingEvents
    private let asleep = Atomic<Bool>(false)

    init(_ pending: PendingEvents) {
        self.pending = pending
    }

    /// Sleeps while no event is pending. May return without cause: look again.
    func wait() {
        asleep.store(true, ordering: .sequentiallyConsistent)
        if pending.current.isEmpty {
            // SAFETY: the word lives as long as `pending`, which `self` holds.
            unsafe chost_futex_wait(UnsafeRawPointer(pending.word), 0)
        }
        asleep.store(false, ordering: .sequentiallyConsistent)
    }

    /// Wakes the vCPU's thread if it sleeps. Call after raising an event.
    func wake() {
        guard asleep.load(ordering: .sequentiallyConsistent) else { return }
        // SAFETY: as above.
        unsafe chost_futex_wake(UnsafeRawPointer(pending.word))
    }
}
