internal import Synchronization

/// The listener of a port, read without a lock. `EventChannels.Table` keeps every listener that was ever
/// here, so that a sender may call one that has just gone.
@safe
final class EventChannelListenerSlot: Sendable {
    // Owner: the table's list; valid as long as the domain.
    private let word = unsafe Atomic<Unmanaged<EventChannelListener>?>(nil)

    func set(_ listener: EventChannelListener?) {
        unsafe word.store(
            listener.map { unsafe Unmanaged.passUnretained($0) }, ordering: .releasing)
    }

    /// Calls the listener, if there is one.
    func signal() {
        // SAFETY: see the type.
        unsafe word.load(ordering: .acquiring)?.takeUnretainedValue().signal()
    }
}
