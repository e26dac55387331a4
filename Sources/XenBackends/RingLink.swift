internal import GuestMemory
internal import Vocabulary
internal import Xen

/// A ring of one page, with its grant and the event channel that goes with it.
struct RingLink: Sendable {
    var ring: SharedRing
    let grant: GrantTable.Grant
    let port: EventChannelPort

    /// Nil: the page is not granted.
    init?(
        _ face: XenFace, _ reference: UInt32, port: UInt32, entryByteCount: Int
    ) {
        guard let grant = face.grantTable.begin(GrantReference(reference), write: true) else {
            return nil
        }
        guard grant.byteCount == 4096 else {
            face.grantTable.end(grant)
            return nil
        }
        self.grant = grant
        self.port = EventChannelPort(port)
        ring = SharedRing(face.memory, pages: [grant.address], entryByteCount: entryByteCount)
    }

    /// What a frontend wrote of it in the store.
    struct State: Codable, Sendable, Equatable {
        var reference: UInt32
        var port: UInt32
    }

    var state: State { State(reference: grant.reference.rawValue, port: port.rawValue) }
}
