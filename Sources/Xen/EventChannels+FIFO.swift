internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import Vocabulary

/// An event word of the FIFO layout (xen/include/public/event_channel.h).
enum EventWord {
    static let pending: UInt32 = 1 << 31
    static let masked: UInt32 = 1 << 30
    static let linked: UInt32 = 1 << 29
    static let busy: UInt32 = 1 << 28
    static let linkBits: UInt32 = 17
    static let link: UInt32 = 1 << linkBits - 1
    static let priorityCount: UInt32 = 16
}

/// struct evtchn_fifo_control_block.
enum EventControlBlock {
    static let ready: UInt64 = 0
    static let head: UInt64 = 8
    static let byteCount: UInt64 = 72
}

// Events as queues: 16 for each vCPU, linked by the guest's event words. The guest takes from the head,
// this side adds at the tail ("Event Channel FIFO ABI", xen/docs/designs).
extension EventChannels {
    func eventWord(_ port: EventChannelPort) -> GuestPhysicalAddress? {
        let page = Int(clamping: port.rawValue) / Self.wordsPerPage
        guard page < eventPages.count else { return nil }
        let address = eventPages[page].value
        if address == 0 { return nil }
        return GuestPhysicalAddress(
            address &+ UInt64(port.rawValue % UInt32(Self.wordsPerPage)) &* 4)
    }

    func raiseLinked(
        _ port: EventChannelPort, _ channel: EventChannel, _ word: EventChannelWord
    ) {
        guard let address = eventWord(port) else {
            channel.isEarly.store(true, ordering: .releasing)
            return
        }
        let old = memory.atomicOr(address, EventWord.pending) ?? EventWord.masked
        if old & EventWord.masked == 0 { link(port, channel, word, address) }
    }

    /// Puts an event that is not in a queue into the queue of its vCPU and priority.
    ///
    /// It is marked as linked with the lock of its queue held, by which others see whether the last of
    /// the queue is still in it: an event that is marked and not yet in its place would be taken for the
    /// last.
    func link(
        _ port: EventChannelPort, _ channel: EventChannel, _ word: EventChannelWord,
        _ address: GuestPhysicalAddress
    ) {
        var placement = Placement.elsewhere
        // A port whose vCPU or priority keeps changing is where the last change but one put it.
        for _ in 0..<4 where placement == .elsewhere {
            guard moveToQueue(word.queue, port, channel, address) else { return }
            placement = place(port, channel, word, address)
        }
        guard placement == .first,
            let block = processor(word.vcpu)?.controlBlock.load(ordering: .acquiring),
            block != 0
        else { return }
        let bit: UInt32 = 1 << UInt32(word.priority)
        let ready = memory.atomicOr(GuestPhysicalAddress(block &+ EventControlBlock.ready), bit)
        if (ready ?? bit) & bit == 0 { announce(to: word.vcpu) }
    }

    private enum Placement {
        /// The guest finds it at the head.
        case first
        /// The guest comes to it by itself.
        case behindAnother
        /// Its queue is another by now.
        case elsewhere
    }

    /// Makes `queue` the one that the event belongs to. False: it is linked, wherever that is.
    private func moveToQueue(
        _ queue: UInt32, _ port: EventChannelPort, _ channel: EventChannel,
        _ address: GuestPhysicalAddress
    ) -> Bool {
        let old = channel.lastQueue.load(ordering: .acquiring)
        if old == queue { return true }
        guard let processor = processor(VCPUIndex(old >> 4)) else { return false }
        return processor.tails.withLock { tails in
            let word = memory.atomicLoad(address, as: UInt32.self) ?? EventWord.linked
            if word & EventWord.linked != 0 { return false }
            guard
                channel.lastQueue.compareExchange(
                    expected: old, desired: queue, ordering: .acquiringAndReleasing
                ).exchanged
            else { return true }
            let priority = Int(old & 15)
            if tails.words[priority] == port.rawValue { tails.words[priority] = 0 }
            return true
        }
    }

    private func place(
        _ port: EventChannelPort, _ channel: EventChannel, _ word: EventChannelWord,
        _ address: GuestPhysicalAddress
    ) -> Placement {
        guard let processor = processor(word.vcpu) else { return .behindAnother }
        let priority = Int(word.priority)
        return processor.tails.withLock { tails in
            guard channel.lastQueue.load(ordering: .acquiring) == word.queue else {
                return .elsewhere
            }
            let old = memory.atomicOr(address, EventWord.linked) ?? EventWord.linked
            if old & EventWord.linked != 0 { return .behindAnother }
            // An event that was the last itself has been taken since: it was not linked.
            let tail = EventChannelPort(tails.words[priority])
            let isLinked = tail.rawValue != 0 && tail != port && setLink(of: tail, to: port)
            if !isLinked { setHead(processor, priority, port) }
            tails.words[priority] = port.rawValue
            return isLinked ? .behindAnother : .first
        }
    }

    private func setHead(_ processor: XenProcessor, _ priority: Int, _ port: EventChannelPort) {
        let block = processor.controlBlock.load(ordering: .acquiring)
        guard block != 0 else { return }
        memory.atomicStore(
            GuestPhysicalAddress(block &+ EventControlBlock.head &+ UInt64(priority) &* 4),
            port.rawValue)
    }

    /// Links `next` behind `tail`, if the guest has not taken that one off its queue. A guest that keeps
    /// changing the word loses the link, not our time.
    private func setLink(of tail: EventChannelPort, to next: EventChannelPort) -> Bool {
        guard let address = eventWord(tail) else { return false }
        for attempt in 0..<16 {
            // The guest leaves a busy word alone while it clears a mask.
            if attempt == 4 { _ = memory.atomicOr(address, EventWord.busy) }
            guard let word = memory.atomicLoad(address, as: UInt32.self) else { return false }
            guard word & EventWord.linked != 0 else {
                if attempt >= 4 { _ = memory.atomicAnd(address, ~EventWord.busy) }
                return false
            }
            let linked = word & ~(EventWord.link | EventWord.busy) | next.rawValue
            if memory.atomicCompareExchange(address, expected: word, desired: linked) == word {
                return true
            }
        }
        _ = memory.atomicAnd(address, ~EventWord.busy)
        return false
    }

    // MARK: Set-up

    /// EVTCHNOP_init_control: the control block of a vCPU. The first switches to FIFO events.
    func initializeControl(
        of vcpu: VCPUIndex, frame: UInt64, offset: UInt32
    ) -> XenError? {
        guard let processor = processor(vcpu) else { return .noEntry }
        guard frame < 1 << 40, offset & 7 == 0,
            UInt64(offset) &+ EventControlBlock.byteCount <= 4096
        else { return .invalidArgument }
        let address = frame << 12 | UInt64(offset)
        guard memory.contains(address, Int(EventControlBlock.byteCount)) else {
            return .invalidArgument
        }
        let isFirst = table.withLock { _ in
            processor.controlBlock.store(address, ordering: .releasing)
            processor.tails.withLock { $0 = EventQueueTails() }
            if usesFIFO.load(ordering: .relaxed) { return false }
            // What is pending as a bit is raised when its word is there.
            for number in 1..<Self.portCount {
                let port = EventChannelPort(number)
                if ports[Int(number)].current.isOpen, isPending(port) {
                    ports[Int(number)].isEarly.store(true, ordering: .relaxed)
                }
            }
            usesFIFO.store(true, ordering: .releasing)
            return true
        }
        if isFirst { raiseEarly() }
        return nil
    }

    /// EVTCHNOP_expand_array: another page of event words.
    func expandArray(frame: UInt64) -> XenError? {
        guard frame < 1 << 40, memory.contains(frame << 12, 4096) else { return .invalidArgument }
        let refusal: XenError? = table.withLock { _ in
            guard usesFIFO.load(ordering: .relaxed) else { return .noHypercall }
            guard let free = eventPages.first(where: { $0.value == 0 }) else { return .noSpace }
            free.value = frame << 12
            return nil
        }
        if refusal == nil { raiseEarly() }
        return refusal
    }
}
