import GuestMemory
import SoftwareCPU
import VirtualCPU
import Vocabulary
import X86

/// Any bytes as guest code for 100,000 instructions, on a processor in some mode with tables that
/// are sometimes sane.
///
/// A case is `GuestCase`'s 16 bytes and the code after them. It must come to an exit or to the end
/// of its budget, leave a state that a processor can have, and write nothing but guest memory: the
/// guest's RAM has a hole without host memory in it and ends before such memory.
public final class GuestTarget: FuzzTarget {
    public static let name = "guest"
    public static let secondsLimit = 10.0
    public static let memoryLimit: UInt64 = 1 << 30

    static let instructionCount: UInt64 = 100_000
    private static let exitCount = 20_000
    /// A block, and one repeated string instruction, may be finished beyond a budget.
    private static let budgetSlack: UInt64 = 8192

    private let forms = Array(Form.all)
    private let before = Canaries()

    public init() {}

    public func makeCase(_ random: inout FuzzRandom) -> [UInt8] {
        var bytes = random.bytes(GuestCase.headerByteCount)
        // Most of what makes a guest go on is there in most cases.
        bytes[1] |= random.chance(2) ? 0x0f : 0
        let mode = GuestCase(bytes).codeSize
        bytes += GuestCode.make(forms, mode: mode, &random)
        return bytes
    }

    public func run(_ bytes: [UInt8]) -> String? {
        let setup = GuestCase(bytes)
        guard let memory = try? setup.makeMemory() else { return nil }
        let after = Canaries()
        let events = PendingEvents()
        let engine = SoftwareEngine(
            memory: memory, events: events, translation: setup.translation
        ) { leaf, subleaf in
            let result = CPUIDModel.martletV2.leaf(leaf, subleaf, CPUIDModel.Context())
            return CPUIDResult(
                eax: result.eax, ebx: result.ebx, ecx: result.ecx, edx: result.edx)
        }
        engine.state = setup.makeState()
        var random = FuzzRandom(seed: setup.seed, index: 1)
        var driver = Driver(engine: engine, events: events, setup: setup)
        let fault = driver.run(&random)
        return fault ?? before.fault ?? after.fault
    }

    /// What a machine is to its processor, with random answers.
    private struct Driver {
        let engine: SoftwareEngine
        let events: PendingEvents
        let setup: GuestCase
        var halts = 0
        /// A guest that shut down is reset so often, with its memory as it is.
        var resets = 8

        mutating func run(_ random: inout FuzzRandom) -> String? {
            // Exceptions count like instructions.
            var spent: UInt64 = 0
            for turn in 0..<GuestTarget.exitCount where spent < GuestTarget.instructionCount {
                let before = engine.statistics.instructionsRetired
                let budget = 1 + random.below(random.chance(4) ? 16 : 8000)
                disturb(&random)
                let exit = engine.run(budget: budget)
                let ran = engine.statistics.instructionsRetired &- before
                if ran > UInt64(budget) + GuestTarget.budgetSlack {
                    return "\(ran) instructions of a budget of \(budget)"
                }
                spent += exit == .budgetSpent ? max(UInt64(budget), ran) : ran
                if !answer(exit, &random) { return StateCheck.fault(engine.state) }
                if turn & 63 == 0, let fault = StateCheck.fault(engine.state) { return fault }
                if exit == .budgetSpent, random.chance(16) {
                    // Saved and restored in between, nothing changes.
                    let state = engine.state
                    engine.state = state
                    var again = engine.state
                    again.modelSpecific.tsc = state.modelSpecific.tsc
                    if again != state { return "the state is not what was put in" }
                }
            }
            return StateCheck.fault(engine.state)
        }

        private mutating func disturb(_ random: inout FuzzRandom) {
            guard setup.hasEvents, random.chance(4) else { return }
            switch random.below(4) {
            case 0: engine.injectNonMaskableInterrupt()
            case 1: events.raise(.interrupt)
            case 2: engine.requestInterruptWindow()
            default:
                if engine.canTakeInterrupt { engine.inject(interrupt: random.byte()) }
            }
        }

        /// False: the guest has come to its end.
        private mutating func answer(_ exit: VMExit, _ random: inout FuzzRandom) -> Bool {
            switch exit {
            case .portRead, .mmioRead: engine.complete(read: random.interesting())
            case .msrRead:
                random.chance(2)
                    ? engine.complete(msr: random.interesting()) : engine.completeMSRFault()
            case .msrWrite:
                random.chance(2) ? engine.completeMSRWrite() : engine.completeMSRFault()
            case .counterAdjusted: engine.completeMSRWrite()
            case .taskPriorityRead: engine.complete(msr: random.below(16))
            case .hypercall: engine.complete(hypercall: random.interesting())
            case .halt: return wake(&random)
            case .eventsPending:
                if events.current.contains(.nonMaskableInterrupt) {
                    events.clear(.nonMaskableInterrupt)
                    engine.injectNonMaskableInterrupt()
                }
                events.clear(.interrupt)
                if engine.canTakeInterrupt { engine.inject(interrupt: random.byte()) }
            case .shutdown, .fetchOutsideMemory: return reset(&random)
            case .pageAbsent: return false
            case .portWrite, .mmioWrite, .taskPriorityWrite, .pause, .budgetSpent: break
            }
            return true
        }

        private mutating func reset(_ random: inout FuzzRandom) -> Bool {
            if resets == 0 { return false }
            resets -= 1
            if random.chance(8) {
                engine.reset()
                engine.startUp(vector: UInt8(GuestCase.code >> 12))
                return true
            }
            engine.state = setup.makeState()
            engine.state.rip = GuestCase.code &+ random.below(256)
            return true
        }

        private mutating func wake(_ random: inout FuzzRandom) -> Bool {
            halts += 1
            if engine.canTakeInterrupt {
                engine.inject(interrupt: random.byte())
            } else if halts < 8 {
                engine.injectNonMaskableInterrupt()
            } else {
                return false
            }
            return true
        }
    }
}

/// What is true of every state that a processor can be in (SDM volume 3, 2.3 and 2.5; volume 1, 3.4).
private enum StateCheck {
    static func fault(_ state: ArchitecturalState) -> String? {
        func hex(_ value: UInt64) -> String { String(value, radix: 16) }
        if state.rflags & 2 == 0 || state.rflags & 0xffff_ffff_ffc0_8028 != 0 {
            return "RFLAGS \(hex(state.rflags))"
        }
        let isPaged = state.cr0 >> 31 & 1 == 1
        if isPaged, state.cr0 & 1 == 0 { return "CR0 \(hex(state.cr0)): paging in real mode" }
        if state.cr0 >> 32 != 0 { return "CR0 \(hex(state.cr0))" }
        let efer = state.modelSpecific.efer
        let isLong = efer >> 10 & 1 == 1
        if isLong != (isPaged && efer >> 8 & 1 == 1) {
            return "EFER \(hex(efer)) with CR0 \(hex(state.cr0))"
        }
        if isLong, state.cr4 & 0x20 == 0 { return "CR4 \(hex(state.cr4)) in long mode" }
        if isLong, state.rflags & 0x2_0000 != 0 { return "VM in long mode" }
        if isLong, state.cs.attributes & 0x2000 != 0 {
            // The instruction before the hole in the addresses may end at it.
            let top = Int64(bitPattern: state.rip &- 15) >> 47
            if top != 0, top != -1, state.rip >= 15 {
                return "RIP \(hex(state.rip)) is not canonical"
            }
        } else if state.rip >> 32 != 0 {
            return "EIP \(hex(state.rip))"
        }
        if state.vector.mxcsr >> 16 != 0 { return "MXCSR \(hex(UInt64(state.vector.mxcsr)))" }
        if state.xcr0 & 1 == 0 { return "XCR0 \(hex(state.xcr0))" }
        return nil
    }
}
