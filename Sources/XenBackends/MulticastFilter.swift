internal import HostIO
internal import Synchronization

/// Which groups' frames a guest wants, once it has asked for that
/// (xen/include/public/io/netif.h, "feature-multicast-control").
///
/// Any thread.
final class MulticastFilter: Sendable {
    /// XEN_NETBK_MCAST_MAX of Linux.
    static let capacity = 64
    private static let broadcast: UInt64 = 0xffff_ffff_ffff

    private let groups = RankedLock<Set<UInt64>>([], owner: "multicast", rank: .leaf)
    private let isActive = Atomic<Bool>(false)

    /// Frames of groups that are not wanted are dropped, or not.
    func setActive(_ active: Bool) { isActive.store(active, ordering: .releasing) }

    /// False: there is no room for another group.
    func change(_ change: TransmitPacket.Multicast) -> Bool {
        groups.withLock { groups in
            if !change.isAdded {
                groups.remove(change.address)
                return true
            }
            guard groups.count < Self.capacity || groups.contains(change.address) else {
                return false
            }
            groups.insert(change.address)
            return true
        }
    }

    func reset() { groups.withLock { $0 = [] } }

    /// Whether the guest wants a frame, by its first bytes.
    func allows(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard isActive.load(ordering: .acquiring), frame.count >= 6, unsafe frame[0] & 1 != 0
        else { return true }
        var address: UInt64 = 0
        for index in 0..<6 { address = unsafe address << 8 | UInt64(frame[index]) }
        return address == Self.broadcast || groups.withLock { $0.contains(address) }
    }

    struct State: Codable, Sendable, Equatable {
        var isActive: Bool
        var groups: [UInt64]
    }

    var captured: State {
        State(
            isActive: isActive.load(ordering: .relaxed), groups: groups.withLock { $0.sorted() })
    }

    func restore(_ state: State) {
        groups.withLock { $0 = Set(state.groups.prefix(Self.capacity)) }
        setActive(state.isActive)
    }
}
