internal import CEngine
internal import X86

/// The translation of a block while it is made, and of blocks that follow it: see `Segment`.
///
/// Every instruction either becomes host instructions or a call of its handler. Where host
/// instructions cannot finish (a TLB miss, a device, a divisor of zero) they have changed nothing and
/// leave by a slow path that calls the handler too, so what is slow or faults exists once.
@safe
struct BlockTranslation {
    /// A block of the translation. What follows the first is entered from the one before it alone,
    /// so that what is known there is known here: where the flags are, which registers are resident.
    @safe
    struct Segment {
        var header: UnsafeMutablePointer<DecodedInstruction>
        /// Of its instructions among all of the translation.
        var first: Int
        var count: Int
        /// Instructions of this block and those between it and the first: what is paid for when the
        /// translation is left from here.
        var due: Int
    }

    /// An instruction by its place.
    @safe
    struct Place {
        /// The block that pays for it.
        var segment: Int
        var op: UnsafeMutablePointer<DecodedInstruction>
    }

    /// A jump to the slow path of an instruction.
    struct SlowPath {
        enum Way {
            /// The handler runs; it goes on at an offset of code memory.
            case resume(Int)
            /// The handler runs, and the interpreter goes on.
            case interpret
            /// The interpreter runs the instruction: a group's probe has not hit.
            case leave
        }

        var place: Place
        var misses: Misses
        var way: Way
        /// What has to be written down first.
        var flags: FlagSource?
        var x87Note: X87Note?
        /// The handler runs always: there is no other way.
        var isHandler = false
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
    enum Exit {
        /// The interpreter runs this instruction.
        case instruction(Place)
        /// The block at this offset of the page is looked up.
        case lookUp(Int, segment: Int)
    }

    /// A jump out of the middle, which leaves what is pending to be done on its way.
    struct SideExit {
        var patch: Assembler.Patch
        var index: Int
        var segment: Int
        var target: Int
        var savesFlags: Bool
        var x87Note: X87Note?
    }

    var assembler: Assembler
    let routines: SharedRoutines
    /// In the order of the code, with their instructions; nil: what does not decode.
    private(set) var segments: [Segment] = []
    private(set) var instructions: [Instruction?] = []
    /// How each of them is carried out, what it does with the flags, and who wants them behind it.
    var kinds: [TranslationKind] = []
    var uses: [FlagUse] = []
    var demands: [FlagDemand] = []
    /// The block whose instructions are being translated.
    var segment = 0
    /// The block runs at addresses of the upper half, as far as can be told.
    private(set) var isUpper = false
    private(set) var availability = VectorAvailability.available
    private(set) var x87Availability = X87Availability.available
    /// Instructions of AVX run.
    private(set) var isWide = false

    private(set) var links: [Link] = []
    var slowPaths: [SlowPath] = []
    var sideExits: [SideExit] = []
    var exits: [(misses: Misses, exit: Exit, isPaid: Bool)] = []
    /// The budget has paid for everything up to the end of the current block.
    var isPaid = false
    /// Those of the host's flags that are the guest's.
    var hostFlags: Form.FlagSet = []
    var flagPlace = FlagPlace.state
    /// Where the guest's carry is, if nothing else of the flags is wanted any more.
    var carrySlot: Int?
    /// What the slow path of the current instruction computes the flags from.
    var pathSource: FlagSource?
    /// The flags behind the current instruction, if they are more than its own.
    var nextSource: FlagSource?
    /// The instruction that is being translated, counted from 0.
    var index = 0
    /// Instructions so far that their handlers run.
    var handlerCount = 0
    /// Jumps to the slow path of that instruction.
    var misses = Misses()
    /// See `ProbeGroups`; without them each access probes.
    private(set) var usesGroups = false
    var groups = ProbeGroups()
    /// What the current instruction is in its group.
    var role = ProbeGroups.Role.alone
    /// Behind the current instruction, what a group has found is used.
    var isGroupLive = false
    /// Looked at before each run: see `CrossingBlocks`.
    var code: [CodePart] = []
    var codeChanges: [Assembler.Patch] = []
    /// What tools want to know, and what they are told.
    var observation = CodeObservation.none
    var marks: [TranslationPlaces.Mark] = []
    /// The last x87 instruction, if nobody has written it down yet.
    var x87Note: X87Note?

    init(_ assembler: Assembler, _ routines: SharedRoutines) {
        self.assembler = assembler
        self.routines = routines
    }

    /// Forgets the translation before; what it took of memory stays for the next one. Blocks are to
    /// be added then.
    mutating func reset(at position: Int, isUpper: Bool, mode: UInt32, usesGroups: Bool) {
        assembler.move(to: position)
        self.usesGroups = usesGroups
        self.isUpper = isUpper
        availability = VectorAvailability(blockMode: mode)
        x87Availability = X87Availability(blockMode: mode)
        isWide = mode & (BlockMode.wideVectors | BlockMode.taskSwitched) == BlockMode.wideVectors
        segments.removeAll(keepingCapacity: true)
        instructions.removeAll(keepingCapacity: true)
        segment = 0
        index = 0
        links.removeAll(keepingCapacity: true)
        slowPaths.removeAll(keepingCapacity: true)
        sideExits.removeAll(keepingCapacity: true)
        exits.removeAll(keepingCapacity: true)
        ways.removeAll(keepingCapacity: true)
        isPaid = false
        hostFlags = []
        flagPlace = .state
        carrySlot = nil
        pathSource = nil
        nextSource = nil
        handlerCount = 0
        misses.removeAll()
        role = .alone
        isGroupLive = false
        code = []
        codeChanges = []
        marks.removeAll(keepingCapacity: true)
        x87Note = nil
        vectorLoad = nil
        x87Load = nil
    }

    /// Takes in an instruction of the block that is added next.
    mutating func add(_ instruction: Instruction?) { instructions.append(instruction) }

    /// Adds the block that the instructions taken in since the last one belong to.
    mutating func add(_ header: UnsafeMutablePointer<DecodedInstruction>) {
        let first = segments.last.map { $0.first &+ $0.count } ?? 0
        let count = instructions.count &- first
        let due = segments.last.map { $0.due &+ count } ?? 0
        unsafe segments.append(Segment(header: header, first: first, count: count, due: due))
    }

    /// Forgets instructions that do not become a block.
    mutating func removeUnusedInstructions() {
        let count = segments.last.map { $0.first &+ $0.count } ?? 0
        instructions.removeSubrange(count...)
    }

    /// Instruction `index` of the current block; its count is its end, if it has one.
    func op(_ index: Int) -> UnsafeMutablePointer<DecodedInstruction> {
        unsafe segments[segment].header + (index &+ 1)
    }

    /// MOV of the address of an instruction of a block; 0: its header. Nothing else that the code of a
    /// block has in it is an address: see `Relocation`.
    mutating func loadInstruction(_ target: HostRegister, _ index: Int, of segment: Int) {
        unsafe assembler.move(
            target, instruction: UInt64(UInt(bitPattern: segments[segment].header + index)), index,
            of: segment)
    }

    func place(_ index: Int) -> Place { unsafe Place(segment: segment, op: op(index)) }

    /// Instructions of the current block.
    var count: Int { segments[segment].count }

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

    /// Before the instructions: entries and budget.
    mutating func begin(_ residency: VectorResidency, usesX87: Bool) -> Entries {
        var entries = Entries()
        assembler.align()
        entries.stale = assembler.position
        loadInstruction(.r10, 0, of: 0)
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
        // Long: both entries begin with an instruction that a jump may take the place of.
        var pendingWord = HostLayout.pendingWord
        pendingWord.isLong = true
        assembler.load(.r10, pendingWord)
        assembler.instruction(
            HostOpcode(0x8b), register: 10, .memory(HostAddress(base: .r10)))
        assembler.instruction(HostOpcode(0x85), register: 10, .memory(HostLayout.pendingMask))
        pending = assembler.jump(.notEqual)
        assembler.makeReplaceable(5)
        entries.unpolled = assembler.position
        // The first block is paid for at once: SUB QWORD, count; five bytes.
        assembler.instruction(HostOpcode(0x83, wide: true), register: 5, .memory(HostLayout.budget))
        assembler.byte(UInt8(truncatingIfNeeded: prepaid))
        spent = assembler.jump(.sign)
        if usesX87 {
            // CMP BYTE, 0.
            assembler.instruction(HostOpcode(0x80), register: 7, .memory(HostLayout.x87Resident))
            assembler.byte(0)
            x87Load = (assembler.jump(.equal), assembler.position)
        }
        if residency != .none {
            // Narrow blocks take wide registers too.
            let isWide = residency == .wide
            assembler.instruction(
                HostOpcode(0x83), register: 7, .memory(HostLayout.vectorsResident))
            assembler.byte(isWide ? residency.rawValue : 0)
            vectorLoad = (assembler.jump(isWide ? .notEqual : .equal), assembler.position)
        }
        self.residency = residency
        self.usesX87 = usesX87
        return entries
    }

    /// What the entry pays for: the first block.
    var prepaid: Int { segments[0].count }

    /// Instructions of the blocks behind the first, up to the current one: what is paid for when the
    /// translation is left from it.
    var due: Int { segments[segment].due }

    /// The budget pays for the blocks that have been run, and for the current one.
    mutating func pay() {
        if !isPaid, due > 0 {
            assembler.instruction(
                HostOpcode(0x83, wide: true), register: 5, .memory(HostLayout.budget))
            assembler.byte(UInt8(truncatingIfNeeded: due))
        }
        isPaid = true
    }

    /// The same, and the host's flags stay.
    mutating func payAndKeepFlags() {
        if !isPaid { addToBudget(0 &- due) }
        isPaid = true
    }

    /// Clobbers R10 and no flags.
    mutating func addToBudget(_ count: Int) {
        if count == 0 { return }
        assembler.load(.r10, HostLayout.budget)
        assembler.loadAddress(
            .r10, HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: count)))
        assembler.store(HostLayout.budget, .r10)
    }

    var pending: Assembler.Patch = 0
    var spent: Assembler.Patch = 0
    var vectorLoad: (patch: Assembler.Patch, resume: Int)?
    var x87Load: (patch: Assembler.Patch, resume: Int)?
    var residency = VectorResidency.none
    var usesX87 = false

    /// What a way to a routine does on it, and where it starts.
    struct Way {
        var segment: Int
        var routine: Int
        var countsMiss: Bool
        var isPaid: Bool
        var start: Int
    }

    var ways: [Way] = []

    // MARK: Slow paths and exits

    /// The slow path of the current instruction goes on here; the flags may be anywhere.
    mutating func endMisses() {
        if misses.isEmpty { return }
        slowPaths.append(
            SlowPath(
                place: place(index), misses: misses,
                way: isGroupLive ? .interpret : .resume(assembler.position),
                flags: pathSource, x87Note: x87Note))
        misses.removeAll()
    }

    /// The probe of a group's first access has not hit.
    mutating func groupMiss(_ misses: Misses) {
        slowPaths.append(
            SlowPath(
                place: place(index), misses: misses, way: .leave, flags: pathSource,
                x87Note: x87Note))
    }

    /// The handler of the current instruction runs here.
    mutating func callHandler() {
        writeX87Note()
        saveFlags()
        pathSource = nil
        misses.append(assembler.jump())
        endMisses()
        slowPaths[slowPaths.count - 1].isHandler = true
        hostFlags = .all
    }

    /// Leaves here; the interpreter goes on with instruction `index`.
    mutating func exit(to index: Int) { exit(Misses(Patches(assembler.jump())), to: index) }

    mutating func exit(_ misses: Misses, to index: Int) {
        exits.append((misses, .instruction(place(index)), isPaid))
    }

    /// Goes on at `offset` in the same page. Until that is translated: leaves, and the interpreter
    /// goes on with instruction `index`, or looks the target up if there is none.
    mutating func goOn(_ patch: Assembler.Patch, at offset: Int, from source: Int, or index: Int?) {
        links.append(
            Link(patch: patch, target: offset, isPolled: offset <= source || index == nil))
        exits.append(
            (
                Misses(Patches(patch)),
                index.map { .instruction(place($0)) } ?? .lookUp(offset, segment: segment), isPaid
            ))
    }

    /// A conditional jump that is taken leaves the translation here, for an offset from the page's
    /// start.
    mutating func exitAside(_ patch: Assembler.Patch, to target: Int) {
        sideExits.append(
            SideExit(
                patch: patch, index: index, segment: segment, target: target,
                savesFlags: flagPlace.isPending, x87Note: x87Note))
    }
}
