internal import GuestMemory
internal import HostIO
internal import Interrupts
internal import Synchronization
internal import Vocabulary
internal import Xen

/// The control ring of a network interface: by it a frontend says how its queues are chosen.
///
/// Owner: `NetworkBackend`. Requests are answered where the guest's notification comes, so at once; any
/// thread asks for the hash.
final class NetworkControl: Sendable {
    /// xen_netif_ctrl_request and _response.
    private static let entryByteCount = 16

    /// XEN_NETIF_CTRL_TYPE_*.
    private enum Request: UInt16 {
        case getHashFlags = 1
        case setHashFlags = 2
        case setHashKey = 3
        case getMappingSize = 4
        case setMappingSize = 5
        case setMapping = 6
        case setAlgorithm = 7
    }

    /// XEN_NETIF_CTRL_STATUS_*.
    enum Status: UInt32 {
        case success = 0
        case notSupported = 1
        case invalidParameter = 2
        case bufferOverflow = 3
    }

    private struct Registers: Sendable {
        var link: RingLink?
        var hash = ToeplitzHash()
        var queueCount = 1
    }

    private let grantTable: GrantTable
    private let channels: EventChannels
    private let memory: GuestMemory
    private let registers: RankedLock<Registers>
    /// Packets are to be hashed: read for each.
    private let hashes = Atomic<Bool>(false)

    init(_ title: String, _ face: XenFace) {
        grantTable = face.grantTable
        channels = face.eventChannels
        memory = face.memory
        registers = RankedLock(Registers(), owner: "\(title)-ctl", rank: .device)
    }

    /// Begins with as many queues and no hash. False: the ring cannot be used.
    func connect(
        _ face: XenFace, _ state: RingLink.State?, queueCount: Int,
        hash: ToeplitzHash = ToeplitzHash()
    ) -> Bool {
        disconnect()
        var link: RingLink?
        if let state {
            guard
                let made = RingLink(
                    face, state.reference, port: state.port, entryByteCount: Self.entryByteCount)
            else { return false }
            let later = Later<NetworkControl>()
            later.set(self)
            guard channels.connect(made.port, signal: { later.part?.serve() }) else {
                grantTable.end(made.grant)
                return false
            }
            link = made
        }
        let new = link
        registers.withLock { registers in
            registers.link = new
            registers.queueCount = queueCount
            set(hash, &registers)
        }
        return true
    }

    func disconnect() {
        let old = registers.withLock { registers in
            set(ToeplitzHash(), &registers)
            defer { registers.link = nil }
            return registers.link
        }
        guard let old else { return }
        channels.disconnect(old.port)
        grantTable.end(old.grant)
    }

    private func set(_ hash: ToeplitzHash, _ registers: inout Registers) {
        registers.hash = hash
        hashes.store(hash.isSelected && hash.kinds != 0, ordering: .releasing)
    }

    /// How a frame's queue is to be chosen; nil: as the backend likes.
    ///
    /// - Parameter frame: its first bytes, at least the headers.
    func hash(
        of frame: UnsafeRawBufferPointer, frameByteCount: Int
    ) -> (value: ToeplitzHash.Value, queue: Int)? {
        guard hashes.load(ordering: .acquiring) else { return nil }
        let (hash, count) = registers.withLock { ($0.hash, $0.queueCount) }
        return unsafe hash.value(of: frame, frameByteCount: frameByteCount).map {
            ($0, hash.queue($0.value, of: count))
        }
    }

    // MARK: Requests

    private func serve() {
        let port = registers.withLock { registers -> EventChannelPort? in
            while let ring = registers.link?.ring {
                guard let waiting = ring.waiting else { return nil }
                if waiting == 0, !ring.wantsMore() { break }
                answer(ring, &registers)
            }
            return registers.link?.ring.takeNotification() == true ? registers.link?.port : nil
        }
        if let port { channels.raise(port) }
    }

    private func answer(_ ring: borrowing SharedRing, _ registers: inout Registers) {
        let index = ring.requestConsumer
        let head = ring.read(index, 0, as: UInt32.self)
        let data = (0..<3).map { ring.read(index, 4 + $0 * 4, as: UInt32.self) }
        registers.link?.ring.take()
        let (status, value) = perform(UInt16(truncatingIfNeeded: head >> 16), data, &registers)
        ring.write(0, 0, head)
        ring.write(0, 4, status.rawValue)
        ring.write(0, 8, value)
        registers.link?.ring.publish()
    }

    private func perform(
        _ type: UInt16, _ data: [UInt32], _ registers: inout Registers
    ) -> (Status, UInt32) {
        guard let request = Request(rawValue: type) else { return (.notSupported, 0) }
        var hash = registers.hash
        if request == .setAlgorithm {
            guard data[0] <= UInt32(ToeplitzHash.algorithm) else { return (.invalidParameter, 0) }
            hash.isSelected = data[0] != 0
            set(hash, &registers)
            return (.success, 0)
        }
        switch request {
        case .getMappingSize: return (.success, UInt32(ToeplitzHash.largestMapping))
        case .getHashFlags:
            return hash.isSelected ? (.success, ToeplitzHash.Kind.all) : (.notSupported, 0)
        case .setHashFlags:
            guard hash.isSelected else { return (.notSupported, 0) }
            guard data[0] & ~ToeplitzHash.Kind.all == 0 else { return (.invalidParameter, 0) }
            hash.kinds = data[0]
        case .setHashKey:
            guard Int(data[1]) <= ToeplitzHash.largestKey else { return (.bufferOverflow, 0) }
            guard data[1] > 0 else {
                hash.key = []
                break
            }
            guard let key = bytes(data[0], count: Int(data[1])) else {
                return (.invalidParameter, 0)
            }
            hash.key = key
        case .setMappingSize:
            guard Int(data[0]) <= ToeplitzHash.largestMapping else {
                return (.invalidParameter, 0)
            }
            hash.mapping = Array(repeating: 0, count: Int(data[0]))
        case .setMapping:
            let status = map(data, registers.queueCount, &hash)
            guard status == .success else { return (status, 0) }
        case .setAlgorithm: break
        }
        set(hash, &registers)
        return (.success, 0)
    }

    private func map(
        _ data: [UInt32], _ queueCount: Int, _ hash: inout ToeplitzHash
    ) -> Status {
        let (count, offset) = (Int(data[1]), Int(data[2]))
        guard count <= 4096 / 4 else { return .bufferOverflow }
        guard offset <= hash.mapping.count, count <= hash.mapping.count - offset,
            let bytes = bytes(data[0], count: count * 4)
        else { return .invalidParameter }
        for index in 0..<count {
            let queue =
                UInt32(bytes[index * 4]) | UInt32(bytes[index * 4 + 1]) << 8
                | UInt32(bytes[index * 4 + 2]) << 16 | UInt32(bytes[index * 4 + 3]) << 24
            guard queue < UInt32(queueCount) else { return .invalidParameter }
            hash.mapping[offset + index] = queue
        }
        return .success
    }

    /// The first bytes of a granted page.
    private func bytes(_ reference: UInt32, count: Int) -> [UInt8]? {
        guard let grant = grantTable.begin(GrantReference(reference), write: false) else {
            return nil
        }
        defer { grantTable.end(grant) }
        return count <= Int(grant.byteCount) ? memory.read(grant.address, byteCount: count) : nil
    }

    /// Where the ring is, and what was set.
    var captured: (RingLink.State?, ToeplitzHash) {
        registers.withLock { ($0.link?.state, $0.hash) }
    }
}
