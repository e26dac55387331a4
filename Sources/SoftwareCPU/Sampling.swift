internal import CEngine
public import VirtualCPU
internal import Vocabulary

/// Looks at one vCPU while it runs: a signal interrupts its worker, and what it interrupted is noted.
///
/// So a sample is where the guest is, not where the engine next asks for events, and translated code is
/// what it always is. Off, it costs a branch at each entry to the engine.
///
/// Owner: who profiles, and the vCPU's runner. `strike` and `take` are for one thread, the rest for the
/// vCPU's worker. The engine outlives it.
@safe
public final class GuestSampler: WorkerObserver, @unchecked Sendable {
    /// What a look at the vCPU found.
    public struct Sample: Sendable, Equatable {
        public enum Activity: Sendable, Hashable {
            /// Translated code ran.
            case translated
            /// The interpreter ran, or a handler that translated code had called, or the translator.
            case interpreted
            /// The machine answered the instruction's exit.
            case exit
        }

        /// Linear address of the instruction; of the first of its block where the interpreter ran.
        public var address: UInt64
        /// CR3 without PCID and attributes: the address space.
        public var pageTable: UInt64
        /// CPL, 0 to 3.
        public var privilegeLevel: UInt8
        public var activity: Activity
    }

    // Owner: this object, freed in deinit; shared with the signal handler: see `GuestSampling.h`.
    private let sampler: UnsafeMutablePointer<CEngine.GuestSampler>
    private let code: CodeCache

    init(_ cpu: CPU, _ code: CodeCache) {
        self.code = code
        unsafe sampler = .allocate(capacity: 1)
        unsafe sampler.withMemoryRebound(
            to: UInt8.self, capacity: MemoryLayout<CEngine.GuestSampler>.size
        ) {
            unsafe $0.initialize(
                repeating: 0, count: MemoryLayout<CEngine.GuestSampler>.size)
        }
        unsafe sampler.pointee.cpu = unsafe UnsafePointer(cpu)
    }

    deinit { unsafe sampler.deallocate() }

    /// Makes the process take SIGPROF for this, for good. Once, before the first `strike`. False: it has
    /// another use for the signal.
    public static func install() -> Bool { cengine_install_sampling() != 0 }

    // MARK: The vCPU's worker

    public func comesOntoThread() { unsafe cengine_sampler_enter(sampler) }

    public func leavesThread() { unsafe cengine_sampler_leave(sampler) }

    /// The engine begins to run guest code, or has ended.
    func setRunning(_ isRunning: Bool) {
        unsafe cengine_sampler_set_running(sampler, isRunning ? 1 : 0)
    }

    /// The decoded instructions that stay where they are while the engine runs guest code, until the next
    /// call.
    func setBlocks(_ range: Range<UInt64>) {
        unsafe cengine_sampler_set_blocks(sampler, range.lowerBound, range.upperBound)
    }

    // MARK: Who profiles

    /// Has the vCPU looked at, if it is on a thread just now: not while it halts.
    public func strike() { unsafe cengine_sampler_strike(sampler) }

    /// The oldest sample that was not taken yet.
    public func take() -> Sample? {
        var seen = GuestSample()
        guard unsafe cengine_sampler_take(sampler, &seen) != 0 else { return nil }
        var sample = Sample(
            address: seen.address, pageTable: seen.cr3 & 0x000f_ffff_ffff_f000,
            privilegeLevel: UInt8(truncatingIfNeeded: seen.privilegeLevel & 3),
            activity: seen.activity == UInt32(GUEST_SAMPLE_EXIT) ? .exit : .interpreted)
        if sample.activity == .interpreted, let offset = code.pageOffset(of: seen.hostAddress) {
            sample.activity = .translated
            sample.address = seen.codePage | UInt64(offset)
        }
        return sample
    }

    /// Samples that nobody took in time.
    public var lostCount: UInt64 { UInt64(unsafe cengine_sampler_lost(sampler)) }
}

extension CodeArena {
    /// Addresses of the host at which its decoded instructions are.
    var addresses: Range<UInt64> {
        let start = unsafe UInt64(UInt(bitPattern: instructions))
        let stride = unsafe MemoryLayout<DecodedInstruction>.stride
        return start..<(start &+ UInt64(capacity &* stride))
    }
}
