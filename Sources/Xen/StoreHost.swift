internal import GuestMemory
internal import HostIO
public import Interrupts
internal import Synchronization
public import Vocabulary
public import XenStore

/// The store of a machine: its domain's ring, backends and tools in this process, and whoever else
/// connects.
///
/// Owner: the machine. Any thread asks; the ring is served, and watches are told, in the store's
/// interrupt context.
public final class StoreHost: MachinePart {
    struct Registers: Sendable {
        var service: StoreService
        /// The domain's, on the ring.
        var domain: StoreConnectionID
        /// Clients in this process, told of their events.
        var clients: [StoreConnectionID: StoreClient] = [:]
        /// Clients elsewhere, told that there is something for them.
        var streams: [StoreConnectionID: Stream] = [:]
        /// Bytes of the ring that could not be taken yet.
        var waiting: [UInt8] = []
        /// `dropStaleEvents` is going to be called.
        var isCheckDue = false
    }

    /// How often events are looked for that the guest does not take, in nanoseconds.
    private static let checkInterval: UInt64 = 10_000_000_000

    /// xenstore_domain_interface (xen/include/public/io/xs_wire.h).
    private enum Page {
        static let ringByteCount: UInt32 = 1024
        static let requests: UInt64 = 0
        static let responses: UInt64 = 1024
        static let requestIndices: UInt64 = 2048
        static let responseIndices: UInt64 = 2056
        static let features: UInt64 = 2064
        static let connection: UInt64 = 2068
        static let error: UInt64 = 2072
        static let reconnect: UInt32 = 1
        static let ringIndexError: UInt32 = 2
        static let protocolError: UInt32 = 3
    }

    public let name = "xenstore"
    private let memory: GuestMemory
    let domain: DomainID
    private let page: GuestPhysicalAddress
    private let port: EventChannelPort
    private let channels: EventChannels
    private let requests: ByteRing
    private let responses: ByteRing
    let registers: RankedLock<Registers>
    private let context: InterruptContext
    private let checkLater: @Sendable (UInt64) -> Void

    /// Its interrupt contexts, for the machine to start.
    public var contexts: [InterruptContext] { [context] }

    /// - Parameters:
    ///   - page: the domain's ring, of RAM.
    ///   - port: the guest's end, which waits for the host.
    ///   - checkLater: has `dropStaleEvents` called after so many nanoseconds. It is asked for while the
    ///     guest has something to take, with the store's lock held.
    /// - Throws: `XError`, if the store refuses the domain.
    public init(
        face: XenFace, page: GuestPhysicalAddress, port: EventChannelPort,
        policy: InterruptContext.Policy,
        checkLater: @escaping @Sendable (_ nanoseconds: UInt64) -> Void = { _ in }
    ) throws(XError) {
        memory = face.memory
        self.checkLater = checkLater
        domain = face.domain
        self.page = page
        self.port = port
        channels = face.eventChannels
        requests = face.ring(
            page: page, data: Page.requests, byteCount: Page.ringByteCount,
            indices: Page.requestIndices)
        responses = face.ring(
            page: page, data: Page.responses, byteCount: Page.ringByteCount,
            indices: Page.responseIndices)
        var service = StoreService()
        let connection: StoreConnectionID
        do throws(StoreError) {
            try service.addDomain(face.domain)
            connection = try service.introduce(face.domain)
        } catch {
            throw XError(.busy, "the store refuses domain \(face.domain.rawValue): \(error)")
        }
        registers = RankedLock(
            Registers(service: service, domain: connection), owner: name, rank: .device)
        let work = Later<StoreHost>()
        context = InterruptContext(
            policy, device: name, queue: name, finding: { work.part?.serve() ?? false })
        work.set(self)
        memory.write(
            page.advanced(by: Page.features), integer: service.features(of: face.domain))
        connect()
    }

    private func connect() { _ = channels.connect(port) { [context] in context.signal() } }

    /// There may be something to do.
    func signal() { context.signal() }

    // MARK: Asking

    /// Does something with the store, in the name of the host. Any thread, without a lock of a device.
    /// Others are told of it afterwards.
    public func perform<Result>(
        _ body: (inout StoreService) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let result = registers.withLock { registers -> Swift.Result<Result, StoreError> in
            do throws(StoreError) {
                return .success(try body(&registers.service))
            } catch {
                return .failure(error)
            }
        }
        context.signal()
        return try result.get()
    }

    /// A client on the host's side.
    ///
    /// - Parameter told: gets events of its watches, in the store's context; must not block.
    public func makeClient(
        told: @escaping @Sendable (StoreWatchEvent) -> Void = { _ in }
    ) -> StoreConnectionID {
        registers.withLock { registers in
            let id = registers.service.connect()
            registers.clients[id] = StoreClient(told)
            return id
        }
    }

    /// The client goes, with its watches.
    public func removeClient(_ id: StoreConnectionID) {
        registers.withLock { registers in
            registers.clients[id] = nil
            registers.service.disconnect(id)
        }
    }

    // MARK: Serving

    /// In the store's context.
    private func serve() -> Bool {
        var hasFound = false
        while true {
            let moved = serveRing()
            let (events, streams) = registers.withLock { registers in
                let events = registers.clients.flatMap { id, client in
                    registers.service.takeEvents(id).map { (client, $0) }
                }
                return (events, registers.takeStreamsToTell())
            }
            for (client, event) in events { client.told(event) }
            for stream in streams { stream.waiting() }
            if moved { channels.raise(port) }
            if !moved, events.isEmpty { return hasFound }
            hasFound = true
        }
    }

    /// True: something was taken or given.
    private func serveRing() -> Bool {
        registers.withLock { registers in
            let connection = memory.atomicLoad(
                page.advanced(by: Page.connection), as: UInt32.self)
            if connection == Page.reconnect {
                restart(&registers)
                return true
            }
            var moved = false
            if registers.service.wantsInput(registers.domain) {
                if registers.waiting.isEmpty {
                    if requests.isBroken { giveUp(Page.ringIndexError, &registers) }
                    registers.waiting = requests.read()
                }
                if !registers.waiting.isEmpty {
                    let receipt = registers.service.receive(
                        registers.waiting, from: registers.domain)
                    registers.waiting.removeFirst(receipt.consumedByteCount)
                    if receipt.violation != nil { giveUp(Page.protocolError, &registers) }
                    moved = true
                }
            }
            let room = responses.room
            if room > 0 {
                let bytes = registers.service.takeOutput(registers.domain, limit: room)
                if !bytes.isEmpty {
                    _ = responses.write(bytes[...])
                    moved = true
                }
            }
            if !registers.isCheckDue, registers.service.hasOutput(registers.domain) {
                registers.isCheckDue = true
                checkLater(Self.checkInterval)
            }
            return moved
        }
    }

    /// Takes away the events that the guest has not taken since the last call, for which its own
    /// requests wait (XSA-326). False: somebody has the store's lock; call again soon.
    public func dropStaleEvents() -> Bool {
        let isDone: Void? = registers.withLockIfAvailable { registers in
            registers.isCheckDue = false
            registers.service.dropStaleEvents()
        }
        guard isDone != nil else { return false }
        signal()
        return true
    }

    /// The guest is told why, and heard no more until it connects again.
    private func giveUp(_ error: UInt32, _ registers: inout Registers) {
        memory.atomicStore(page.advanced(by: Page.error), error)
        registers.service.ignore(registers.domain)
        registers.waiting = []
    }

    /// XENSTORE_RECONNECT: the guest wants to begin anew, as after a suspension.
    func restart(_ registers: inout Registers) {
        registers.service.reset(registers.domain)
        registers.waiting = []
        for offset in stride(from: Page.requestIndices, to: Page.features, by: 4) {
            memory.atomicStore(page.advanced(by: offset), UInt32(0))
        }
        memory.atomicStore(page.advanced(by: Page.error), UInt32(0))
        memory.atomicStore(page.advanced(by: Page.connection), UInt32(0))
    }

    // MARK: MachinePart

    public struct State: Codable, Sendable {
        public var service: StoreService.State
        public var waiting: [UInt8]
    }

    /// Without the streams: their other ends stay where they are.
    public func captureState() -> State {
        registers.withLock { registers in
            var service = registers.service
            for id in registers.streams.keys { service.disconnect(id) }
            return State(service: service.captureState(), waiting: registers.waiting)
        }
    }

    /// Clients on the host's side come anew.
    public func restore(_ state: State) throws(XError) {
        let service = try StoreService(restoring: state.service)
        guard let connection = service.connection(of: domain) else {
            throw XError(.invalidFormat, "the state of \(name) does not know the guest")
        }
        let ended = registers.withLock { registers in
            registers.service = service
            registers.domain = connection
            registers.clients = [:]
            registers.waiting = state.waiting
            defer { registers.streams = [:] }
            return registers.streams.values.map(\.stream)
        }
        for stream in ended { stream.waiting() }
        connect()
        context.signal()
    }

    /// Requests, refusals, events, conflicts of transactions.
    public var metrics: [String: UInt64] {
        let counters = registers.withLock { $0.service.counters }
        return [
            "requests": counters.requests, "refusals": counters.refusals,
            "events": counters.events, "droppedEvents": counters.droppedEvents,
            "commits": counters.commits, "conflicts": counters.conflicts,
        ]
    }
}

/// A client of the store in this process.
final class StoreClient: Sendable {
    let told: @Sendable (StoreWatchEvent) -> Void

    init(_ told: @escaping @Sendable (StoreWatchEvent) -> Void) { self.told = told }
}
