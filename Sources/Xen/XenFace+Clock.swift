internal import Clocks
internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

extension XenFace {
    struct Clock: Sendable {
        /// What all vCPUs' clocks share.
        var origin: CounterSample
        let scale: ClockScale
        /// What each vCPU's time-stamp counter shows above the machine's, modulo 2^64.
        var adjustments: [UInt64]
        /// Where the guest wants vCPU 0's clock a second time, for its programs; 0: nowhere.
        var secondPage: UInt64 = 0
        var published: UInt64 = 0
    }

    /// The guest's system time now, in nanoseconds.
    public var systemTime: UInt64 { surroundings.monotonic() }

    /// Writes the clock of a vCPU to its vcpu_info.
    func publishTime(_ index: VCPUIndex, flags: UInt8 = 0) {
        clock.withLock { publishTime(index, flags, &$0) }
    }

    private func publishTime(_ index: VCPUIndex, _ flags: UInt8, _ clock: inout Clock) {
        guard let information = processor(index)?.information.load(ordering: .acquiring),
            information != 0
        else { return }
        let slot = Int(index.rawValue)
        let adjustment = clock.adjustments[slot]
        let agree = clock.adjustments.allSatisfy { $0 == adjustment }
        var pages = [information &+ VCPUInformation.time]
        if slot == 0, clock.secondPage != 0 { pages.append(clock.secondPage) }
        for page in pages {
            ClockPage.publish(
                GuestPhysicalAddress(page), in: memory,
                counter: clock.origin.counter &+ adjustment,
                nanoseconds: clock.origin.nanoseconds, scale: clock.scale,
                flags: flags | (agree ? ClockPage.stable : 0))
            clock.published &+= 1
        }
    }

    /// VCPUOP_register_vcpu_time_memory_area: for vCPU 0 only, which is the one that Linux asks for.
    func setSecondPage(_ address: UInt64) {
        clock.withLock { clock in
            clock.secondPage = address
            publishTime(VCPUIndex(0), 0, &clock)
        }
    }

    /// The vCPU's counter shows `adjustment` more than the machine's from now on: the clocks that guests
    /// compute do not move.
    public func adjustCounter(by adjustment: UInt64, of index: VCPUIndex) {
        clock.withLock { clock in
            let slot = Int(clamping: index.rawValue)
            guard slot < clock.adjustments.count else { return }
            clock.adjustments[slot] = adjustment
            for slot in processors.indices { publishTime(VCPUIndex(UInt32(slot)), 0, &clock) }
        }
    }

    /// Writes the time of the guest's boot to shared_info, whose wall clock has a word above 32 bits of
    /// seconds.
    func publishWallClock() {
        let page = eventChannels.sharedInfo.load(ordering: .acquiring)
        guard page != 0 else { return }
        let boot = surroundings.wallClock() &- systemTime
        let isNarrow = eventChannels.isNarrow.load(ordering: .acquiring)
        let place = isNarrow ? SharedInfo.narrowWallClock : SharedInfo.wallClock
        let highSeconds =
            isNarrow ? SharedInfo.narrowWallClockHighSeconds : SharedInfo.wallClockHighSeconds
        ClockPage.publishWallClock(
            GuestPhysicalAddress(page &+ place), in: memory, boot: boot)
        memory.write(
            GuestPhysicalAddress(page &+ highSeconds),
            integer: UInt32(truncatingIfNeeded: (boot / 1_000_000_000) >> 32))
    }

    // MARK: Timers

    /// VIRQ_TIMER at a time of the guest's clock; 0: never.
    func setTimer(_ index: VCPUIndex, _ deadline: UInt64) {
        guard let processor = processor(index) else { return }
        processor.timerDeadline.store(deadline, ordering: .relaxed)
        surroundings.setTimer(index, deadline == 0 ? nil : deadline)
    }

    /// The time that `setTimer` asked for has come. Any thread.
    public func timerExpired(_ index: VCPUIndex) {
        guard let processor = processor(index) else { return }
        processor.timerDeadline.store(0, ordering: .relaxed)
        let port = processor.timerPort.load(ordering: .acquiring)
        if port != 0 { eventChannels.raise(EventChannelPort(port)) }
    }

    // MARK: vcpu_op

    /// VCPUOP_* of xen/include/public/vcpu.h.
    private enum VCPUOperation {
        static let up: UInt64 = 1
        static let down: UInt64 = 2
        static let isUp: UInt64 = 3
        static let runstateArea: UInt64 = 5
        static let stopPeriodicTimer: UInt64 = 7
        static let setSingleShotTimer: UInt64 = 8
        static let stopSingleShotTimer: UInt64 = 9
        static let information: UInt64 = 10
        static let nonMaskableInterrupt: UInt64 = 11
        static let timeArea: UInt64 = 13
    }

    /// vcpu_op(command, vCPU, address).
    func vcpu(
        _ command: UInt64, _ index: VCPUIndex, _ address: UInt64, _ arguments: HypercallMemory
    ) -> XenOutcome {
        guard let processor = processor(index) else { return XenOutcome(.noEntry) }
        switch command {
        case VCPUOperation.setSingleShotTimer:
            guard let request = arguments.read(address, byteCount: 16) else {
                return XenOutcome(.fault)
            }
            let deadline = request.integer(0, as: UInt64.self)
            // VCPU_SSHOTTMR_future: not one that is over.
            if request.integer(8, as: UInt32.self) & 1 != 0, deadline < systemTime {
                return XenOutcome(.timeIsOver)
            }
            setTimer(index, max(1, deadline))
            return XenOutcome(0)
        case VCPUOperation.stopSingleShotTimer:
            setTimer(index, 0)
            return XenOutcome(0)
        case VCPUOperation.stopPeriodicTimer: return XenOutcome(0)
        case VCPUOperation.information:
            guard let request = arguments.read(address, byteCount: 16) else {
                return XenOutcome(.fault)
            }
            let error = placeInformation(
                of: index, processor, frame: request.integer(0), offset: request.integer(8))
            return XenOutcome(error?.result ?? 0)
        case VCPUOperation.runstateArea:
            guard let area = arguments.read(address, byteCount: 8)?.integer(0, as: UInt64.self)
            else { return XenOutcome(.fault) }
            return placeRunstate(processor, area, arguments)
                ? XenOutcome(0) : XenOutcome(.fault)
        case VCPUOperation.timeArea:
            guard let area = arguments.read(address, byteCount: 8)?.integer(0, as: UInt64.self)
            else { return XenOutcome(.fault) }
            return placeTime(index, area, arguments)
        // Processors are started by their local APICs; one that has been is up.
        case VCPUOperation.isUp: return XenOutcome(1)
        case VCPUOperation.up, VCPUOperation.down: return XenOutcome(0)
        case VCPUOperation.nonMaskableInterrupt:
            return XenOutcome(0, .nonMaskableInterrupt(index))
        default: return XenOutcome(.noHypercall)
        }
    }

    private func placeTime(
        _ index: VCPUIndex, _ area: UInt64, _ arguments: HypercallMemory
    ) -> XenOutcome {
        guard index.rawValue == 0 else { return XenOutcome(.noHypercall) }
        if area == 0 {
            setSecondPage(0)
            return XenOutcome(0)
        }
        guard area & 7 == 0, area & 0xfff <= 0xfe0,
            let place = arguments.physical(area, write: true),
            memory.contains(place, byteCount: ClockPage.byteCount)
        else { return XenOutcome(.fault) }
        setSecondPage(place.rawValue)
        return XenOutcome(0)
    }

    /// VCPUOP_register_vcpu_info: it moves, with what is in it. Registered once; the same again is
    /// taken, as a guest asks after a checkpoint.
    private func placeInformation(
        of index: VCPUIndex, _ processor: XenProcessor, frame: UInt64, offset: UInt32
    ) -> XenError? {
        guard frame < 1 << 40, offset & 7 == 0,
            UInt64(offset) &+ VCPUInformation.byteCount <= 4096,
            memory.contains(frame << 12, 4096)
        else { return .invalidArgument }
        let new = GuestPhysicalAddress(frame << 12 | UInt64(offset))
        let old = processor.information.load(ordering: .acquiring)
        if old == new.rawValue { return nil }
        if old != 0, !isEmbedded(old) { return .invalidArgument }
        let content =
            old == 0
            ? [UInt8](repeating: 0, count: Int(VCPUInformation.byteCount))
            : memory.read(
                GuestPhysicalAddress(old), byteCount: Int(VCPUInformation.byteCount)) ?? []
        memory.write(new, content)
        processor.information.store(new.rawValue, ordering: .sequentiallyConsistent)
        publishTime(index)
        // Nothing that came meanwhile may be lost: look at all of it.
        memory.atomicStore(new.advanced(by: VCPUInformation.pendingSelector), UInt64.max)
        _ = memory.atomicExchange(new, UInt8(0))
        eventChannels.announce(to: index)
        return nil
    }

    private func isEmbedded(_ address: UInt64) -> Bool {
        let page = eventChannels.sharedInfo.load(ordering: .acquiring)
        return page != 0 && address & ~0xfff == page
    }
}
