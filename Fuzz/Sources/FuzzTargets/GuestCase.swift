import GuestMemory
import SoftwareCPU
import VirtualCPU
import Vocabulary

/// The machine that a case describes: byte 0 the mode, byte 1 what is sane, bytes 2 to 9 the seed of
/// everything else, then the code.
struct GuestCase {
    static let headerByteCount = 16
    /// Where things lie, physical and (with sane page tables) linear.
    static let tables: UInt64 = 0x1000
    /// Handlers that step over what faulted, 16 bytes for each vector.
    static let handlers: UInt64 = 0x6000
    /// Below the hole; in 16-bit code the same modulo 64 KiB.
    static let stack: UInt64 = 0x7_f000
    static let code: UInt64 = 0x8000
    static let pageTables: UInt64 = 0x1_0000
    static let data: UInt64 = 0x2_0000
    /// RAM has a hole here, and ends at `end`.
    static let hole: Range<UInt64> = 0x8_0000..<0x10_0000
    static let end: UInt64 = 0x20_0000

    enum Mode: UInt8, CaseIterable {
        case real, protected16, protected32, paged32, physicalAddressExtension, virtual8086
        case compatibility, long, longAgain, longOnceMore
    }

    let mode: Mode
    let sane: UInt8
    let seed: UInt64
    private let program: [UInt8]

    /// Of any bytes; missing ones are 0.
    init(_ bytes: [UInt8]) {
        func byte(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }
        mode = Mode(rawValue: byte(0) % UInt8(Mode.allCases.count)) ?? .real
        sane = byte(1)
        seed = (2..<10).reduce(0) { $0 << 8 | UInt64(byte($1)) }
        program = Array(bytes.dropFirst(Self.headerByteCount).prefix(0x4000))
    }

    var hasSaneTables: Bool { sane & 1 != 0 }
    var hasSanePages: Bool { sane & 2 != 0 }
    var hasSaneGates: Bool { sane & 4 != 0 }
    var isSupervisor: Bool { sane & 8 != 0 }
    var hasEvents: Bool { sane & 16 != 0 }
    /// Arithmetic exceptions are unmasked.
    var hasTraps: Bool { sane & 32 != 0 }
    /// Single-stepping or breakpoints.
    var isDebugged: Bool { sane & 0xc0 == 0xc0 }

    /// Half of the cases run translated, from the first run of a block or from a later one.
    var translation: TranslationPolicy {
        seed & 1 == 0 ? .off : .afterRuns(UInt8(truncatingIfNeeded: 1 + seed >> 1 & 3))
    }

    var isLong: Bool { mode.rawValue >= Mode.long.rawValue }
    var usesLongMode: Bool { isLong || mode == .compatibility }
    /// 0 16-bit, 1 32-bit, 2 64-bit code.
    var codeSize: UInt8 {
        switch mode {
        case .real, .protected16, .virtual8086: 0
        case .long, .longAgain, .longOnceMore: 2
        default: 1
        }
    }

    /// An address where something may happen.
    static func address(_ random: inout FuzzRandom) -> UInt64 {
        let near: UInt64 = random.below(64) &- 32
        switch random.below(8) {
        case 0: return hole.lowerBound &+ near
        case 1: return hole.upperBound &+ near
        case 2: return end &+ near
        case 3: return code &+ random.below(0x1000)
        case 4: return pageTables &+ random.below(0x8000)
        case 5: return tables &+ random.below(0x4000)
        case 6: return (data &+ random.below(64) * 0x1000) &+ near
        default: return data &+ random.below(0x4_0000)
        }
    }

    // MARK: Memory

    func makeMemory() throws -> GuestMemory {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: Self.hole.lowerBound),
            MemoryRegion(
                start: GuestPhysicalAddress(Self.hole.upperBound),
                byteCount: Self.end - Self.hole.upperBound),
        ])
        var random = FuzzRandom(seed: seed)
        func put(_ address: UInt64, _ bytes: [UInt8]) {
            _ = memory.write(GuestPhysicalAddress(address), bytes)
        }
        put(0, (0..<256).flatMap { realModeVector($0, &random) })
        put(Self.tables, descriptors(&random).flatMap { littleEndian($0, 8) })
        put(Self.tables + 0x1000, gates(&random).flatMap { littleEndian($0, 8) })
        put(Self.handlers, (0..<256).flatMap { handler($0, &random) })
        put(Self.tables + 0x3000, (0..<64).flatMap { _ in taskState(&random) })
        for (address, entry) in pages(&random) { put(address, littleEndian(entry, 8)) }
        put(Self.data, (0..<512).flatMap { _ in littleEndian(random.interesting(), 8) })
        var filled = program
        while !program.isEmpty, filled.count < 0x2000 { filled += program }
        put(Self.code, filled)
        return memory
    }

    /// Where an exception goes: past what it came from, or anywhere in the code.
    private func target(_ vector: Int, _ random: inout FuzzRandom) -> UInt64 {
        random.chance(3)
            ? Self.code + random.below(128) : Self.handlers + UInt64(vector) * 16
    }

    private func realModeVector(_ vector: Int, _ random: inout FuzzRandom) -> [UInt8] {
        hasSaneGates ? littleEndian(target(vector, &random), 2) + [0, 0] : random.bytes(4)
    }

    /// Drops the error code if there is one, adds to the instruction pointer, IRET.
    private func handler(_ vector: Int, _ random: inout FuzzRandom) -> [UInt8] {
        let hasCode = mode != .real && [8, 10, 11, 12, 13, 14, 17].contains(vector)
        let step = vector < 32 ? UInt8(1 + random.below(8)) : 0
        let code: [UInt8]
        if usesLongMode {
            code =
                (hasCode ? [0x48, 0x83, 0xc4, 8] : []) + [0x48, 0x83, 0x04, 0x24, step, 0x48, 0xcf]
        } else if codeSize == 1 || mode == .virtual8086 {
            code = (hasCode ? [0x83, 0xc4, 4] : []) + [0x83, 0x04, 0x24, step, 0xcf]
        } else {
            code = (hasCode ? [0x83, 0xc4, 2] : []) + [0x67, 0x83, 0x04, 0x24, step, 0xcf]
        }
        return code + [UInt8](repeating: 0xf4, count: 16 - code.count)
    }

    /// Selectors 8 64-bit code, 10 data, 18 32-bit code, 20 16-bit code, 28, 30, 38 the same for
    /// programs, 40 TSS, 50 LDT, 58 and 60 gates, 70 another TSS, then anything.
    private func descriptors(_ random: inout FuzzRandom) -> [UInt64] {
        var table: [UInt64] = [
            0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff,
            0x000f_9b00_0000_ffff, 0x00af_fb00_0000_ffff, 0x00cf_f300_0000_ffff,
            0x00cf_fb00_0000_ffff, 0x0000_8900_4000_0fff, 0, 0x0000_8200_1000_0fff,
            0x0000_ec00_0008_8000 | random.below(128), 0, 0x0000_e500_0070_0000,
            0x0000_8900_4800_0067, 0,
        ]
        while table.count < 64 {
            table.append(random.next() & ~(0xf << 40) | random.below(16) << 40 | 1 << 47)
        }
        if !hasSaneTables {
            for _ in 0..<8 { table[random.below(16)] ^= 1 << random.below(64) }
        }
        return table
    }

    private func gates(_ random: inout FuzzRandom) -> [UInt64] {
        (0..<256).flatMap { vector -> [UInt64] in
            let isLongGate = usesLongMode
            guard hasSaneGates else {
                return isLongGate || random.chance(2)
                    ? [random.next(), random.chance(2) ? 0 : random.next()] : [random.next()]
            }
            let selector: UInt64 = usesLongMode ? 8 : mode == .protected16 ? 0x20 : 0x18
            let wide: UInt64 = mode == .protected16 ? 0 : 8
            let type: UInt64 = random.pick([6 | wide, 6 | wide, 7 | wide, usesLongMode ? 0xe : 5])
            let level: UInt64 = random.chance(2) ? 3 : 0
            let target = target(vector, &random)
            let task: UInt64 = type == 5 ? 0x70 : selector
            let stack: UInt64 = isLongGate && random.chance(3) ? random.below(8) : 0
            let rights: UInt64 = (0x80 | level << 5 | type) << 40
            let gate: UInt64 = target & 0xffff | task << 16 | stack << 32 | rights
            return isLongGate ? [gate, 0] : [gate]
        }
    }

    private func taskState(_ random: inout FuzzRandom) -> [UInt8] {
        littleEndian(random.chance(2) ? Self.stack : Self.address(&random), 4)
            + littleEndian(random.chance(2) ? 0x10 : random.next() & 0x7f, 4)
            + littleEndian(0, 8)
    }

    /// Four levels whose last three also serve PAE, and a directory of 32-bit paging.
    private func pages(_ random: inout FuzzRandom) -> [(UInt64, UInt64)] {
        let base = Self.pageTables
        var entries: [(UInt64, UInt64)] = []
        let isTwoLevel = mode == .paged32
        let flags: UInt64 = isSupervisor && random.chance(2) ? 3 : 7
        if isTwoLevel {
            for index: UInt64 in 0..<256 {
                let table = base + 0x1000
                entries.append((base + index * 8, (table | flags) | (table | flags) << 32))
                let page = index * 0x2000
                entries.append((table + index * 8, (page | flags) | (page + 0x1000 | flags) << 32))
            }
        } else {
            for index: UInt64 in [0, 1, 256, 511] {
                entries.append((base + index * 8, base + 0x1000 | 7))
                entries.append(
                    (base + 0x1000 + (index & 3) * 8, base + 0x2000 | (usesLongMode ? 7 : 1)))
            }
            entries.append((base + 0x2000, base + 0x3000 | 7))
            entries.append((base + 0x2008, 0x83))
            entries.append((base + 0x2010, base + 0x2000 | 7))
            for index: UInt64 in 0..<512 {
                entries.append((base + 0x3000 + index * 8, index * 0x1000 | flags))
            }
        }
        let oddities = hasSanePages ? 24 : 160
        for _ in 0..<oddities {
            let place = base + random.below(0x800) * 8
            // The code and its stack are there as long as pages are sane.
            let offset = place - base
            if hasSanePages, offset < 0x30a0 || (0x3300..<0x3400).contains(offset) { continue }
            let target = random.below(0x280) * 0x1000 | random.next() & 0xfff
            entries.append((place, target | (random.chance(4) ? random.next() << 40 : 0)))
        }
        return entries
    }

    // MARK: State

    func makeState() -> ArchitecturalState {
        var random = FuzzRandom(seed: seed, index: 2)
        var state = ArchitecturalState()
        for index in 0..<16 {
            let value = random.chance(2) ? Self.address(&random) : random.interesting()
            state.generalPurposeRegisters[index] = isLong ? value : value & 0xffff_ffff
        }
        state.generalPurposeRegisters[4] = Self.stack &- random.below(64) * 8
        state.rip = Self.code
        state.rflags = 2 | random.next() & 0x4_0ed5 | (random.chance(4) ? 0x3000 : 0)
        if isDebugged, random.chance(2) { state.rflags |= 0x100 }
        setControl(&state, &random)
        setSegments(&state, &random)
        setArithmetic(&state, &random)
        if isDebugged {
            for index in 0..<4 { state.debugRegisters[index] = Self.code &+ random.below(256) }
            state.debugRegisters[7] = 0x400 | random.next() & 0xffff_23ff
        }
        state.modelSpecific.lstar = Self.code &+ random.below(128)
        state.modelSpecific.cstar = Self.code
        state.modelSpecific.star = 0x0023_0008 << 32
        state.modelSpecific.sysenterCS = random.chance(2) ? 8 : random.next() & 0xffff
        state.modelSpecific.sysenterEIP = Self.code &+ random.below(128)
        state.modelSpecific.sysenterESP = Self.stack
        state.modelSpecific.kernelGSBase = Self.data
        return state
    }

    private func setControl(_ state: inout ArchitecturalState, _ random: inout FuzzRandom) {
        let isPaged = usesLongMode || mode == .paged32 || mode == .physicalAddressExtension
        state.cr0 = mode == .real ? 0x10 : 0x11
        if isPaged { state.cr0 |= 1 << 31 }
        state.cr0 |= random.next() & 0x0005_002a
        if !random.chance(4) { state.cr0 &= ~0xe }
        state.cr3 = Self.pageTables
        state.cr4 = random.next() & 0x1_06df | (random.chance(2) ? 0x4_0600 : 0x600)
        if usesLongMode || mode == .physicalAddressExtension { state.cr4 |= 0x20 }
        if mode == .paged32 { state.cr4 &= ~0x20 }
        if usesLongMode {
            state.modelSpecific.efer = 0xd00 | random.below(2)
            if random.chance(4) { state.cr4 |= random.next() & 0x33_0000 }
        }
        state.xcr0 = random.chance(2) ? 3 : 1
        state.gdt.base = Self.tables
        state.gdt.limit = random.chance(4) ? UInt16(random.below(512)) : 0x1ff
        state.idt.base = mode == .real ? 0 : Self.tables + 0x1000
        state.idt.limit = random.chance(8) ? UInt16(random.below(4096)) : 0xfff
    }

    private func setSegments(_ state: inout ArchitecturalState, _ random: inout FuzzRandom) {
        typealias Segment = ArchitecturalState.Segment
        let level: UInt16 = mode == .virtual8086 || (mode != .real && !isSupervisor) ? 3 : 0
        func segment(_ selector: UInt16, _ attributes: UInt16) -> Segment {
            Segment(
                selector: selector | level, base: 0, limit: 0xffff_ffff,
                attributes: attributes | level << 5)
        }
        switch mode {
        case .real, .virtual8086:
            let isVirtual = mode == .virtual8086
            if isVirtual { state.rflags |= 0x2_0000 }
            let kind: UInt16 = isVirtual ? 0xf3 : 0x93
            let data = Segment(selector: 0, base: 0, limit: 0xffff, attributes: kind)
            (state.es, state.ss, state.ds, state.fs, state.gs) = (data, data, data, data, data)
            state.cs = Segment(
                selector: 0, base: 0, limit: 0xffff, attributes: isVirtual ? 0xf3 : 0x9b)
        default:
            let program: UInt16 = level == 0 ? 0 : 1
            let data = segment(program == 1 ? 0x30 : 0x10, 0xc093)
            (state.es, state.ss, state.ds, state.fs, state.gs) = (data, data, data, data, data)
            switch codeSize {
            case 0: state.cs = segment(0x20, 0x009b)
            case 1: state.cs = segment(program == 1 ? 0x38 : 0x18, 0xc09b)
            default: state.cs = segment(program == 1 ? 0x28 : 0x08, 0xa09b)
            }
            if codeSize == 0 { state.cs.limit = 0xf_ffff }
        }
        if random.chance(3) { state.fs.base = Self.address(&random) }
        if random.chance(3) { state.gs.base = Self.address(&random) }
        if random.chance(8), !isLong { state.ds.limit = UInt32(random.below(0x4_0000)) }
        state.taskRegister = Segment(
            selector: 0x40, base: 0x4000, limit: 0xfff, attributes: 0x8b)
        state.localDescriptorTable = Segment(
            selector: 0x50, base: Self.tables, limit: 0xfff, attributes: 0x82)
    }

    private func setArithmetic(_ state: inout ArchitecturalState, _ random: inout FuzzRandom) {
        for index in 0..<16 {
            state.vector.low[index] = random.interesting()
            state.vector.high[index] = random.interesting()
        }
        for index in 0..<8 {
            state.x87.significand[index] = random.interesting()
            state.x87.signExponent[index] = UInt16(truncatingIfNeeded: random.interesting())
        }
        state.x87.tags = random.byte()
        state.x87.status = UInt16(truncatingIfNeeded: random.next()) & 0x7f00
        let masks: UInt16 = hasTraps ? UInt16(random.below(64)) : 0x3f
        state.x87.control = 0x40 | masks | UInt16(random.below(16)) << 8
        state.vector.mxcsr = UInt32(masks) << 7 | UInt32(random.below(8)) << 13
    }
}
