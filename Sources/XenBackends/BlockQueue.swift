internal import Disks
internal import GuestMemory
internal import HostIO
internal import Interrupts
internal import Synchronization
internal import Vocabulary
internal import Xen

/// One queue of a disk.
///
/// Owner: `BlockBackend`. The ring is touched with the lock held: requests are taken in the queue's
/// context, responses given by the disk's thread.
final class BlockQueue: Sendable {
    struct Connection: Sendable {
        var ring: BlockRing
        var ringGrants: [GrantTable.Grant]
        var port: EventChannelPort
        var isPersistent: Bool
        var largestIndirect: Int
        /// Grants that are kept, by reference.
        var kept: [UInt32: GrantTable.Grant] = [:]
        /// Requests taken and not answered.
        var inFlight = 0
        /// No more are taken.
        var isClosing = false
        /// Which connection it is: an answer is for the one its request came by.
        var generation: UInt64
    }

    struct Registers: Sendable {
        var connection: Connection?
        var generation: UInt64 = 0
    }

    /// Grants that are kept at most: as many as a full ring uses at once.
    static let mostKept = 16 << 10

    let grantTable: GrantTable
    private let channels: EventChannels
    let memory: GuestMemory
    let disk: Disk
    let registers: RankedLock<Registers>
    let context: InterruptContext
    private let requests = Atomic<UInt64>(0)
    private let refusals = Atomic<UInt64>(0)
    private let notifications = Atomic<UInt64>(0)

    init(
        _ title: String, _ index: Int, _ face: XenFace, _ memory: GuestMemory, _ disk: Disk,
        _ policy: InterruptContext.Policy
    ) {
        grantTable = face.grantTable
        channels = face.eventChannels
        self.memory = memory
        self.disk = disk
        registers = RankedLock(Registers(), owner: "\(title)-q\(index)", rank: .device)
        let work = Later<BlockQueue>()
        context = InterruptContext(
            policy, device: title, queue: "\(title)-q\(index)",
            finding: { work.part?.run() ?? false })
        work.set(self)
    }

    // MARK: Connection

    /// False: a grant or the event channel cannot be used.
    func connect(
        ring references: [GrantReference], layout: BlockProtocol, port: EventChannelPort,
        isPersistent: Bool, largestIndirect: Int
    ) -> Bool {
        disconnect()
        var grants: [GrantTable.Grant] = []
        for reference in references {
            guard let grant = grantTable.begin(reference, write: true), grant.byteCount == 4096
            else {
                for grant in grants { grantTable.end(grant) }
                return false
            }
            grants.append(grant)
        }
        guard !grants.isEmpty, channels.connect(port, signal: { [context] in context.signal() })
        else {
            for grant in grants { grantTable.end(grant) }
            return false
        }
        let ring = BlockRing(memory, pages: grants.map(\.address), layout: layout)
        let granted = grants
        registers.withLock { registers in
            registers.generation &+= 1
            registers.connection = Connection(
                ring: ring, ringGrants: granted, port: port, isPersistent: isPersistent,
                largestIndirect: largestIndirect, generation: registers.generation)
        }
        return true
    }

    /// Takes no more requests, and waits for those in flight: until then the disk may read and write the
    /// guest's pages.
    func disconnect() {
        registers.withLock { $0.connection?.isClosing = true }
        while registers.withLock({ $0.connection?.inFlight ?? 0 }) > 0 {
            HostThread.sleep(nanoseconds: 1_000_000)
        }
        let old = registers.withLock { registers in
            defer { registers.connection = nil }
            return registers.connection
        }
        guard let old else { return }
        channels.disconnect(old.port)
        for grant in old.ringGrants { grantTable.end(grant) }
        for grant in old.kept.values { grantTable.end(grant) }
    }

    // MARK: Requests

    /// How a request came.
    struct Way {
        /// Of the connection.
        var generation: UInt64
        /// No other is in flight or waits on the ring.
        var isAlone: Bool
    }

    /// In the queue's context: takes what is on the ring. False: there was nothing.
    private func run() -> Bool {
        var hasFound = false
        while true {
            let next = registers.withLock { registers -> (BlockRequest, Way)? in
                guard var connection = registers.connection, !connection.isClosing else {
                    return nil
                }
                guard let waiting = connection.ring.waiting else {
                    // The frontend has broken its ring: it is not looked at any more.
                    registers.connection?.ring = connection.ring
                    return nil
                }
                if waiting == 0, !connection.ring.wantsMore() { return nil }
                let request = connection.ring.take()
                connection.inFlight += 1
                registers.connection?.ring = connection.ring
                registers.connection?.inFlight = connection.inFlight
                let isAlone = connection.inFlight == 1 && connection.ring.waiting == 0
                return (request, Way(generation: connection.generation, isAlone: isAlone))
            }
            guard let (request, way) = next else { return hasFound }
            hasFound = true
            requests.wrappingAdd(1, ordering: .relaxed)
            perform(request, way)
        }
    }

    private func perform(_ request: BlockRequest, _ way: Way) {
        let generation = way.generation
        switch BlockRequest.Operation(rawValue: request.operation) {
        case .read: transfer(request, request.segments, isWrite: false, way)
        case .write: transfer(request, request.segments, isWrite: true, way)
        case .flush: flush(request, way)
        case .discard: discard(request, generation)
        case .indirect:
            guard let segments = indirectSegments(request, generation) else {
                return answer(request, .error, generation)
            }
            switch BlockRequest.Operation(rawValue: request.indirectOperation) {
            case .read: transfer(request, segments, isWrite: false, way)
            case .write: transfer(request, segments, isWrite: true, way)
            default: answer(request, .unsupported, generation)
            }
        case .barrier, nil: answer(request, .unsupported, generation)
        }
    }

    /// BLKIF_RSP_*.
    enum Status: Int16 {
        case okay = 0
        case error = -1
        case unsupported = -2
    }

    private func flush(_ request: BlockRequest, _ way: Way) {
        guard request.segmentCount == 0 else {
            return transfer(request, request.segments, isWrite: true, way, flushesFirst: true)
        }
        disk.submit(.flush) { [self] error in
            answer(request, error == nil ? .okay : .error, way.generation)
        }
    }

    private func discard(_ request: BlockRequest, _ generation: UInt64) {
        guard let range = range(request.sector, request.sectorCount) else {
            return answer(request, .error, generation)
        }
        disk.submit(
            DiskRequest(.discard, offset: range.offset, byteCount: range.byteCount)
        ) { [self] error in
            answer(request, error == nil ? .okay : .error, generation)
        }
    }

    /// Within the disk, in bytes.
    func range(_ sector: UInt64, _ count: UInt64) -> (offset: UInt64, byteCount: UInt64)? {
        let sectors = disk.byteCount / 512
        guard count > 0, sector < sectors, count <= sectors - sector else { return nil }
        return (sector * 512, count * 512)
    }

    /// Grants of these pages are kept like those of data: the frontend has one pool of them, and takes a
    /// grant that is in use no more for another page.
    private func indirectSegments(
        _ request: BlockRequest, _ generation: UInt64
    ) -> [BlockRequest.Segment]? {
        let count = request.segmentCount
        let largest = registers.withLock { $0.connection?.largestIndirect ?? 0 }
        guard count > 0, count <= largest,
            count <= BlockRequest.indirectPageCount * BlockRequest.segmentsPerPage
        else { return nil }
        var segments: [BlockRequest.Segment] = []
        segments.reserveCapacity(count)
        for reference in request.pages {
            if segments.count == count { break }
            guard let (grant, isKept) = take([reference], write: false, generation)?.first else {
                return nil
            }
            defer { if !isKept { grantTable.end(grant) } }
            let part = min(count - segments.count, BlockRequest.segmentsPerPage)
            guard Int(grant.byteCount) >= part * 8,
                let bytes = memory.read(grant.address, byteCount: part * 8)
            else { return nil }
            for index in 0..<part {
                let at = index * 8
                let reference =
                    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
                    | UInt32(bytes[at + 3]) << 24
                segments.append(
                    BlockRequest.Segment(
                        reference: reference, first: bytes[at + 4], last: bytes[at + 5]))
            }
        }
        return segments.count == count ? segments : nil
    }

    /// Any thread.
    func answer(_ request: BlockRequest, _ status: Status, _ generation: UInt64) {
        if status != .okay { refusals.wrappingAdd(1, ordering: .relaxed) }
        let port = registers.withLock { registers -> EventChannelPort? in
            guard var connection = registers.connection, connection.generation == generation
            else { return nil }
            let notify = connection.ring.respond(
                request.identifier, request.effectiveOperation, status.rawValue)
            registers.connection?.ring = connection.ring
            registers.connection?.inFlight -= 1
            return notify ? connection.port : nil
        }
        if let port {
            notifications.wrappingAdd(1, ordering: .relaxed)
            channels.raise(port)
        }
    }

    // MARK: State

    struct State: Codable, Sendable, Equatable {
        /// Grants of the ring's pages; nil: not connected.
        var ring: [UInt32]?
        var layout: BlockProtocol
        var port: UInt32
        var isPersistent: Bool
        var largestIndirect: Int
    }

    /// Once nothing is in flight.
    func captureState() -> State {
        registers.withLock { registers in
            guard let connection = registers.connection else {
                return State(
                    ring: nil, layout: .wide, port: 0, isPersistent: false, largestIndirect: 0)
            }
            return State(
                ring: connection.ringGrants.map(\.reference.rawValue),
                layout: connection.ring.layout,
                port: connection.port.rawValue, isPersistent: connection.isPersistent,
                largestIndirect: connection.largestIndirect)
        }
    }

    func restore(_ state: State) throws(XError) {
        guard let ring = state.ring else { return disconnect() }
        guard ring.count <= 1 << Int(BlockRing.largestOrder),
            connect(
                ring: ring.map { GrantReference($0) }, layout: state.layout,
                port: EventChannelPort(state.port), isPersistent: state.isPersistent,
                largestIndirect: state.largestIndirect)
        else { throw XError(.invalidFormat, "the ring of a disk is not where its state says") }
        context.signal()
    }

    var metrics: [String: UInt64] {
        [
            "requests": requests.load(ordering: .relaxed),
            "refusals": refusals.load(ordering: .relaxed),
            "notifications": notifications.load(ordering: .relaxed),
        ]
    }
}
