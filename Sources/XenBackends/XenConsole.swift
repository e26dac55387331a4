internal import GuestMemory
internal import HostIO
public import Interrupts
internal import Synchronization
public import Vocabulary
public import Xen

/// The console of a Xen guest, hvc0: two rings of bytes in one page
/// (xen/include/public/io/console.h), and an event channel.
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

        public init(
            transmit: @escaping @Sendable ([UInt8]) -> Void,
            roomAvailable: @escaping @Sendable () -> Void = {}
        ) {
            self.transmit = transmit
            self.roomAvailable = roomAvailable
        }
    }

    /// Bytes that wait for room in the guest's ring.
    struct Registers: Sendable {
        var arriving: [UInt8] = []
        /// The host has more than fitted.
        var hostWaits = false
    }

    /// Bytes from the host that are put down before `receive` takes no more.
    static let arrivingCapacity = 4096

    public let name = "hvc0"
    private let port: EventChannelPort
    private let channels: EventChannels
    private let input: ByteRing
    private let output: ByteRing
    let registers = RankedLock(Registers(), owner: "hvc0", rank: .device)
    private let context: InterruptContext
    private let sent = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)

    /// Its interrupt contexts, for the machine to start.
    public var contexts: [InterruptContext] { [context] }

    /// - Parameters:
    ///   - page: its rings, of RAM.
    ///   - port: the guest's end, which waits for the control domain.
    public init(
        face: XenFace, page: GuestPhysicalAddress, port: EventChannelPort,
        policy: InterruptContext.Policy, wire: Wire
    ) {
        self.port = port
        channels = face.eventChannels
        input = face.ring(page: page, data: 0, byteCount: 1024, indices: 3072)
        output = face.ring(page: page, data: 1024, byteCount: 2048, indices: 3080)
        let work = Later<XenConsole>()
        context = InterruptContext(policy, device: name, queue: name) {
            work.part?.complete(wire)
        }
        work.set(self)
        connect()
    }

    private func connect() {
        _ = channels.connect(port) { [context] in context.signal() }
    }

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

    /// What the guest has sent goes to the host, and what the host has sent to the guest.
    private func complete(_ wire: Wire) {
        while true {
            let bytes = registers.withLock { _ in output.read() }
            if bytes.isEmpty { break }
            sent.wrappingAdd(UInt64(bytes.count), ordering: .relaxed)
            wire.transmit(bytes)
            // The guest may wait for room.
            channels.raise(port)
        }
        let (moved, wantsMore) = registers.withLock { registers in
            let moved = input.write(registers.arriving[...])
            registers.arriving.removeFirst(moved)
            let wantsMore =
                registers.hostWaits && registers.arriving.count <= Self.arrivingCapacity / 2
            if wantsMore { registers.hostWaits = false }
            return (moved, wantsMore)
        }
        if moved > 0 {
            received.wrappingAdd(UInt64(moved), ordering: .relaxed)
            channels.raise(port)
        }
        if wantsMore { wire.roomAvailable() }
    }

    // MARK: MachinePart

    /// What is in the rings is in the guest's memory.
    public struct State: Codable, Sendable, Equatable {
        public var arriving: [UInt8]
    }

    public func captureState() -> State { registers.withLock { State(arriving: $0.arriving) } }

    public func restore(_ state: State) throws(XError) {
        registers.withLock { registers in
            registers.arriving = Array(state.arriving.prefix(Self.arrivingCapacity))
        }
        connect()
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
