internal import Synchronization

/// What others must know of a local APIC to send it an interrupt, in one atomic word: its logical
/// address, its mode and its priority.
///
/// bits 31:0 LDR, 39:32 processor priority, 40 IA32_APIC_BASE enable, 41 x2APIC mode, 42 software
/// enable, 43 flat model, 44 the end of the interrupt in service is offered in memory.
struct LocalAPICAddress: Sendable, Equatable {
    var bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    init(
        logicalDestination: UInt32, processorPriority: UInt8, isEnabled: Bool, isX2: Bool,
        isSoftwareEnabled: Bool, isFlat: Bool, endIsOffered: Bool
    ) {
        bits =
            UInt64(logicalDestination) | UInt64(processorPriority) << 32
            | (isEnabled ? 1 << 40 : 0) | (isX2 ? 1 << 41 : 0)
            | (isSoftwareEnabled ? 1 << 42 : 0) | (isFlat ? 1 << 43 : 0)
            | (endIsOffered ? 1 << 44 : 0)
    }

    var logicalDestination: UInt32 { UInt32(truncatingIfNeeded: bits) }
    var processorPriority: UInt8 { UInt8(truncatingIfNeeded: bits >> 32) }
    var isEnabled: Bool { bits & 1 << 40 != 0 }
    var isX2: Bool { bits & 1 << 41 != 0 }
    var isSoftwareEnabled: Bool { bits & 1 << 42 != 0 }
    var isFlat: Bool { bits & 1 << 43 != 0 }
    var endIsOffered: Bool { bits & 1 << 44 != 0 }

    /// An interrupt for `destination` is for the APIC with this address and `identifier` (SDM
    /// volume 3, 11.6.2 and 11.12.10). `isWide`: the sender speaks x2APIC, with 32 bits.
    func matches(_ identifier: UInt32, _ destination: UInt32, isLogical: Bool, isWide: Bool) -> Bool
    {
        guard isEnabled else { return false }
        if destination == (isWide ? .max : 0xff) { return true }
        if !isLogical { return destination == identifier }
        if isX2 {
            return destination >> 16 == logicalDestination >> 16
                && destination & logicalDestination & 0xffff != 0
        }
        guard destination <= 0xff else { return false }
        let own = logicalDestination >> 24
        if isFlat { return own & destination != 0 }
        // All clusters, or this one.
        return (destination >> 4 == 0xf || own >> 4 == destination >> 4)
            && own & destination & 0xf != 0
    }
}

/// INIT and start-up IPIs that wait for the vCPU, in one atomic word: bit 0 INIT, bit 1 start-up,
/// bits 15:8 its vector.
struct StartUpLatch: ~Copyable, Sendable {
    private let word = Atomic<UInt32>(0)

    /// An INIT voids the start-up before it; of two start-ups the first counts, as it would have
    /// found the processor waiting.
    borrowing func insert(_ request: LocalAPIC.StartUpRequest) {
        var old = word.load(ordering: .relaxed)
        while true {
            let new: UInt32 =
                switch request {
                case .initialize: 1
                case .startUp(let vector): old & 2 != 0 ? old : old | 2 | UInt32(vector) << 8
                }
            let (done, found) = word.weakCompareExchange(
                expected: old, desired: new, ordering: .acquiringAndReleasing)
            if done { return }
            old = found
        }
    }

    /// An INIT waits. What comes after it finds a processor that waits for start-up.
    var holdsInitialize: Bool { word.load(ordering: .acquiring) & 1 != 0 }

    /// The requests, oldest first, and none is left. `reset` runs before an INIT leaves the latch:
    /// senders see it here or what it has done.
    borrowing func take(reset: () -> Void) -> [LocalAPIC.StartUpRequest] {
        var bits = word.load(ordering: .acquiring)
        while true {
            if bits & 1 != 0 { reset() }
            let (done, found) = word.compareExchange(
                expected: bits, desired: 0, ordering: .acquiringAndReleasing)
            if done { break }
            bits = found
        }
        var requests: [LocalAPIC.StartUpRequest] = []
        if bits & 1 != 0 { requests.append(.initialize) }
        if bits & 2 != 0 {
            requests.append(.startUp(vector: UInt8(truncatingIfNeeded: bits >> 8)))
        }
        return requests
    }

    /// The word as a state keeps it.
    var bits: UInt32 {
        get { word.load(ordering: .acquiring) }
    }

    borrowing func replace(_ bits: UInt32) {
        word.store(bits & 0xff03, ordering: .releasing)
    }
}
