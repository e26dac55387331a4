public import Vocabulary

/// One virtual processor, whatever runs it: interpreter, translator or `/dev/kvm`.
///
/// Owner: the runner of one vCPU. Every member is called on that vCPU's own thread only; other
/// threads speak to it through `PendingEvents`. An engine never blocks and never calls up: it gives
/// control back with a `VMExit` by value, and the answer to an exit goes in through one of the
/// `complete` members before the next `run`.
public protocol CPUEngine: LinearAddressSpace {
    /// Runs the guest until it needs something, until `PendingEvents` asks for attention that the
    /// guest can take now, or until about `budget` instructions are retired (a block may be
    /// finished beyond it). Never blocks.
    func run(budget: Int) -> VMExit

    /// Answers `.portRead` and `.mmioRead`; the low `width` bytes count. The instruction is run
    /// again from its start with the answers given so far.
    func complete(read value: UInt64)
    /// Answers `.msrRead`, and `.taskPriorityRead` with CR8 in bits 3:0.
    func complete(msr value: UInt64)
    /// Answers `.msrWrite` and `.counterAdjusted`: it was carried out. RIP moves past the instruction.
    func completeMSRWrite()
    /// Answers `.msrRead` and `.msrWrite` of a register nobody has, or of a value it refuses:
    /// the guest gets #GP(0) at the instruction.
    func completeMSRFault()
    /// Answers `.hypercall`: the value goes to RAX and RIP moves past the instruction.
    func complete(hypercall result: UInt64)
    /// The arguments of the hypercall, from `.hypercall` until its answer.
    var hypercallFrame: HypercallFrame { get }

    /// The guest would take an external interrupt before its next instruction: IF is set, no
    /// interrupt shadow, no event in delivery. While it is false and `PendingEvents.interrupt` is
    /// set, the engine runs on and comes back with `.eventsPending` as soon as it becomes true.
    var canTakeInterrupt: Bool { get }
    /// Delivers an external interrupt before the next instruction. Only while `canTakeInterrupt`.
    func inject(interrupt vector: UInt8)
    /// Delivers #PF before the next instruction, with the address in CR2. Only while `canTakeInterrupt`.
    func injectPageFault(address: UInt64, errorCode: UInt16)
    /// An event is in the midst of its delivery, which needs a page that was absent: see
    /// `VMExit.pageAbsent`. It goes on with the next `run`, before anything else happens.
    var isDelivering: Bool { get }
    /// Delivers an NMI before the next instruction, or when the running NMI handler returns.
    func injectNonMaskableInterrupt()
    /// Drops every translation of addresses, global ones included. Between two runs.
    func flushTLB()

    /// At the last `.pause`: since the one before, the guest did nothing but spin on.
    var keptSpinning: Bool { get }
    /// CPL, 0 (where a kernel is) to 3 (where programs are).
    var privilegeLevel: UInt8 { get }
    /// When the guest first ran at privilege level 3, where its programs are; nil: not yet.
    var firstUserEntry: Instant? { get }

    /// Everything architectural. Reading and writing are slow; for start, snapshots and reports.
    var state: ArchitecturalState { get set }
    /// Counters since the engine was made.
    var statistics: EngineStatistics { get }

    /// INIT (Intel SDM volume 3, table 10-1): the next instruction is at the reset vector; the x87
    /// and vector registers, the time-stamp counter and most model-specific registers stay.
    func reset()
    /// Start-up IPI after INIT: real mode at `vector` << 12.
    func startUp(vector: UInt8)
}

/// What an engine counted since it was made.
public struct EngineStatistics: Codable, Sendable, Equatable {
    /// Guest instructions retired; one iteration of a repeated string instruction counts as one or
    /// more, as the engine finds cheap.
    public var instructionsRetired: UInt64 = 0
    /// Data accesses that the TLB did not answer at once.
    public var tlbMisses: UInt64 = 0
    /// Data accesses that it did; an estimate where counting would cost.
    public var tlbHits: UInt64 = 0
    /// TLB flushes of any size that the guest asked for.
    public var tlbFlushes: UInt64 = 0
    public var blocksDecoded: UInt64 = 0
    /// Blocks thrown away because their bytes were written.
    public var blocksInvalidated: UInt64 = 0
    /// Blocks looked up because no link led to them.
    public var blockLookups: UInt64 = 0
    public var exceptionsDelivered: UInt64 = 0
    public var interruptsDelivered: UInt64 = 0
    /// Locked instructions for which all other vCPUs had to pause.
    public var busLocks: UInt64 = 0

    public init() {}
}
