internal import CEngine
internal import X86

/// The translation of one block while it is made.
///
/// Every instruction either becomes host instructions or a call of its handler. Where host
/// instructions cannot finish (a TLB miss, a device, a divisor of zero) they have changed nothing and
/// leave by a slow path that calls the handler too, so what is slow or faults exists once.
@safe
struct BlockTranslation {
    /// A jump to the slow path of an instruction.
    private struct SlowPath {
        var index: Int
        var patches: [Assembler.Patch]
        var resume: Int
    }

    /// A jump that leads to another block of the page once that is translated.
    struct Link {
        var patch: Assembler.Patch
        /// Offset of the target within the page.
        var target: Int
        /// It goes backward, or is a call: the target looks for pending events.
        var isPolled: Bool
    }

    /// A way out of translated code.
    private enum Exit {
        /// The interpreter runs this instruction of the block.
        case instruction(Int)
        /// The block at this offset of the page is looked up.
        case lookUp(Int)
    }

    var assembler: Assembler
    let routines: SharedRoutines
    let header: UnsafeMutablePointer<DecodedInstruction>
    /// The block runs at addresses of the upper half, as far as can be told.
    let isUpper: Bool
    let availability: VectorAvailability
    let x87Availability: X87Availability
    /// Instructions of AVX run.
    let isWide: Bool

    private(set) var links: [Link] = []
    private var slowPaths: [SlowPath] = []
    private var exits: [(patches: [Assembler.Patch], exit: Exit)] = []
    /// The host's flags are the guest's.
    var flagsAreInHost = false
    /// The instruction that is being translated, counted from 0.
    var index = 0
    /// Instructions so far that their handlers run.
    var handlerCount = 0
    /// Jumps to the slow path of that instruction.
    var misses: [Assembler.Patch] = []

    init(
        _ assembler: Assembler, _ routines: SharedRoutines,
        header: UnsafeMutablePointer<DecodedInstruction>, isUpper: Bool, mode: UInt32
    ) {
        self.assembler = assembler
        self.routines = routines
        unsafe self.header = unsafe header
        self.isUpper = isUpper
        availability = VectorAvailability(blockMode: mode)
        x87Availability = X87Availability(blockMode: mode)
        isWide = mode & (BlockMode.wideVectors | BlockMode.taskSwitched) == BlockMode.wideVectors
    }

    /// Instructions of the block.
    var count: Int { unsafe Int(truncatingIfNeeded: header.pointee.immediate) }

    /// Instruction `index` of the block; `count` is its end.
    func op(_ index: Int) -> UnsafeMutablePointer<DecodedInstruction> {
        unsafe header + (index &+ 1)
    }

    // MARK: Entries

    /// What `Translator` has to know of a finished translation.
    struct Entries {
        /// What the run loop calls.
        var handler = 0
        /// Where jumps arrive that may be part of a loop.
        var polled = 0
        /// Where all others arrive.
        var unpolled = 0
        /// Gives up the translation.
        var stale = 0
    }

    /// Bytes from the way out of a translation that was given up to its polled entry.
    static let staleDistance = 48

    /// Before the instructions: entries and budget.
    mutating func begin(_ residency: VectorResidency) -> Entries {
        var entries = Entries()
        assembler.align()
        entries.stale = assembler.position
        unsafe assembler.move(.r10, constant: UInt64(UInt(bitPattern: header)))
        // Nothing of this block has been run: MOV QWORD, 0.
        assembler.instruction(HostOpcode(0xc7, wide: true), register: 0, .memory(HostLayout.block))
        assembler.integer32(0)
        assembler.jump(to: routines.leave)
        assembler.align()
        entries.handler = assembler.position
        var patch: Assembler.Patch = 0
        assembler.loadAddress(.r11, ofCode: &patch)
        assembler.jump(to: routines.enter)
        assembler.align()
        assembler.bind(patch)
        entries.polled = assembler.position
        assembler.load(.r10, HostLayout.pendingWord)
        assembler.instruction(
            HostOpcode(0x8b), register: 10, .memory(HostAddress(base: .r10)))
        assembler.instruction(HostOpcode(0x85), register: 10, .memory(HostLayout.pendingMask))
        let pending = assembler.jump(.notEqual)
        assembler.instruction(HostOpcode(0x83, wide: true), register: 7, .memory(HostLayout.budget))
        assembler.byte(0)
        let spent = assembler.jump(.lessOrEqual)
        polls = [pending, spent]
        entries.unpolled = assembler.position
        assembler.instruction(HostOpcode(0x83, wide: true), register: 5, .memory(HostLayout.budget))
        assembler.byte(UInt8(truncatingIfNeeded: count))
        if residency != .none {
            // Narrow blocks take wide registers too.
            let isWide = residency == .wide
            assembler.instruction(
                HostOpcode(0x83), register: 7, .memory(HostLayout.vectorsResident))
            assembler.byte(isWide ? residency.rawValue : 0)
            vectorLoad = assembler.jump(isWide ? .notEqual : .equal)
            vectorResume = assembler.position
        }
        self.residency = residency
        return entries
    }

    private var polls: [Assembler.Patch] = []
    private var vectorLoad: Assembler.Patch?
    private var vectorResume = 0
    private var residency = VectorResidency.none

    /// After the instructions: slow paths and exits.
    mutating func finish() {
        for patch in polls { assembler.bind(patch) }
        unsafe assembler.move(.r10, constant: UInt64(UInt(bitPattern: header)))
        assembler.jump(to: routines.poll)
        let leave = emitSettingBlock(then: routines.leave)
        let lookUp = emitSettingBlock(then: routines.lookUp)
        let call = emitSettingBlock(then: routines.call(residency))
        if let vectorLoad {
            assembler.bind(vectorLoad)
            let load = assembler.jump()
            let body = emitSettingBlock(
                then: residency == .wide ? routines.loadWideVectors : routines.loadVectors)
            assembler.bind(load)
            setInstruction(0)
            setResume(vectorResume)
            assembler.jump(to: body)
        }
        for path in slowPaths {
            for patch in path.patches { assembler.bind(patch) }
            setInstruction(path.index)
            setResume(path.resume)
            assembler.jump(to: call)
        }
        for (patches, exit) in exits {
            for patch in patches { assembler.bind(patch) }
            switch exit {
            case .instruction(let index):
                setInstruction(index)
                assembler.jump(to: leave)
            case .lookUp(let offset):
                assembler.load(.r10, HostLayout.codePage)
                assembler.loadAddress(
                    .r10,
                    HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: offset)))
                assembler.jump(to: lookUp)
            }
        }
    }

    /// The header goes to `CPUState.block`; R10 and R11 stay.
    private mutating func emitSettingBlock(then routine: Int) -> Int {
        let start = assembler.position
        assembler.store(SharedRoutines.scratchSlot, .r11)
        unsafe assembler.move(.r11, constant: UInt64(UInt(bitPattern: header)))
        assembler.store(HostLayout.block, .r11)
        assembler.load(.r11, SharedRoutines.scratchSlot)
        assembler.jump(to: routine)
        return start
    }

    private mutating func setInstruction(_ index: Int) {
        unsafe assembler.move(.r10, constant: UInt64(UInt(bitPattern: op(index))))
    }

    private mutating func setResume(_ position: Int) {
        var patch: Assembler.Patch = 0
        assembler.loadAddress(.r11, ofCode: &patch)
        assembler.bind(patch, to: position)
    }

    // MARK: Slow paths and exits

    /// The slow path of the current instruction goes on here; the flags may be anywhere.
    mutating func endMisses() {
        if misses.isEmpty { return }
        slowPaths.append(
            SlowPath(index: index, patches: misses, resume: assembler.position))
        misses.removeAll(keepingCapacity: true)
    }

    /// The handler of the current instruction runs here.
    mutating func callHandler() {
        misses.append(assembler.jump())
        endMisses()
        flagsAreInHost = true
    }

    /// Leaves here; the interpreter goes on with instruction `index`.
    mutating func exit(to index: Int) { exit([assembler.jump()], to: index) }

    mutating func exit(_ patches: [Assembler.Patch], to index: Int) {
        exits.append((patches, .instruction(index)))
    }

    /// Goes on at `offset` in the same page. Until that is translated: leaves, and the interpreter
    /// goes on with instruction `index`, or looks the target up if there is none.
    mutating func goOn(_ patch: Assembler.Patch, at offset: Int, from source: Int, or index: Int?) {
        links.append(
            Link(patch: patch, target: offset, isPolled: offset <= source || index == nil))
        exits.append(([patch], index.map { .instruction($0) } ?? .lookUp(offset)))
    }

    // MARK: Flags

    /// The guest's flags into the host's. Clobbers R11.
    mutating func requireFlags() {
        if flagsAreInHost { return }
        SharedRoutines.restoreFlags(&assembler)
        flagsAreInHost = true
    }

    // MARK: Memory

    /// An access whose translation the TLB has.
    struct Located {
        var address: HostAddress
        /// Of the two scratch registers, the one that the address does not need.
        var free: HostRegister
    }

    /// Finds the host address of an access; misses take the slow path. Clobbers the host's flags.
    /// - Parameter inFirst: the address is in R10 alone.
    mutating func probe(_ access: GuestAccess, write: Bool, inFirst: Bool = false) -> Located {
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
        misses.append(assembler.jump(.notEqual))
        assembler.load(.r11, HostLayout.addend(.r10))
        flagsAreInHost = false
        if let base = access.simpleBase {
            let address = HostAddress(
                base: base, index: .r11,
                displacement: Int32(truncatingIfNeeded: access.displacement))
            if !inFirst { return Located(address: address, free: .r10) }
            assembler.loadAddress(.r10, address)
        } else {
            assembler.compute(access, into: .r10)
            // ADD R10, R11.
            assembler.instruction(HostOpcode(0x03, wide: true), register: 10, .register(11))
        }
        return Located(address: HostAddress(base: .r10), free: .r11)
    }

    /// Misses if the bytes at R10 cross a cache line: the handler takes the bus lock. Clobbers R11.
    mutating func requireOneLine(_ byteCount: Int) {
        assembler.loadAddress(
            .r11,
            HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: byteCount &- 1)))
        assembler.instruction(HostOpcode(0x33, wide: true), register: 11, .register(10))
        assembler.instruction(HostOpcode(0x83, wide: true), register: 7, .register(11))
        assembler.byte(63)
        misses.append(assembler.jump(.above))
    }

    /// Misses unless the address in `register` is a multiple of `byteCount`.
    mutating func requireAlignment(_ register: HostRegister, _ byteCount: UInt8 = 16) {
        // TEST r8, byteCount - 1.
        var opcode = HostOpcode(0xf6)
        opcode.needsREX = true
        assembler.instruction(opcode, register: 0, .register(register.number))
        assembler.byte(byteCount &- 1)
        misses.append(assembler.jump(.notEqual))
    }
}
