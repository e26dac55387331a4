internal import HostIO
internal import Synchronization
internal import Vocabulary

// What guests ask of their event channels: event_channel_op.
extension EventChannels {
    /// EVTCHNOP_* of xen/include/public/event_channel.h.
    enum Operation: UInt64 {
        case bindInterdomain = 0
        case bindVirtualInterrupt = 1
        case close = 3
        case send = 4
        case status = 5
        case allocateUnbound = 6
        case bindInterprocessor = 7
        case bindVCPU = 8
        case unmask = 9
        case reset = 10
        case initializeControl = 11
        case expandArray = 12
        case setPriority = 13

        var argumentByteCount: Int {
            switch self {
            case .bindInterdomain, .bindVirtualInterrupt: 12
            case .close, .send, .unmask: 4
            case .status, .initializeControl: 24
            case .allocateUnbound, .bindInterprocessor, .bindVCPU, .expandArray, .setPriority: 8
            case .reset: 2
            }
        }
    }

    /// VIRQ_TIMER and VIRQ_DEBUG: the virtual interrupts there are. Each vCPU has its own.
    static let timerInterrupt: UInt32 = 0
    static let debugInterrupt: UInt32 = 1

    /// event_channel_op(operation, address).
    func perform(
        _ number: UInt64, _ address: UInt64, in memory: HypercallMemory
    ) -> XenOutcome {
        if number == Operation.send.rawValue {
            guard let arguments = memory.read(address, byteCount: 4) else {
                return XenOutcome(.fault)
            }
            return send(arguments.port(0))
        }
        return XenOutcome(change(number, address, memory))
    }

    private func change(
        _ number: UInt64, _ address: UInt64, _ memory: HypercallMemory
    ) -> UInt64 {
        guard let operation = Operation(rawValue: number) else {
            return XenError.noHypercall.result
        }
        guard let arguments = memory.read(address, byteCount: operation.argumentByteCount) else {
            return XenError.fault.result
        }
        switch operation {
        case .bindInterdomain:
            return answer(
                bind(toRemote: arguments.port(4), of: arguments.domain(0)), at: address &+ 8,
                memory)
        case .bindVirtualInterrupt:
            return answer(
                bind(
                    virtualInterrupt: arguments.integer(0),
                    to: VCPUIndex(arguments.integer(4, as: UInt32.self))), at: address &+ 8, memory)
        case .allocateUnbound:
            return answer(
                allocate(for: arguments.domain(2), in: arguments.domain(0)), at: address &+ 4,
                memory)
        case .bindInterprocessor:
            return answer(
                bindInterprocessor(VCPUIndex(arguments.integer(0, as: UInt32.self))),
                at: address &+ 4, memory)
        case .status: return status(arguments, address, memory)
        case .initializeControl:
            let vcpu = VCPUIndex(arguments.integer(12, as: UInt32.self))
            if let error = initializeControl(
                of: vcpu, frame: arguments.integer(0), offset: arguments.integer(8))
            {
                return error.result
            }
            let bits = UInt8(EventWord.linkBits)
            return memory.write(address &+ 16, [bits]) ? 0 : XenError.fault.result
        case .close: return result(close(arguments.port(0)))
        case .send: return send(arguments.port(0)).result
        case .bindVCPU:
            return result(
                move(
                    arguments.port(0), to: VCPUIndex(arguments.integer(4, as: UInt32.self))))
        case .unmask:
            guard let channel = channel(arguments.port(0)), channel.current.isOpen else {
                return XenError.invalidArgument.result
            }
            unmask(arguments.port(0))
            return 0
        case .reset:
            guard isOwn(arguments.domain(0)) else { return XenError.notPermitted.result }
            reset()
            return 0
        case .expandArray: return result(expandArray(frame: arguments.integer(0)))
        case .setPriority:
            return result(
                setPriority(arguments.port(0), arguments.integer(4, as: UInt32.self)))
        }
    }

    private func result(_ error: XenError?) -> UInt64 { error?.result ?? 0 }

    private func answer(
        _ port: Result<EventChannelPort, XenFailure>, at address: UInt64, _ memory: HypercallMemory
    ) -> UInt64 {
        switch port {
        case .failure(let failure): return failure.error.result
        case .success(let port):
            if memory.write(address, integer: port.rawValue) { return 0 }
            _ = close(port)
            return XenError.fault.result
        }
    }

    private func isOwn(_ domain: DomainID) -> Bool { domain == .itself || domain == self.domain }

    // MARK: Binding

    /// The lowest free port, as Xen gives them, connected as asked. With the table's lock held.
    func allocate(
        _ binding: EventChannelBinding, vcpu: VCPUIndex, _ table: inout Table
    ) -> EventChannelPort? {
        for number in 1..<Self.portCount where !ports[Int(number)].current.isOpen {
            let port = EventChannelPort(number)
            clearPending(port)
            ports[Int(number)].set(EventChannelWord(binding, vcpu: vcpu))
            return port
        }
        return nil
    }

    private func allocate(
        _ binding: EventChannelBinding, vcpu: VCPUIndex = VCPUIndex(0)
    ) -> Result<EventChannelPort, XenFailure> {
        let port = table.withLock { allocate(binding, vcpu: vcpu, &$0) }
        return port.map { .success($0) } ?? .failure(XenFailure(.noSpace))
    }

    private func allocate(
        for remote: DomainID, in domain: DomainID
    ) -> Result<EventChannelPort, XenFailure> {
        guard isOwn(domain) else { return .failure(XenFailure(.notPermitted)) }
        return allocate(.unbound(remote: isOwn(remote) ? self.domain : remote))
    }

    /// Only ports of the guest's own: nobody else's can be reached.
    private func bind(
        toRemote remote: EventChannelPort, of domain: DomainID
    ) -> Result<EventChannelPort, XenFailure> {
        guard isOwn(domain) else { return .failure(XenFailure(.noDomain)) }
        let result = table.withLock { table -> EventChannelPort? in
            guard let other = channel(remote),
                other.current.binding == .unbound(remote: self.domain),
                let port = allocate(.local(remote), vcpu: VCPUIndex(0), &table)
            else { return nil }
            var word = EventChannelWord(.local(port), vcpu: other.current.vcpu)
            word.priority = other.current.priority
            other.set(word)
            return port
        }
        guard let port = result else { return .failure(XenFailure(.invalidArgument)) }
        // Events may have been lost while nobody was there.
        raise(port)
        return .success(port)
    }

    private func bind(
        virtualInterrupt number: UInt32, to vcpu: VCPUIndex
    ) -> Result<EventChannelPort, XenFailure> {
        guard number < 24 else { return .failure(XenFailure(.invalidArgument)) }
        guard let processor = processor(vcpu) else { return .failure(XenFailure(.noEntry)) }
        let isOwn = number <= Self.debugInterrupt
        let result = table.withLock { table -> Result<EventChannelPort, XenFailure> in
            // The others never come; each is bound once, by vCPU 0.
            guard isOwn || vcpu.rawValue == 0 else {
                return .failure(XenFailure(.invalidArgument))
            }
            if ports.contains(where: {
                $0.current.binding == .virtualInterrupt(number) && $0.current.vcpu == vcpu
            }) {
                return .failure(XenFailure(.exists))
            }
            guard let port = allocate(.virtualInterrupt(number), vcpu: vcpu, &table) else {
                return .failure(XenFailure(.noSpace))
            }
            setSlot(processor, number, port.rawValue)
            return .success(port)
        }
        return result
    }

    func setSlot(_ processor: XenProcessor, _ number: UInt32, _ port: UInt32) {
        switch number {
        case Self.timerInterrupt: processor.timerPort.store(port, ordering: .releasing)
        case Self.debugInterrupt: processor.debugPort.store(port, ordering: .releasing)
        default: break
        }
    }

    private func bindInterprocessor(_ vcpu: VCPUIndex) -> Result<EventChannelPort, XenFailure> {
        guard processor(vcpu) != nil else { return .failure(XenFailure(.noEntry)) }
        return allocate(.interprocessor, vcpu: vcpu)
    }

    /// The port is free; its other end waits for this one again.
    func close(_ port: EventChannelPort) -> XenError? {
        table.withLock { table in close(port, &table) }
    }

    private func close(_ port: EventChannelPort, _ table: inout Table) -> XenError? {
        guard let channel = channel(port), channel.current.isOpen else { return .invalidArgument }
        let word = channel.current
        switch word.binding {
        case .local(let other):
            if let peer = self.channel(other), peer.current.binding == .local(port) {
                var left = EventChannelWord(.unbound(remote: domain), vcpu: peer.current.vcpu)
                left.priority = peer.current.priority
                peer.set(left)
            }
        case .virtualInterrupt(let number):
            if let processor = processor(word.vcpu) {
                setSlot(processor, number, 0)
            }
        case .closed, .unbound, .host, .interprocessor: break
        }
        channel.listener.set(nil)
        clearPending(port)
        channel.set(EventChannelWord(.closed, vcpu: VCPUIndex(0)))
        return nil
    }

    /// Every port is closed, and events are bits again.
    func reset() {
        table.withLock { table in
            for number in 1..<Self.portCount { _ = close(EventChannelPort(number), &table) }
            usesFIFO.store(false, ordering: .releasing)
            for page in eventPages { page.value = 0 }
            for processor in processors { processor.controlBlock.store(0, ordering: .releasing) }
        }
    }

    // MARK: Use

    /// An event for whoever is at the other end.
    func send(_ port: EventChannelPort) -> XenOutcome {
        guard let channel = channel(port) else { return XenOutcome(.invalidArgument) }
        counters.sent.wrappingAdd(1, ordering: .relaxed)
        let word = channel.current
        switch word.binding {
        case .host: channel.listener.signal()
        case .interprocessor:
            return XenOutcome(0, .interrupted(word.vcpu, wasPolling: raise(port)))
        case .local(let other): raise(other)
        // Nobody is there.
        case .unbound: break
        case .closed, .virtualInterrupt: return XenOutcome(.invalidArgument)
        }
        return XenOutcome(0)
    }

    private func move(_ port: EventChannelPort, to vcpu: VCPUIndex) -> XenError? {
        guard processor(vcpu) != nil else { return .noEntry }
        return table.withLock { _ in
            guard let channel = channel(port), channel.current.isOpen else {
                return .invalidArgument
            }
            switch channel.current.binding {
            case .interprocessor: return .invalidArgument
            case .virtualInterrupt(let number) where number <= Self.debugInterrupt:
                return .invalidArgument
            default: break
            }
            var word = channel.current
            word.vcpu = vcpu
            channel.set(word)
            return nil
        }
    }

    private func setPriority(_ port: EventChannelPort, _ priority: UInt32) -> XenError? {
        guard usesFIFO.load(ordering: .acquiring) else { return .noHypercall }
        guard priority < EventWord.priorityCount else { return .invalidArgument }
        return table.withLock { _ in
            guard let channel = channel(port), channel.current.isOpen else {
                return .invalidArgument
            }
            var word = channel.current
            word.priority = UInt8(priority)
            channel.set(word)
            return nil
        }
    }

    private func status(
        _ arguments: Arguments, _ address: UInt64, _ memory: HypercallMemory
    ) -> UInt64 {
        guard isOwn(arguments.domain(0)) else { return XenError.notPermitted.result }
        guard let channel = channel(arguments.port(4)) else {
            return XenError.invalidArgument.result
        }
        let word = channel.current
        let (kind, first, second): (UInt32, UInt32, UInt32) =
            switch word.binding {
            case .closed: (0, 0, 0)
            case .unbound(let remote): (1, UInt32(remote.rawValue), 0)
            case .host: (2, UInt32(DomainID.host.rawValue), arguments.port(4).rawValue)
            case .local(let port): (2, UInt32(domain.rawValue), port.rawValue)
            case .virtualInterrupt(let number): (4, number, 0)
            case .interprocessor: (5, 0, 0)
            }
        for (offset, value) in [(8, kind), (12, word.vcpu.rawValue), (16, first), (20, second)]
            as [(UInt64, UInt32)]
        where !memory.write(address &+ offset, integer: value) { return XenError.fault.result }
        return 0
    }
}

/// A `XenError` as `Result` wants it.
struct XenFailure: Error {
    let error: XenError

    init(_ error: XenError) { self.error = error }
}
