internal import Clocks
internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

extension XenFace {
    public struct State: Codable, Sendable, Equatable {
        /// One vCPU.
        public struct Processor: Codable, Sendable, Equatable {
            public var information: UInt64
            public var controlBlock: UInt64
            public var upcallVector: UInt8
            public var isKicked: Bool
            /// When VIRQ_TIMER is due, on the guest's clock; 0: never.
            public var timerDeadline: UInt64
            public var counterAdjustment: UInt64
            public var runstate: UInt32
            public var runstateTimes: [UInt64]
            public var runstateArea: [UInt64]
            public var queueTails: [UInt32]
        }

        /// One open port.
        public struct Port: Codable, Sendable, Equatable {
            public var number: UInt32
            public var binding: EventChannelBinding
            public var vcpu: UInt32
            public var priority: UInt8
            public var lastQueue: UInt32
            public var isEarly: Bool
        }

        public var processors: [Processor]
        public var ports: [Port]
        public var sharedInfo: UInt64
        /// It is that of a 32-bit guest.
        public var isNarrow: Bool
        public var usesFIFO: Bool
        public var eventPages: [UInt64]
        public var grantVersion: UInt32
        public var grantFrames: [UInt64]
        public var grantStatusFrames: [UInt64]
        public var parameters: [UInt32: UInt64]
        public var marksRunstateUpdates: Bool
        /// Of the guest's clock, in nanoseconds.
        public var systemTime: UInt64
        public var secondClockPage: UInt64
    }

    public func captureState() -> State {
        let clock = clock.withLock { $0 }
        return State(
            processors: processors.enumerated().map { slot, processor in
                let runstate = processor.runstate.withLock { $0 }
                return State.Processor(
                    information: processor.information.load(ordering: .acquiring),
                    controlBlock: processor.controlBlock.load(ordering: .acquiring),
                    upcallVector: processor.upcallVector.load(ordering: .acquiring),
                    isKicked: processor.isKicked.load(ordering: .acquiring),
                    timerDeadline: processor.timerDeadline.load(ordering: .acquiring),
                    counterAdjustment: clock.adjustments[slot], runstate: runstate.kind.rawValue,
                    runstateTimes: runstate.times, runstateArea: runstate.area,
                    queueTails: processor.tails.withLock { $0.words })
            },
            ports: eventChannels.ports.enumerated().compactMap { number, channel in
                let word = channel.current
                guard word.isOpen else { return nil }
                return State.Port(
                    number: UInt32(number), binding: word.binding, vcpu: word.vcpu.rawValue,
                    priority: word.priority,
                    lastQueue: channel.lastQueue.load(ordering: .acquiring),
                    isEarly: channel.isEarly.load(ordering: .acquiring))
            },
            sharedInfo: eventChannels.sharedInfo.load(ordering: .acquiring),
            isNarrow: eventChannels.isNarrow.load(ordering: .acquiring),
            usesFIFO: eventChannels.usesFIFO.load(ordering: .acquiring),
            eventPages: eventChannels.eventPages.map(\.value), grantVersion: grantTable.version,
            grantFrames: grantTable.frames.map(\.value),
            grantStatusFrames: grantTable.statusFrames.map(\.value),
            parameters: parameters.withLock { parameters in
                Dictionary(
                    uniqueKeysWithValues: parameters.values.map { ($0.key.rawValue, $0.value) })
            }, marksRunstateUpdates: marksRunstateUpdates.load(ordering: .relaxed),
            systemTime: systemTime, secondClockPage: clock.secondPage)
    }

    /// Memory and the time-stamp counter have been restored before; listeners of the host connect
    /// again themselves.
    public func restore(_ state: State) throws(XError) {
        try check(state)
        for (processor, from) in zip(processors, state.processors) {
            processor.information.store(from.information, ordering: .releasing)
            processor.controlBlock.store(from.controlBlock, ordering: .releasing)
            processor.upcallVector.store(from.upcallVector, ordering: .releasing)
            processor.isKicked.store(from.isKicked, ordering: .releasing)
            processor.tails.withLock { $0.words = from.queueTails }
            processor.timerPort.store(0, ordering: .relaxed)
            processor.debugPort.store(0, ordering: .relaxed)
            processor.runstate.withLock { runstate in
                runstate.kind = Runstate.Kind(rawValue: from.runstate) ?? .offline
                runstate.since = systemTime
                runstate.times = from.runstateTimes
                runstate.area = from.runstateArea
            }
        }
        eventChannels.restore(state)
        for (frame, value) in zip(grantTable.frames, state.grantFrames) { frame.value = value }
        for (frame, value) in zip(grantTable.statusFrames, state.grantStatusFrames) {
            frame.value = value
        }
        grantTable.version = state.grantVersion
        for (number, value) in state.parameters {
            if let parameter = Parameter(rawValue: number) { self[parameter] = value }
        }
        let vector = self[.callbackInterrupt]
        callback.value = vector >> 56 == 2 ? UInt8(truncatingIfNeeded: vector) : 0
        marksRunstateUpdates.store(state.marksRunstateUpdates, ordering: .relaxed)
        clock.withLock { clock in
            clock.origin = .take(
                counter: surroundings.counter, nanoseconds: surroundings.monotonic)
            clock.adjustments = state.processors.map(\.counterAdjustment)
            clock.secondPage = state.secondClockPage
        }
        for (slot, from) in state.processors.enumerated() {
            let index = VCPUIndex(UInt32(slot))
            publishTime(index, flags: ClockPage.stopped)
            if from.timerDeadline != 0 { setTimer(index, from.timerDeadline) }
        }
    }

    /// Every address of the state is of RAM, and every number in its range.
    private func check(_ state: State) throws(XError) {
        func isPage(_ address: UInt64) -> Bool {
            address == 0 || address & 0xfff == 0 && memory.contains(address, 4096)
        }
        func isArea(_ address: UInt64, _ byteCount: Int) -> Bool {
            address == 0 || address & 7 == 0 && memory.contains(address, byteCount)
        }
        let pages =
            [state.sharedInfo] + state.eventPages + state.grantFrames + state.grantStatusFrames
        let isGood =
            state.processors.count == processors.count && pages.allSatisfy(isPage)
            && isArea(state.secondClockPage, ClockPage.byteCount)
            && state.processors.allSatisfy { processor in
                isArea(processor.information, Int(VCPUInformation.byteCount))
                    && isArea(processor.controlBlock, Int(EventControlBlock.byteCount))
                    && processor.queueTails.count == 16 && processor.runstateTimes.count == 4
                    && (processor.runstateArea.isEmpty || processor.runstateArea.count == 6)
                    && processor.runstateArea.allSatisfy { $0 != 0 && isArea($0, 8) }
            }
            && state.ports.allSatisfy { port in
                port.number > 0 && port.number < EventChannels.portCount
                    && Int(port.vcpu) < processors.count && port.priority < 16
            } && (state.grantVersion == 1 || state.grantVersion == 2)
        guard isGood else {
            throw XError(
                .invalidFormat,
                "the state of \(name) does not fit the machine: \(state.processors.count) vCPUs, "
                    + "\(state.ports.count) ports; restore it in a machine of the same size")
        }
    }
}

extension EventChannels {
    func restore(_ state: XenFace.State) {
        table.withLock { _ in
            sharedInfo.store(state.sharedInfo, ordering: .releasing)
            isNarrow.store(state.isNarrow, ordering: .releasing)
            usesFIFO.store(state.usesFIFO, ordering: .releasing)
            for (page, value) in zip(eventPages, state.eventPages) { page.value = value }
            for channel in ports {
                channel.listener.set(nil)
                channel.set(EventChannelWord(.closed, vcpu: VCPUIndex(0)))
            }
            for port in state.ports {
                let channel = ports[Int(port.number)]
                // Whoever listened connects again.
                let binding =
                    port.binding == .host ? .unbound(remote: .host) : port.binding
                let vcpu = VCPUIndex(port.vcpu)
                channel.set(EventChannelWord(binding, vcpu: vcpu, priority: port.priority))
                channel.lastQueue.store(port.lastQueue, ordering: .relaxed)
                channel.isEarly.store(port.isEarly, ordering: .relaxed)
                guard let processor = processor(vcpu) else { continue }
                if case .virtualInterrupt(let number) = binding {
                    setSlot(processor, number, port.number)
                }
            }
        }
    }
}
