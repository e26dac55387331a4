import GuestMemory
import HostIO
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Engines on threads of their own that run the same blocks while these are made, written over, dropped
/// and given back.
struct SharedCodeTests {
    /// Runs until HLT. Owner: one thread at a time.
    private final class Runner: @unchecked Sendable {
        let engine: SoftwareEngine
        init(_ engine: SoftwareEngine) { self.engine = engine }

        /// False: it did something else, or did not come to an end.
        func run() -> Bool {
            for _ in 0..<4_000_000 {
                switch engine.run(budget: 1000) {
                case .halt: return true
                case .budgetSpent: continue
                default: return false
                }
            }
            return false
        }

        func register(_ index: Int) -> UInt64 { engine.state.generalPurposeRegisters[index] }
    }

    /// How blocks are run, and how many generations the test goes through.
    struct Way: Sendable, CustomTestStringConvertible {
        var policy: TranslationPolicy
        var size: CodeCache.Size
        var testDescription: String { "\(policy), \(size)" }
    }

    private static let small = CodeCache.Size(instructionCount: 1500, codeByteCount: 32 << 10)
    static let ways = [
        Way(policy: .off, size: .init()), Way(policy: .afterRuns(1), size: .init()),
        Way(policy: .afterRuns(3), size: .init()), Way(policy: .off, size: small),
        Way(policy: .afterRuns(1), size: small),
    ]

    private static let function: UInt64 = 0x14_0000
    private static let flag: UInt64 = 0x18_0000

    /// 2 MiB pages at their own addresses up to 4 MiB.
    private func memory() throws -> GuestMemory {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 8 << 20)
        ])
        for (address, value) in [
            (0x10000, 0x11007), (0x11000, 0x12007), (0x12000, 0x83), (0x12008, 0x20_0083),
        ] as [(UInt64, UInt64)] {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        return memory
    }

    private func runner(
        _ memory: GuestMemory, _ cache: CodeCache, _ number: Int, at address: UInt64
    ) -> Runner {
        let engine = SoftwareEngine(memory: memory, events: PendingEvents(), code: cache) {
            _, _ in CPUIDResult()
        }
        let runner = Runner(engine)
        start(runner, number, at: address)
        return runner
    }

    private func start(_ runner: Runner, _ number: Int, at address: UInt64) {
        var state = ArchitecturalState()
        state.cs = .init(selector: 8, base: 0, limit: .max, attributes: 0xa09b)
        state.ss = .init(selector: 0x18, base: 0, limit: .max, attributes: 0xc093)
        state.ds = .init(selector: 0x18, base: 0, limit: .max, attributes: 0xc093)
        state.cr0 = 0x8000_0031
        state.cr3 = 0x10000
        state.cr4 = 0x6a0
        state.modelSpecific.efer = 0x500
        state.rip = address
        state.generalPurposeRegisters[4] = 0x8_0000 + UInt64(number) * 0x1000
        runner.engine.state = state
    }

    /// All at once; whether each came to its end.
    private func run(_ runners: [Runner]) throws -> [Bool] {
        let results = RankedLock(
            [Bool](repeating: false, count: runners.count), owner: "test", rank: .leaf)
        let box = Box(results)
        let threads = try runners.enumerated().map { number, runner in
            try HostThread.spawn(name: "vcpu\(number)") {
                let isDone = runner.run()
                box.results.withLock { $0[number] = isDone }
            }
        }
        for thread in threads { thread.join() }
        return box.results.withLock { $0 }
    }

    private final class Box: Sendable {
        let results: RankedLock<[Bool]>
        init(_ results: consuming RankedLock<[Bool]>) { self.results = results }
    }

    private func bytes(_ value: UInt64) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// mov eax, 0; ret: the number at a multiple of four.
    private func writeFunction(_ memory: GuestMemory, at address: UInt64) {
        memory.write(GuestPhysicalAddress(address + 3), [0xb8, 0, 0, 0, 0, 0xc3])
    }

    /// What one engine has decoded and translated, the others run.
    @Test func nothingIsMadeTwice() throws {
        let memory = try memory()
        // mov ecx, 50; top: dec ecx; jnz top; hlt
        memory.write(
            GuestPhysicalAddress(0x10_0000), [0xb9, 50, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xf4])
        let cache = CodeCache(memory: memory, translation: .afterRuns(3))
        let first = runner(memory, cache, 0, at: 0x10_0000)
        #expect(first.run())
        let translations = cache.statistics.translations
        #expect(translations > 0)
        #expect(first.engine.statistics.blocksDecoded > 0)
        let second = runner(memory, cache, 1, at: 0x10_0000)
        #expect(second.run())
        #expect(second.register(1) == 0)
        #expect(second.engine.statistics.blocksDecoded == 0)
        #expect(cache.statistics.translations == translations)
    }

    /// Who has seen a later word of the writer and executed CPUID runs no earlier code.
    @Test(arguments: ways) func writtenCodeIsSeenAfterCPUID(_ way: Way) throws {
        let count: UInt64 = 3000
        let memory = try memory()
        writeFunction(memory, at: Self.function)
        // mov ecx, 1; top: mov [function + 4], ecx; mov [flag], ecx; inc ecx; cmp ecx, count + 1
        // jnz top; hlt
        memory.write(
            GuestPhysicalAddress(0x10_0000),
            [0xb9, 1, 0, 0, 0] + [0x89, 0x0c, 0x25] + bytes(Self.function + 4)
                + [0x89, 0x0c, 0x25] + bytes(Self.flag) + [0xff, 0xc1, 0x81, 0xf9]
                + bytes(count + 1) + [0x75, 0xe8, 0xf4])
        // top: mov ebx, [flag]; mov ebp, ebx; xor eax, eax; cpuid; mov edx, function; call rdx
        // cmp eax, ebp; jb bad; cmp ebp, count; jnz top; hlt; bad: mov esi, 1; hlt
        memory.write(
            GuestPhysicalAddress(0x11_0000),
            [0x8b, 0x1c, 0x25] + bytes(Self.flag) + [0x89, 0xdd, 0x31, 0xc0, 0x0f, 0xa2, 0xba]
                + bytes(Self.function + 3) + [0xff, 0xd2, 0x39, 0xe8, 0x72, 9, 0x81, 0xfd]
                + bytes(count) + [0x75, 0xe0, 0xf4, 0xbe, 1, 0, 0, 0, 0xf4])
        let cache = CodeCache(memory: memory, translation: way.policy, size: way.size)
        let readers = (1..<4).map { runner(memory, cache, $0, at: 0x11_0000) }
        let writer = runner(memory, cache, 0, at: 0x10_0000)
        #expect(try run([writer] + readers) == [true, true, true, true])
        for reader in readers {
            #expect(reader.register(5) == count)
            #expect(reader.register(6) == 0, "code that was written over ran")
        }
        #expect(cache.contents.withLock { $0.earlier.isEmpty })
    }

    /// Who writes code runs it, whatever others do to the same page and its blocks.
    @Test(arguments: ways) func ownStoresAreSeenAtOnce(_ way: Way) throws {
        let count: UInt64 = 2000
        let memory = try memory()
        let cache = CodeCache(memory: memory, translation: way.policy, size: way.size)
        let runners = (0..<4).map { number in
            let own = Self.function + UInt64(number) * 64
            writeFunction(memory, at: own)
            // mov ecx, 1; top: mov [own + 4], ecx; mov edx, own; call rdx; cmp eax, ecx; jnz bad
            // inc ecx; cmp ecx, count; jnz top; hlt; bad: mov esi, 1; hlt
            let address = 0x10_0000 + UInt64(number) * 0x1000
            memory.write(
                GuestPhysicalAddress(address),
                [0xb9, 1, 0, 0, 0] + [0x89, 0x0c, 0x25] + bytes(own + 4) + [0xba]
                    + bytes(own + 3) + [0xff, 0xd2, 0x39, 0xc8, 0x75, 11, 0xff, 0xc1, 0x81, 0xf9]
                    + bytes(count) + [0x75, 0xe4, 0xf4, 0xbe, 1, 0, 0, 0, 0xf4])
            return runner(memory, cache, number, at: address)
        }
        #expect(try run(runners) == [true, true, true, true])
        for runner in runners {
            #expect(runner.register(1) == count)
            #expect(runner.register(6) == 0, "code that was written over ran")
        }
        #expect(cache.contents.withLock { $0.earlier.isEmpty })
    }

    /// 2048 blocks in 64 pages, each of which counts and leads to the next, for 20 rounds: more than a
    /// generation holds.
    private func writeChain(_ memory: GuestMemory) {
        for number in 0..<UInt64(2048) {
            let address = 0x20_0000 + number * 128
            // inc eax; jmp to the next one
            var code: [UInt8] = [0xff, 0xc0, 0xe9] + bytes(128 - 7)
            if number == 2047 {
                // inc eax; dec ebx; jnz to the first one; hlt
                code =
                    [0xff, 0xc0, 0xff, 0xcb, 0x0f, 0x85] + bytes(0 &- (2047 * 128 + 10)) + [0xf4]
            }
            memory.write(GuestPhysicalAddress(address), code)
        }
        // mov ebx, 20; jmp to the first one
        memory.write(
            GuestPhysicalAddress(0x10_0000), [0xbb, 20, 0, 0, 0, 0xe9] + bytes(0x10_0000 - 10))
    }

    @Test(arguments: [
        Way(policy: .off, size: .init(instructionCount: 3000, codeByteCount: 1 << 20)),
        Way(policy: .afterRuns(1), size: .init(instructionCount: 3000, codeByteCount: 1 << 20)),
        Way(policy: .afterRuns(1), size: .init(instructionCount: 40000, codeByteCount: 64 << 10)),
        Way(policy: .afterRuns(2), size: .init(instructionCount: 6000, codeByteCount: 200 << 10)),
    ])
    func generationsChangeUnderLoad(_ way: Way) throws {
        let memory = try memory()
        writeChain(memory)
        let cache = CodeCache(memory: memory, translation: way.policy, size: way.size)
        // One that is halted in the first generation.
        let halted = runner(memory, cache, 3, at: 0x10_0000)
        memory.write(GuestPhysicalAddress(0x11_0000), [0xf4])
        start(halted, 3, at: 0x11_0000)
        #expect(halted.run())
        let runners = (0..<3).map { runner(memory, cache, $0, at: 0x10_0000) }
        #expect(try run(runners) == [true, true, true])
        for runner in runners {
            #expect(runner.register(0) == 20 * 2048)
            // The cache's own computing left no exception flag.
            #expect(runner.engine.state.vector.mxcsr == ArchitecturalState().vector.mxcsr)
        }
        #expect(cache.statistics.generations > 3)
        // Nobody holds what nobody runs.
        #expect(cache.contents.withLock { $0.earlier.isEmpty })
        start(halted, 3, at: 0x10_0000)
        #expect(halted.run())
        #expect(halted.register(0) == 20 * 2048)
    }

    /// A device writes while engines run the code.
    @Test(arguments: ways) func aDevicesStoresAreSeen(_ way: Way) throws {
        let memory = try memory()
        let cache = CodeCache(memory: memory, translation: way.policy, size: way.size)
        writeFunction(memory, at: Self.function)
        // top: mov edx, function; call rdx; test eax, eax; jz top; hlt
        memory.write(
            GuestPhysicalAddress(0x10_0000),
            [0xba] + bytes(Self.function + 3) + [0xff, 0xd2, 0x85, 0xc0, 0x74, 0xf5, 0xf4])
        let runners = (0..<3).map { runner(memory, cache, $0, at: 0x10_0000) }
        let device = try HostThread.spawn(name: "device") {
            for _ in 0..<200 {
                memory.write(GuestPhysicalAddress(Self.function + 4), [0, 0, 0, 0])
                HostThread.sleep(nanoseconds: 20_000)
            }
            memory.write(GuestPhysicalAddress(Self.function + 4), [7, 0, 0, 0])
        }
        #expect(try run(runners) == [true, true, true])
        device.join()
        for runner in runners { #expect(runner.register(0) == 7) }
    }
}

/// What others execute changes by whole instructions.
struct CodeMemoryTests {
    @Test func replacementsStayWithinEightBytes() throws {
        let memory = try CodeMemory(byteCount: 4096)
        for distance in 0..<3 {
            for byteCount in 4...5 {
                for start in 0..<16 {
                    var assembler = Assembler(memory, at: start)
                    assembler.makeReplaceable(byteCount, after: distance)
                    let place = assembler.position + distance
                    #expect(place & 7 + byteCount <= 8)
                    #expect(assembler.position - start < byteCount)
                }
            }
        }
    }

    @Test func neighboursStay() throws {
        let memory = try CodeMemory(byteCount: 4096)
        var assembler = Assembler(memory, at: 64)
        for value in UInt8(1)...16 { assembler.byte(value) }
        memory.replace(at: 66, count: 5, with: 0xaabb_ccdd_eeff)
        let bytes = (64..<80).map { unsafe memory.writable[$0] }
        #expect(bytes == [1, 2, 0xff, 0xee, 0xdd, 0xcc, 0xbb] + Array(8...16))
        memory.lead(from: 72, to: 72 + 5 + 0x1234)
        let jump = (72..<77).map { unsafe memory.writable[$0] }
        #expect(jump == [0xe9, 0x34, 0x12, 0, 0])
    }

    /// Translations that are there stay as they are when one more does not fit.
    @Test func whatDoesNotFitTouchesNothing() throws {
        let memory = try CodeMemory(byteCount: 4096)
        var before = Assembler(memory, at: 0)
        while before.position < 4096 { before.byte(0xaa) }
        var late = Assembler(memory, at: 4094)
        let patch = late.jump()
        late.bind(patch)
        late.bind(patch, to: 0)
        #expect(late.isFull)
        for index in 4088..<4094 { #expect(unsafe memory.writable[index] == 0xaa) }
    }
}
