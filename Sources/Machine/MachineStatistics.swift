public import HostIO
internal import Interrupts
public import Scheduler
public import VirtualCPU

/// What a machine counted, as `martlet run --stats` prints it.
public struct MachineStatistics: Codable, Sendable, Equatable {
    public var instructionsRetired: UInt64 = 0
    /// When the first vCPU was started, in nanoseconds of CLOCK_MONOTONIC; absent if none was.
    public var startNanoseconds: UInt64?
    /// From the start of the first vCPU to now or to the end, in seconds.
    public var seconds: Double = 0
    /// CPU time of the vCPUs, in seconds.
    public var processorSeconds: Double = 0
    /// Millions of instructions per second of CPU time.
    public var mips: Double = 0
    /// Exits by kind; kinds that never happened are absent.
    public var exits: [String: UInt64] = [:]
    public var tlbHits: UInt64 = 0
    public var tlbMisses: UInt64 = 0
    /// Hits per access, 0 to 1.
    public var tlbHitRate: Double = 0
    /// From the start of the first vCPU to the first instruction of a program in the guest, at
    /// privilege level 3, in seconds; absent if there was none.
    public var secondsToFirstUserInstruction: Double?
    /// Peak resident memory of this process, in bytes.
    public var peakMemoryByteCount: UInt64 = 0
    public var engine = EngineStatistics()
    /// Of all vCPUs together.
    public var code = CodeCacheStatistics()
    /// Instruction forms that left translated code for the interpreter, most often first; at most
    /// twenty, none unless `MachineConfiguration.countsForms`.
    public var exitsByForm: [FormExits] = []
    /// What each device, controller and clock counted, by its name.
    public var parts: [String: [String: UInt64]] = [:]
    /// What the scheduler counted for each vCPU, in their order.
    public var scheduling: [VCPUSchedulingStatistics] = []
    /// Every lock of this process, the longest waited for first.
    public var locks: [LockStatistics] = []

    /// From the host's event until a vCPU had the interrupt in service, by source: `timer` are local
    /// APIC timers, `processor` other vCPUs.
    public var interruptLatencies: [String: Latency] = [:]

    /// How long something took, in nanoseconds; percentiles are exact to 1 %.
    public struct Latency: Codable, Sendable, Equatable {
        public var count: UInt64
        public var p50: UInt64
        public var p99: UInt64
        /// 99.9 %.
        public var p999: UInt64
        public var max: UInt64

        init(_ summary: InterruptLatencies.Summary) {
            (count, p50, p99) = (summary.count, summary.p50, summary.p99)
            (p999, max) = (summary.p999, summary.max)
        }
    }

    public init() {}

    mutating func add(_ report: VCPURunner.Report) {
        instructionsRetired &+= report.engine.instructionsRetired
        tlbHits &+= report.engine.tlbHits
        tlbMisses &+= report.engine.tlbMisses
        engine.add(report.engine)
        for (kind, count) in report.exits where count > 0 {
            exits[kind.rawValue, default: 0] &+= count
        }
        let accesses = tlbHits &+ tlbMisses
        tlbHitRate = accesses == 0 ? 0 : Double(tlbHits) / Double(accesses)
    }
}

extension EngineStatistics {
    mutating func add(_ other: EngineStatistics) {
        instructionsRetired &+= other.instructionsRetired
        tlbMisses &+= other.tlbMisses
        tlbHits &+= other.tlbHits
        tlbFlushes &+= other.tlbFlushes
        blocksDecoded &+= other.blocksDecoded
        blocksInvalidated &+= other.blocksInvalidated
        blockLookups &+= other.blockLookups
        exceptionsDelivered &+= other.exceptionsDelivered
        interruptsDelivered &+= other.interruptsDelivered
        busLocks &+= other.busLocks
    }
}
