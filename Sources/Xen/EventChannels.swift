internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

/// The event channels of one domain (xen/include/public/event_channel.h): which port is connected to
/// what, and the bits in the guest's memory that say what has happened, in the 2-level or the FIFO
/// layout, whichever the guest has chosen.
///
/// Any thread raises, and takes no lock for it but that of one queue of one vCPU, which is held for a
/// few instructions. Bindings have a lock of their own.
public final class EventChannels: Sendable {
    /// Ports of a domain, 0 included, which is none. As many as 2-level bits.
    public static let portCount: UInt32 = 4096

    /// What events do outside guest memory.
    public struct Surroundings: Sendable {
        /// The vCPU has events and is to take its upcall.
        public var upcall: @Sendable (VCPUIndex) -> Void
        /// A vCPU that waits in SCHEDOP_poll is to look; it has been noted.
        public var kick: @Sendable (VCPUIndex) -> Void

        public init(
            upcall: @escaping @Sendable (VCPUIndex) -> Void,
            kick: @escaping @Sendable (VCPUIndex) -> Void
        ) {
            self.upcall = upcall
            self.kick = kick
        }
    }

    struct Table {
        /// Keeps listeners alive that a sender may just be calling.
        var listeners: [EventChannelListener] = []
    }

    let domain: DomainID
    let memory: GuestMemory
    let processors: [XenProcessor]
    let ports: [EventChannel]
    let surroundings: Surroundings
    let table = RankedLock(Table(), owner: "event-channels", rank: .eventChannels)
    /// Address of shared_info; 0: the guest has not said where.
    let sharedInfo = Atomic<UInt64>(0)
    /// shared_info and vcpu_info are those of 32-bit guests.
    let isNarrow = Atomic<Bool>(false)
    let usesFIFO = Atomic<Bool>(false)
    /// Address of each page of event words; 0: it is not there.
    let eventPages: [AtomicAddress]
    let counters = Counters()

    init(
        domain: DomainID, memory: GuestMemory, processors: [XenProcessor],
        surroundings: Surroundings
    ) {
        self.domain = domain
        self.memory = memory
        self.processors = processors
        self.surroundings = surroundings
        ports = (0..<Int(Self.portCount)).map { _ in EventChannel() }
        eventPages = (0..<Int(Self.portCount) / Self.wordsPerPage).map { _ in AtomicAddress() }
    }

    static let wordsPerPage = 1024

    /// Nil: there is no such port.
    func channel(_ port: EventChannelPort) -> EventChannel? {
        port.rawValue > 0 && port.rawValue < Self.portCount ? ports[Int(port.rawValue)] : nil
    }

    func processor(_ vcpu: VCPUIndex) -> XenProcessor? {
        let index = Int(clamping: vcpu.rawValue)
        return index < processors.count ? processors[index] : nil
    }

    /// What the port is connected to.
    public func binding(_ port: EventChannelPort) -> EventChannelBinding {
        channel(port)?.current.binding ?? .closed
    }

    // MARK: Raising

    /// Says on the guest's side of `port` that something has happened. Any thread. A port that is not
    /// open is left alone.
    ///
    /// - Returns: the vCPU waited in SCHEDOP_poll for it, and has been kicked.
    @discardableResult
    public func raise(_ port: EventChannelPort) -> Bool {
        guard let channel = channel(port) else { return false }
        let word = channel.current
        guard word.isOpen else { return false }
        counters.raised.wrappingAdd(1, ordering: .relaxed)
        if usesFIFO.load(ordering: .acquiring) {
            raiseLinked(port, channel, word)
        } else {
            raiseBit(port, channel, word)
        }
        // The vCPU says which port it waits for before it looks whether that is pending, and this is the
        // other way round: one of the two sees the other.
        guard let processor = processor(word.vcpu) else { return false }
        let polled = processor.polled.load(ordering: .sequentiallyConsistent)
        guard polled == port.rawValue || polled == XenProcessor.anyPort else { return false }
        return kickFromPoll(word.vcpu, processor)
    }

    @discardableResult
    func kickFromPoll(_ vcpu: VCPUIndex, _ processor: XenProcessor) -> Bool {
        guard processor.polled.exchange(0, ordering: .sequentiallyConsistent) != 0 else {
            return false
        }
        processor.isKicked.store(true, ordering: .sequentiallyConsistent)
        surroundings.kick(vcpu)
        return true
    }

    /// The guest's pending bit of the port, masked or not.
    func isPending(_ port: EventChannelPort) -> Bool {
        if usesFIFO.load(ordering: .acquiring) {
            guard let address = eventWord(port) else { return false }
            return (memory.atomicLoad(address, as: UInt32.self) ?? 0) & EventWord.pending != 0
        }
        guard let (address, bit) = pendingBit(port) else { return false }
        return (memory.atomicLoad(address, as: UInt64.self) ?? 0) & bit != 0
    }

    func clearPending(_ port: EventChannelPort) {
        channel(port)?.isEarly.store(false, ordering: .relaxed)
        if usesFIFO.load(ordering: .acquiring) {
            if let address = eventWord(port) {
                _ = memory.atomicAnd(address, ~EventWord.pending)
            }
        } else if let (address, bit) = pendingBit(port) {
            _ = memory.atomicAnd(address, ~bit)
        }
    }

    /// Takes the mask off; an event that is pending is raised again.
    func unmask(_ port: EventChannelPort) {
        guard let channel = channel(port) else { return }
        if usesFIFO.load(ordering: .acquiring) {
            guard let address = eventWord(port) else { return }
            let old = memory.atomicAnd(address, ~EventWord.masked) ?? 0
            if old & EventWord.pending != 0 { link(port, channel, channel.current, address) }
        } else if let (address, bit) = maskBit(port) {
            _ = memory.atomicAnd(address, ~bit)
            if isPending(port) { select(port, channel.current.vcpu) }
        }
    }

    /// The vCPU is to take its upcall, unless it has been told and has not looked since.
    func announce(to vcpu: VCPUIndex) {
        guard let information = processor(vcpu)?.information.load(ordering: .acquiring),
            information != 0
        else { return }
        // vcpu_info.evtchn_upcall_pending.
        if memory.atomicExchange(GuestPhysicalAddress(information), UInt8(1)) == 0 {
            surroundings.upcall(vcpu)
        }
    }

    /// Raises what was raised before there was memory for it.
    func raiseEarly() {
        for (number, channel) in ports.enumerated()
        where channel.isEarly.exchange(false, ordering: .acquiringAndReleasing) {
            raise(EventChannelPort(UInt32(number)))
        }
    }

    // MARK: Host side

    /// Connects a listener of the host to a port that waits for the control domain.
    ///
    /// - Parameter signal: called on any thread when the guest sends; must not block.
    /// - Returns: false, the port does not wait for the control domain.
    public func connect(
        _ port: EventChannelPort, signal: @escaping @Sendable () -> Void
    ) -> Bool {
        let listener = EventChannelListener(signal)
        return table.withLock { table in
            guard let channel = channel(port),
                case .unbound(remote: .host) = channel.current.binding
            else { return false }
            var word = EventChannelWord(.host, vcpu: channel.current.vcpu)
            word.priority = channel.current.priority
            table.listeners.append(listener)
            channel.listener.set(listener)
            channel.set(word)
            return true
        }
    }

    /// The listener goes; the port waits for the control domain again. One that the guest has closed
    /// stays closed.
    public func disconnect(_ port: EventChannelPort) {
        table.withLock { table in
            guard let channel = channel(port), case .host = channel.current.binding else { return }
            var word = EventChannelWord(
                .unbound(remote: .host), vcpu: channel.current.vcpu)
            word.priority = channel.current.priority
            channel.set(word)
            channel.listener.set(nil)
        }
    }

    /// A port that waits for the control domain, made for the guest before it runs: for its store and
    /// its console. Nil: there is none left.
    public func allocate() -> EventChannelPort? {
        table.withLock { table in
            allocate(.unbound(remote: .host), vcpu: VCPUIndex(0), &table)
        }
    }
}

extension EventChannels {
    /// Any thread counts.
    struct Counters: ~Copyable, Sendable {
        let raised = Atomic<UInt64>(0)
        let sent = Atomic<UInt64>(0)
    }
}

/// Who hears what the guest sends on a port.
final class EventChannelListener: Sendable {
    let signal: @Sendable () -> Void

    init(_ signal: @escaping @Sendable () -> Void) { self.signal = signal }
}

/// An address in guest memory that others read while it is set; 0 is none.
final class AtomicAddress: Sendable {
    private let word = Atomic<UInt64>(0)

    var value: UInt64 {
        get { word.load(ordering: .acquiring) }
        set { word.store(newValue, ordering: .releasing) }
    }
}
