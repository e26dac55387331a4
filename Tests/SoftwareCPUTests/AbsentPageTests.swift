import GuestMemory
import HostIO
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Pages that are not there: the engine leaves, and goes on as if they had been.
struct AbsentPageTests {
    /// The pages that random code runs in, reads and writes, with its tables, descriptors and stack.
    private static let pages: [UInt64] = [
        0x2, 0x3, 0x4, 0x5, 0x8, 0x9, 0xa, 0x10, 0x11, 0x12, 0x13, 0x200, 0x201, 0x202, 0x203,
    ]

    private func paged(_ code: [UInt8], at address: UInt64 = 0x5000) throws
        -> (TranslationMachine, PageThief)
    {
        let machine = try TranslationMachine(code, at: address, .off, isPaged: true)
        return (machine, PageThief(machine.memory))
    }

    @Test(arguments: [nil, 1, 12] as [UInt8?])
    func randomCodeDoesTheSame(_ runs: UInt8?) throws {
        let policy: TranslationPolicy = runs.map { .afterRuns($0) } ?? .off
        for seed in 0..<120 as Range<UInt64> {
            let code = RandomCode(seed: seed)
            let plain = try TranslationMachine(code.bytes, at: RandomCode.address, policy)
            let expected = code.run(in: plain, seed: seed)
            let machine = try TranslationMachine(
                code.bytes, at: RandomCode.address, policy, isPaged: true)
            let thief = PageThief(machine.memory)
            var random = OracleRandom(state: seed ^ 0x1234)
            var absences = 0
            let seen = code.run(in: machine, seed: seed) { engine in
                while true {
                    for _ in 0..<3 { thief.steal(Self.pages.randomElement(using: &random) ?? 2) }
                    let exit = engine.run(budget: Int.random(in: 1...300, using: &random))
                    guard case .pageAbsent(let address) = exit else {
                        if exit == .budgetSpent { continue }
                        return exit
                    }
                    absences += 1
                    #expect(machine.memory.isAbsent(address.rawValue), "seed \(seed)")
                    _ = thief.bring(page: address.rawValue >> 12)
                }
            }
            #expect(absences > 0)
            #expect(seen.exit == expected.exit, "seed \(seed)")
            #expect(seen.state == expected.state, "seed \(seed)")
            let isSame = seen.memory == expected.memory
            #expect(isSame, "seed \(seed)")
        }
    }

    /// The same while another thread steals, so that vCPUs run when pages go.
    @Test func pagesGoWhileCodeRuns() throws {
        var brought = 0
        for seed in 200..<240 as Range<UInt64> {
            let code = RandomCode(seed: seed)
            let plain = try TranslationMachine(code.bytes, at: RandomCode.address, .afterRuns(12))
            let expected = code.run(in: plain, seed: seed)
            let machine = try TranslationMachine(
                code.bytes, at: RandomCode.address, .afterRuns(12), isPaged: true)
            let thief = PageThief(machine.memory)
            let end = End()
            let seen = code.run(in: machine, seed: seed) { engine in
                let thread = try? HostThread.spawn(name: "thief") {
                    var random = OracleRandom(state: seed)
                    while !end.isNear.load(ordering: .acquiring) {
                        thief.steal(Self.pages.randomElement(using: &random) ?? 2)
                    }
                }
                defer {
                    end.isNear.store(true, ordering: .releasing)
                    thread?.join()
                }
                while true {
                    let exit = engine.run(budget: 1_000_000)
                    guard case .pageAbsent(let address) = exit else { return exit }
                    _ = thief.bring(page: address.rawValue >> 12)
                }
            }
            brought += thief.brought.load(ordering: .relaxed)
            #expect(seen.exit == expected.exit, "seed \(seed)")
            #expect(seen.state == expected.state, "seed \(seed)")
            let isSame = seen.memory == expected.memory
            #expect(isSame, "seed \(seed)")
        }
        #expect(brought > 0)
    }

    private final class End: Sendable {
        let isNear = Atomic<Bool>(false)
    }

    @Test func theFetchOfAnAbsentPageLeaves() throws {
        let (machine, thief) = try paged([0xff, 0xc0, 0xf4])
        thief.steal(5)
        #expect(machine.engine.run(budget: 100) == .pageAbsent(GuestPhysicalAddress(0x5000)))
        #expect(machine.engine.state.rip == 0x5000)
        #expect(machine.engine.state.generalPurposeRegisters[0] == 0)
        _ = thief.bring(page: 5)
        #expect(machine.engine.run(budget: 100) == .halt)
        #expect(machine.engine.state.generalPurposeRegisters[0] == 1)
    }

    /// mov rax, [rsi]; hlt; mov [rsi + 8], rax; hlt: what can be written to is not therefore written.
    @Test(arguments: [nil, 1] as [UInt8?])
    func whatIsReadIsNotWritten(_ runs: UInt8?) throws {
        let machine = try TranslationMachine(
            [0x48, 0x8b, 0x06, 0xf4, 0x48, 0x89, 0x46, 0x08, 0xf4], at: 0x5000,
            runs.map { .afterRuns($0) } ?? .off, isPaged: true)
        let thief = PageThief(machine.memory)
        let residency = try #require(machine.memory.residency)
        machine.memory.write(GuestPhysicalAddress(0x8000), integer: 77 as UInt64)
        thief.steal(8)
        _ = thief.bring(page: 8)
        for round in 0..<3 {
            machine.setRegisters([0: 0, 6: 0x8000])
            var state = machine.engine.state
            state.rip = 0x5000
            machine.engine.state = state
            #expect(machine.engine.run(budget: 100) == .halt)
            // From the second round on there is an entry to write by.
            #expect(residency.use(of: 8) == (round == 0 ? .accessed : [.accessed, .written]))
            #expect(machine.engine.run(budget: 100) == .halt)
            #expect(residency.use(of: 8) == [.accessed, .written])
            #expect(machine.memory.read(GuestPhysicalAddress(0x8008), as: UInt64.self) == 77)
        }
        thief.steal(8)
        _ = thief.bring(page: 8)
        #expect(machine.memory.read(GuestPhysicalAddress(0x8008), as: UInt64.self) == 77)
        #expect(residency.use(of: 8) == .accessed)
    }

    @Test(arguments: [0x10, 0x11, 0x12] as [UInt64])
    func aTableMayBeAbsent(_ page: UInt64) throws {
        let (machine, thief) = try paged([0xf4])
        thief.steal(page)
        #expect(machine.engine.run(budget: 100) == .pageAbsent(GuestPhysicalAddress(page << 12)))
        _ = thief.bring(page: page)
        #expect(machine.engine.run(budget: 100) == .halt)
    }

    /// mov [rsi], rax; hlt: over the end of a page whose neighbour is absent.
    @Test func aStoreIsWholeOrNotAtAll() throws {
        let (machine, thief) = try paged([0x48, 0x89, 0x06, 0xf4])
        machine.setRegisters([0: .max, 6: 0x8ffc])
        thief.steal(9)
        #expect(machine.engine.run(budget: 100) == .pageAbsent(GuestPhysicalAddress(0x9000)))
        #expect(machine.memory.read(GuestPhysicalAddress(0x8ffc), as: UInt32.self) == 0)
        _ = thief.bring(page: 9)
        #expect(machine.engine.run(budget: 100) == .halt)
        #expect(machine.memory.read(GuestPhysicalAddress(0x8ffc), as: UInt64.self) == .max)
    }

    /// The stack, the descriptors and the tables of an interrupt: it is delivered once they are there, and
    /// once only, and nothing else comes between.
    @Test(arguments: [0x2, 0x4, 0x7, 0x12] as [UInt64])
    func anInterruptWaitsForItsPages(_ page: UInt64) throws {
        let (machine, thief) = try paged([0xff, 0xc0, 0xeb, 0xfc])
        // inc ebx; hlt
        machine.memory.write(GuestPhysicalAddress(0x6000), [0xff, 0xc3, 0xf4])
        machine.memory.write(
            GuestPhysicalAddress(0x2000 + 0x40 * 16), [0, 0x60, 8, 0, 0, 0x8e, 0, 0])
        var state = machine.engine.state
        state.rflags |= 0x200
        machine.engine.state = state
        #expect(machine.engine.run(budget: 10) == .budgetSpent)
        thief.steal(page)
        machine.engine.inject(interrupt: 0x40)
        let isPutOff = machine.engine.isDelivering
        #expect(isPutOff)
        #expect(!machine.engine.canTakeInterrupt)
        #expect(machine.engine.run(budget: 100) == .pageAbsent(GuestPhysicalAddress(page << 12)))
        #expect(machine.engine.state.generalPurposeRegisters[3] == 0)
        _ = thief.bring(page: page)
        #expect(machine.engine.run(budget: 100) == .halt)
        #expect(!machine.engine.isDelivering)
        #expect(machine.engine.state.generalPurposeRegisters[3] == 1)
        #expect(machine.engine.state.generalPurposeRegisters[4] == 0x8000 - 40)
    }

    @Test func anInjectedPageFaultHasItsAddress() throws {
        let (machine, _) = try paged([0x90, 0xeb, 0xfd])
        #expect(machine.engine.run(budget: 10) == .budgetSpent)
        machine.engine.injectPageFault(address: 0x1001, errorCode: 0)
        #expect(machine.engine.run(budget: 100) == .halt)
        #expect(machine.engine.state.cr2 == 0x1001)
        #expect(machine.engine.state.rip == 0x3001)
    }

    /// mov eax, [rsi] from a device, of which the second half lies in RAM that is absent: the answers of the
    /// device are kept.
    @Test func answersAreKept() throws {
        // The last page of RAM and the first beyond it, mapped behind each other.
        let (machine, thief) = try paged([0x8b, 0x06, 0xf4])
        machine.memory.write(GuestPhysicalAddress(0x12008), integer: 0x1_3007 as UInt64)
        machine.memory.write(GuestPhysicalAddress(0x13000), integer: 0x100_0003 as UInt64)
        machine.memory.write(GuestPhysicalAddress(0x13008), integer: 0x20_0003 as UInt64)
        machine.memory.write(GuestPhysicalAddress(0x20_0000), integer: 0x2222 as UInt16)
        machine.setRegisters([6: 0x20_0ffe])
        thief.steal(0x200)
        var exits: [VMExit] = []
        while exits.last != .halt, exits.count < 9 {
            exits.append(machine.engine.run(budget: 100))
            switch exits.last {
            case .mmioRead: machine.engine.complete(read: 0x1111)
            case .pageAbsent(let address): _ = thief.bring(page: address.rawValue >> 12)
            default: break
            }
        }
        #expect(exits.filter { if case .mmioRead = $0 { true } else { false } }.count == 1)
        #expect(machine.engine.state.generalPurposeRegisters[0] == 0x2222_1111)
    }

    /// What is decoded runs without its page; a page without marks is given up when others go.
    @Test func memoryIsPinnedWhileItIsUsed() throws {
        let (machine, thief) = try paged([0xf4])
        #expect(machine.memory.pin(0x8000, 8))
        thief.steal(8)
        #expect(!machine.memory.isAbsent(0x8000))
        machine.memory.unpin(0x8000, 8)
        thief.steal(8)
        #expect(machine.memory.isAbsent(0x8000))
        #expect(machine.memory.read(GuestPhysicalAddress(0x8000), as: UInt64.self) == 0)
        #expect(!machine.memory.isAbsent(0x8000))
        #expect(thief.brought.load(ordering: .relaxed) == 1)
    }
}
