internal import GuestMemory
internal import HostIO
internal import Synchronization
public import VirtualCPU
public import Vocabulary

/// What a hypercall asks of the rest of the machine.
public enum XenEffect: Sendable, Equatable {
    case none
    /// The caller has nothing to do just now.
    case yield
    /// The caller waits for interrupts, as by HLT with them on.
    case block
    /// The caller waits for a kick, or for an interrupt if it can take one.
    case poll
    case shutdown(ShutdownReason)
    /// An event for another vCPU, which is to run soon if it waited in SCHEDOP_poll: as for a lock that the
    /// caller has given back.
    case interrupted(VCPUIndex, wasPolling: Bool)
    /// An NMI for this vCPU.
    case nonMaskableInterrupt(VCPUIndex)
}

/// SHUTDOWN_* of xen/include/public/sched.h.
public enum ShutdownReason: UInt32, Sendable, Equatable {
    case powerOff = 0
    case reboot = 1
    case suspend = 2
    case crash = 3
    case watchdog = 4
    case softReset = 5
}

/// The answer to a hypercall.
public struct XenOutcome: Sendable, Equatable {
    /// For RAX.
    public var result: UInt64
    public var effect: XenEffect

    public init(_ result: UInt64, _ effect: XenEffect = .none) {
        self.result = result
        self.effect = effect
    }

    init(_ error: XenError) { self.init(error.result) }
}

/// __HYPERVISOR_* of xen/include/public/xen.h that are there.
enum HypercallNumber: UInt64, CaseIterable {
    case memory = 12
    case setTimer = 15
    case version = 17
    case consoleIO = 18
    case grantTable = 20
    case vmAssist = 21
    case vcpu = 24
    case scheduler = 29
    case eventChannel = 32
    case hvm = 34
}

struct HypercallCounters: ~Copyable, Sendable {
    let memory = Atomic<UInt64>(0)
    let version = Atomic<UInt64>(0)
    let grantTable = Atomic<UInt64>(0)
    let vcpu = Atomic<UInt64>(0)
    let scheduler = Atomic<UInt64>(0)
    let eventChannel = Atomic<UInt64>(0)
    let hvm = Atomic<UInt64>(0)
    let other = Atomic<UInt64>(0)
}

extension XenFace {
    /// RAX of a hypercall nobody knows.
    public static let unknownHypercall = XenError.noHypercall.result

    /// Does what a hypercall asks for, as far as it concerns this face; the caller carries the effect
    /// out, on the vCPU's worker.
    public func hypercall(
        _ frame: HypercallFrame, from caller: VCPUIndex, in space: any LinearAddressSpace
    ) -> XenOutcome {
        guard frame.privilegeLevel == 0 else { return XenOutcome(.notPermitted) }
        let frame = frame.is64Bit ? frame : Self.narrow(frame)
        guard let number = HypercallNumber(rawValue: frame.rax),
            frame.is64Bit || Self.isForNarrowCallers(number, frame.rdi)
        else {
            hypercalls.other.wrappingAdd(1, ordering: .relaxed)
            return XenOutcome(.noHypercall)
        }
        let arguments = HypercallMemory(memory, space, isWide: frame.is64Bit)
        switch number {
        case .eventChannel:
            hypercalls.eventChannel.wrappingAdd(1, ordering: .relaxed)
            return eventChannels.perform(frame.rdi, frame.rsi, in: arguments)
        case .scheduler:
            hypercalls.scheduler.wrappingAdd(1, ordering: .relaxed)
            return schedule(frame.rdi, frame.rsi, caller, arguments)
        case .vcpu:
            hypercalls.vcpu.wrappingAdd(1, ordering: .relaxed)
            return vcpu(
                frame.rdi, VCPUIndex(UInt32(truncatingIfNeeded: frame.rsi)), frame.rdx, arguments)
        case .setTimer:
            setTimer(caller, frame.is64Bit ? frame.rdi : frame.rdi | frame.rsi << 32)
            return XenOutcome(0)
        case .memory:
            hypercalls.memory.wrappingAdd(1, ordering: .relaxed)
            return XenOutcome(memory(frame.rdi, frame.rsi, arguments))
        case .grantTable:
            hypercalls.grantTable.wrappingAdd(1, ordering: .relaxed)
            return XenOutcome(
                grantTable.perform(
                    frame.rdi, frame.rsi, count: frame.rdx, domain: domain, in: arguments))
        case .version:
            hypercalls.version.wrappingAdd(1, ordering: .relaxed)
            return XenOutcome(version(frame.rdi, frame.rsi, arguments))
        case .hvm:
            hypercalls.hvm.wrappingAdd(1, ordering: .relaxed)
            return XenOutcome(hvm(frame.rdi, frame.rsi, arguments))
        case .vmAssist:
            return XenOutcome(assist(frame.rdi, frame.rsi))
        case .consoleIO: return XenOutcome(.noHypercall)
        }
    }

    /// The arguments of a 32-bit caller, which are in EBX, ECX, EDX, ESI and EDI, where a 64-bit one has
    /// them.
    private static func narrow(_ frame: HypercallFrame) -> HypercallFrame {
        func low(_ value: UInt64) -> UInt64 { value & 0xffff_ffff }
        var result = HypercallFrame()
        result.rax = low(frame.rax)
        result.rdi = low(frame.rbx)
        result.rsi = low(frame.rcx)
        result.rdx = low(frame.rdx)
        result.r10 = low(frame.rsi)
        result.r8 = low(frame.rdi)
        result.privilegeLevel = frame.privilegeLevel
        result.is64Bit = false
        return result
    }

    /// What has the same arguments for 32-bit callers, or knows theirs: all that a boot loader needs, and
    /// not what moves vcpu_info and run states, which look different to them, nor copies of grants.
    private static func isForNarrowCallers(_ number: HypercallNumber, _ command: UInt64) -> Bool {
        switch number {
        case .memory, .setTimer, .version, .scheduler, .eventChannel, .hvm, .vmAssist: true
        case .grantTable: !GrantTable.differsForNarrowCallers(command)
        case .vcpu, .consoleIO: false
        }
    }

    /// vm_assist(command, type): 0 enables, 1 disables; 5 is VMASST_TYPE_runstate_update_flag.
    private func assist(_ command: UInt64, _ type: UInt64) -> UInt64 {
        guard type == 5, command <= 1 else { return XenError.invalidArgument.result }
        marksRunstateUpdates.store(command == 0, ordering: .relaxed)
        return 0
    }

    // MARK: sched_op

    private func schedule(
        _ command: UInt64, _ address: UInt64, _ caller: VCPUIndex, _ arguments: HypercallMemory
    ) -> XenOutcome {
        switch command {
        case 0: return XenOutcome(0, .yield)
        case 1: return block(caller)
        case 2:
            guard let reason = arguments.read(address, byteCount: 4)?.integer(0, as: UInt32.self)
            else { return XenOutcome(.fault) }
            guard let reason = ShutdownReason(rawValue: reason) else {
                return XenOutcome(.invalidArgument)
            }
            return XenOutcome(0, .shutdown(reason))
        case 3: return poll(address, caller, arguments)
        default: return XenOutcome(.noHypercall)
        }
    }

    /// SCHEDOP_block: events are taken from now on, and one that is there ends it at once.
    private func block(_ caller: VCPUIndex) -> XenOutcome {
        guard let information = processor(caller)?.information.load(ordering: .acquiring),
            information != 0
        else { return XenOutcome(0, .block) }
        _ = memory.atomicExchange(
            GuestPhysicalAddress(information &+ VCPUInformation.upcallMask), UInt8(0))
        let isPending = memory.atomicLoad(GuestPhysicalAddress(information), as: UInt8.self) ?? 0
        return XenOutcome(0, isPending != 0 ? .none : .block)
    }

    /// SCHEDOP_poll: {ports 0, number 8, timeout 16}.
    private func poll(
        _ address: UInt64, _ caller: VCPUIndex, _ arguments: HypercallMemory
    ) -> XenOutcome {
        guard let request = arguments.read(address, wide: 24, narrow: 16),
            let processor = processor(caller)
        else { return XenOutcome(.fault) }
        let count = request.half(8, narrow: 4)
        guard count <= 128 else { return XenOutcome(.invalidArgument) }
        var ports: [EventChannelPort] = []
        for index in 0..<UInt64(count) {
            let place = request.word(0, narrow: 0) &+ index &* 4
            guard let port = arguments.read(place, byteCount: 4)?.port(0) else {
                return XenOutcome(.fault)
            }
            guard eventChannels.channel(port) != nil else { return XenOutcome(.invalidArgument) }
            ports.append(port)
        }
        let watched = ports.count == 1 ? ports[0].rawValue : XenProcessor.anyPort
        processor.polled.store(watched, ordering: .sequentiallyConsistent)
        if ports.contains(where: { eventChannels.isPending($0) }) {
            processor.polled.store(0, ordering: .sequentiallyConsistent)
            return XenOutcome(0)
        }
        let timeout = request.integer(arguments.isWide ? 16 : 8, as: UInt64.self)
        surroundings.setPollTimer(caller, timeout == 0 ? nil : timeout)
        return XenOutcome(0, .poll)
    }

    /// The time of a vCPU's SCHEDOP_poll is over. Any thread.
    public func pollExpired(_ vcpu: VCPUIndex) {
        if let processor = processor(vcpu) { eventChannels.kickFromPoll(vcpu, processor) }
    }

    /// The vCPU was kicked since the last call: it does not halt, or halts no more. Its own worker.
    public func takeKick(_ vcpu: VCPUIndex) -> Bool {
        guard let processor = processor(vcpu) else { return false }
        return processor.isKicked.exchange(false, ordering: .sequentiallyConsistent)
    }

    /// The vCPU waits no more, for whatever reason. Its own worker.
    public func endPoll(_ vcpu: VCPUIndex) {
        guard let processor = processor(vcpu),
            processor.polled.load(ordering: .relaxed) != 0
        else { return }
        processor.polled.store(0, ordering: .sequentiallyConsistent)
    }
}
