internal import GuestMemory
internal import HostIO
public import Interrupts
internal import Synchronization
public import Vocabulary
public import Xen

/// A console of a Xen guest: two rings of bytes in one page (xen/include/public/io/console.h), and an
/// event channel. The first, hvc0, has them from the start; others shake hands by the store as every
/// paravirtual device does.
///
/// Owner: the machine. The guest's rings are touched in the console's interrupt context only, with its
/// lock, as that may be several threads if interrupts are inline; any thread offers bytes from the host.
public final class XenConsole: MachinePart {
    /// The host's end.
    public struct Wire: Sendable {
        /// Gets the bytes the guest sends, in order, in the console's context. May block when that is a
        /// thread: the guest then waits when its ring is full.
        public var transmit: @Sendable ([UInt8]) -> Void
        /// The console takes bytes again after `receive` did not take all; the same context.
        public var roomAvailable: @Sendable () -> Void
        /// The frontend has let go of its rings, and what was in them is lost; the same context, between
        /// what one has sent and what the next does.
        public var hungUp: @Sendable () -> Void

        public init(
            transmit: @escaping @Sendable ([UInt8]) -> Void,
            roomAvailable: @escaping @Sendable () -> Void = {},
            hungUp: @escaping @Sendable () -> Void = {}
        ) {
            self.transmit = transmit
            self.roomAvailable = roomAvailable
            self.hungUp = hungUp
        }
    }

    private struct Link: Sendable {
        var input: ByteRing
        var output: ByteRing
        var port: EventChannelPort
        /// Of the page, if the guest has granted it.
        var grant: GrantTable.Grant?

        init(_ face: XenFace, page: GuestPhysicalAddress, port: EventChannelPort) {
            input = face.ring(page: page, data: 0, byteCount: 1024, indices: 3072)
            output = face.ring(page: page, data: 1024, byteCount: 2048, indices: 3080)
            self.port = port
        }
    }

    private struct Registers: Sendable {
        var link: Link?
        /// The host is to be told that a link is gone, before anything of the next.
        var hasHungUp = false
        /// Bytes that wait for room in the guest's ring.
        var arriving: [UInt8] = []
        /// The host has more than fitted.
        var hostWaits = false
    }

    /// Bytes from the host that are put down before `receive` takes no more.
    static let arrivingCapacity = 4096

    public let name: String
    private let face: XenFace
    private let registers: RankedLock<Registers>
    private let context: InterruptContext
    private let handshake: XenbusHandshake?
    private let sent = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)

    /// Its interrupt contexts, for the machine to start.
    public var contexts: [InterruptContext] { [context] }

    /// The first console.
    ///
    /// - Parameters:
    ///   - page: its rings, of RAM.
    ///   - port: the guest's end, which waits for the control domain.
    public init(
        face: XenFace, page: GuestPhysicalAddress, port: EventChannelPort,
        policy: InterruptContext.Policy, wire: Wire
    ) {
        name = "hvc0"
        self.face = face
        let link = Link(face, page: page, port: port)
        registers = RankedLock(Registers(link: link), owner: name, rank: .device)
        handshake = nil
        let work = Later<XenConsole>()
        context = InterruptContext(
            policy, device: name, queue: name, finding: { work.part?.complete(wire) ?? false })
        work.set(self)
        listen(port)
    }

    /// A further console.
    ///
    /// - Parameter number: of the console, from 1: hvc1.
    /// - Throws: `XError`, if the store refuses its nodes.
    public init(
        face: XenFace, store: StoreHost, number: UInt32, policy: InterruptContext.Policy, wire: Wire
    ) throws(XError) {
        let title = "hvc\(number)"
        name = title
        self.face = face
        registers = RankedLock(Registers(), owner: title, rank: .device)
        let work = Later<XenConsole>()
        context = InterruptContext(
            policy, device: title, queue: title, finding: { work.part?.complete(wire) ?? false })
        let handshake = XenbusHandshake(
            store: store, kind: "console", domain: face.domain, device: number, title: title,
            actions: XenbusHandshake.Actions(
                offer: { [] }, connect: { work.part?.connect() },
                disconnect: { work.part?.disconnect() }))
        self.handshake = handshake
        work.set(self)
        try handshake.begin(
            domain: face.domain, title: "console \(title)", backendNodes: [("protocol", "vt100")],
            frontendNodes: [("type", "martlet"), ("limit", "1048576"), ("output", "pty")])
    }

    // MARK: Connection

    @discardableResult
    private func listen(_ port: EventChannelPort) -> Bool {
        face.eventChannels.connect(port) { [context] in context.signal() }
    }

    /// Nil, or what is wrong with what the frontend wrote.
    private func connect() -> String? {
        guard let nodes = handshake?.nodes, let port = nodes.frontendNumber("port"),
            let reference = nodes.frontendNumber("ring-ref"),
            connect(GrantReference(reference), EventChannelPort(port))
        else { return "has no usable ring or event channel" }
        return nil
    }

    private func connect(_ reference: GrantReference, _ port: EventChannelPort) -> Bool {
        disconnect()
        guard let grant = face.grantTable.begin(reference, write: true) else { return false }
        guard grant.byteCount == 4096, listen(port) else {
            face.grantTable.end(grant)
            return false
        }
        var link = Link(face, page: grant.address, port: port)
        link.grant = grant
        let made = link
        registers.withLock { $0.link = made }
        context.signal()
        return true
    }

    private func disconnect() {
        let link = registers.withLock { registers in
            defer { registers.link = nil }
            if registers.link != nil { registers.hasHungUp = true }
            return registers.link
        }
        guard let link else { return }
        context.signal()
        face.eventChannels.disconnect(link.port)
        if let grant = link.grant { face.grantTable.end(grant) }
    }

    // MARK: Bytes

    /// Offers bytes from the host. Returns how many were taken. Any thread.
    public func receive(_ bytes: some Collection<UInt8>) -> Int {
        let taken = registers.withLock { registers in
            let taken = min(Self.arrivingCapacity - registers.arriving.count, bytes.count)
            registers.arriving += bytes.prefix(taken)
            registers.hostWaits = taken < bytes.count
            return taken
        }
        if taken > 0 { context.signal() }
        return taken
    }

    /// What the guest has sent goes to the host, and what the host has sent to the guest. False: neither had
    /// anything.
    private func complete(_ wire: Wire) -> Bool {
        var hasFound = false
        let channels = face.eventChannels
        while true {
            let (isGone, bytes, port) = registers.withLock { registers in
                registers.hasHungUp
                    ? (true, [], nil)
                    : (false, registers.link?.output.read() ?? [], registers.link?.port)
            }
            if isGone {
                hasFound = true
                wire.hungUp()
                // What the host has sent until now was for those that are gone.
                registers.withLock { registers in
                    registers.hasHungUp = false
                    registers.arriving = []
                }
                continue
            }
            guard !bytes.isEmpty, let port else { break }
            hasFound = true
            sent.wrappingAdd(UInt64(bytes.count), ordering: .relaxed)
            wire.transmit(bytes)
            // The guest may wait for room.
            channels.raise(port)
        }
        let (moved, port, wantsMore) = registers.withLock { registers in
            let moved = registers.link?.input.write(registers.arriving[...]) ?? 0
            registers.arriving.removeFirst(moved)
            let wantsMore =
                registers.hostWaits && registers.arriving.count <= Self.arrivingCapacity / 2
            if wantsMore { registers.hostWaits = false }
            return (moved, registers.link?.port, wantsMore)
        }
        if moved > 0, let port {
            received.wrappingAdd(UInt64(moved), ordering: .relaxed)
            channels.raise(port)
        }
        if wantsMore { wire.roomAvailable() }
        return hasFound || moved > 0
    }

    // MARK: MachinePart

    /// What is in the rings is in the guest's memory.
    public struct State: Codable, Sendable, Equatable {
        var arriving: [UInt8]
        /// Of a further console: where it is in its life, its ring's grant and its event channel.
        var life: String?
        var ring: UInt32?
        var port: UInt32?
    }

    public func captureState() -> State {
        let life = handshake?.state.rawValue
        return registers.withLock { registers in
            let grant = registers.link?.grant
            return State(
                arriving: registers.arriving, life: life, ring: grant?.reference.rawValue,
                port: grant == nil ? nil : registers.link?.port.rawValue)
        }
    }

    public func restore(_ state: State) throws(XError) {
        if let handshake {
            guard let life = state.life.flatMap({ XenbusState(rawValue: $0) }) else {
                throw XError(.invalidFormat, "the state of \(name) is that of another console")
            }
            if let ring = state.ring, let port = state.port {
                guard connect(GrantReference(ring), EventChannelPort(port)) else {
                    throw XError(
                        .invalidFormat, "the ring of \(name) is not where its state says")
                }
            } else {
                disconnect()
            }
            handshake.restore(life)
        } else if let port = registers.withLock({ $0.link?.port }) {
            listen(port)
        }
        registers.withLock { registers in
            registers.arriving = Array(state.arriving.prefix(Self.arrivingCapacity))
        }
        context.signal()
    }

    /// Bytes each way.
    public var metrics: [String: UInt64] {
        [
            "bytesSent": sent.load(ordering: .relaxed),
            "bytesReceived": received.load(ordering: .relaxed),
        ]
    }
}
