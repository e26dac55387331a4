internal import CEngine

// The TLB's probe, in line, and the second look at what was displaced, out of it.

/// A probe that has not hit: the entry may be among the victims, and the probe goes on then.
struct Retry {
    var patch: Assembler.Patch = 0
    /// Where the probe goes on, in code memory.
    var resume = 0
    var isWrite = false
}

/// What leads an instruction to its slow path or its exit.
struct Misses {
    private(set) var patches = Patches()
    private var retries = InlineArray<2, Retry>(repeating: Retry())
    private var retryCount = 0

    init() {}
    init(_ patches: Patches) { self.patches = patches }
    init(_ retry: Retry) { append(retry) }

    var isEmpty: Bool { patches.isEmpty && retryCount == 0 }

    mutating func append(_ patch: Assembler.Patch) { patches.append(patch) }

    /// No instruction probes more often.
    mutating func append(_ retry: Retry) {
        precondition(retryCount < retries.count, "an instruction with more than 2 probes")
        retries[retryCount] = retry
        retryCount += 1
    }

    mutating func removeAll() { self = Misses() }

    fileprivate var probes: (first: Retry?, second: Retry?) {
        (retryCount > 0 ? retries[0] : nil, retryCount > 1 ? retries[1] : nil)
    }
}

extension BlockTranslation {
    /// What to add to a linear address into R11, if the TLB has it. The jump is taken if not. Clobbers
    /// R10 and the host's flags.
    mutating func probeEntry(_ access: GuestAccess, write: Bool) -> Retry {
        assembler.compute(access, into: .r10)
        // The entry's offset: SHR R10, 7; AND R10D, mask.
        assembler.instruction(HostOpcode(0xc1, wide: true), register: 5, .register(10))
        assembler.byte(7)
        assembler.instruction(HostOpcode(0x81), register: 4, .register(10))
        assembler.integer32(Int32(TLB_ENTRY_COUNT &- 1) &<< 5)
        // The tag: the page of the last byte, with the context.
        assembler.compute(access, plus: max(access.byteCount &- 1, 0), into: .r11)
        assembler.instruction(HostOpcode(0x81, wide: true), register: 4, .register(11))
        assembler.integer32(-4096)
        assembler.instruction(
            HostOpcode(0x0b, wide: true), register: 11,
            .memory(HostLayout.tlbContext(upper: isUpper)))
        assembler.instruction(
            HostOpcode(0x3b, wide: true), register: 11,
            .memory(write ? HostLayout.writeTag(.r10) : HostLayout.readTag(.r10)))
        let miss = assembler.jump(.notEqual)
        let retry = Retry(patch: miss, resume: assembler.position, isWrite: write)
        assembler.load(.r11, HostLayout.addend(.r10))
        hostFlags = []
        return retry
    }

    /// They lead here, except where the entry was only displaced: there the probe goes on.
    mutating func bind(_ misses: Misses) {
        let (first, second) = misses.probes
        if let first { lookAgain(first) }
        if let second {
            let absent = assembler.jump()
            lookAgain(second)
            assembler.bind(absent)
        }
        assembler.bind(misses.patches)
    }

    private mutating func lookAgain(_ retry: Retry) {
        assembler.bind(retry.patch)
        assembler.call(to: routines.recall(write: retry.isWrite))
        assembler.bind(assembler.jump(.equal), to: retry.resume)
    }
}
