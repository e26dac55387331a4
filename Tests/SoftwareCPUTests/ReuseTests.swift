import Foundation
import GuestMemory
import Testing
import VirtualCPU
import Vocabulary
import X86

@testable import SoftwareCPU

/// Translations that are used again, in machines that are not where they were made.
struct ReuseTests {
    /// What a program comes to, and what its translations came from.
    private struct Run {
        var exit: VMExit
        var state: ArchitecturalState
        var memory: [UInt8]
        var statistics: CodeCacheStatistics
    }

    /// Translations of this one lie before those of what is looked at: nothing is where it was.
    private static let other: UInt64 = 0x1_8000
    // mov ecx, 20; top: mov rax, [rsi]; dec ecx; jnz top; hlt
    private static let otherCode: [UInt8] = [
        0xb9, 20, 0, 0, 0, 0x48, 0x8b, 0x06, 0xff, 0xc9, 0x75, 0xf9, 0xf4,
    ]

    private func machine(
        _ code: [UInt8], at address: UInt64, _ policy: TranslationPolicy, _ store: CodeStore?,
        shifted: Bool = false, features: InstructionFeatures = .base
    ) throws -> TranslationMachine {
        let machine = try TranslationMachine(
            code, at: address, policy, store: store, features: features)
        if shifted {
            let state = machine.engine.state
            machine.memory.write(GuestPhysicalAddress(Self.other), Self.otherCode)
            machine.setRegisters([6: 0x9000])
            var start = machine.engine.state
            start.rip = Self.other
            machine.engine.state = start
            #expect(machine.engine.run(budget: 1000) == .halt)
            machine.engine.state = state
        }
        return machine
    }

    private func run(
        _ code: RandomCode, _ seed: UInt64, _ policy: TranslationPolicy, _ store: CodeStore?,
        shifted: Bool = false
    ) throws -> Run {
        let machine = try machine(
            code.bytes, at: RandomCode.address, policy, store, shifted: shifted)
        let (exit, state, bytes) = code.run(in: machine, seed: seed)
        return Run(
            exit: exit, state: state, memory: bytes, statistics: machine.cache.statistics)
    }

    /// From translations of an earlier run programs do as in the interpreter, and nothing is translated.
    @Test func programsRunFromReusedCode() throws {
        let folder = try StoreFolder()
        let seeds = 0..<250 as Range<UInt64>
        let first = try folder.open()
        for seed in seeds {
            _ = try run(RandomCode(seed: seed), seed, .afterRuns(12), first)
        }
        try first.close()
        let store = try folder.open()
        var (reused, made): (UInt64, UInt64) = (0, 0)
        for seed in seeds {
            let code = RandomCode(seed: seed)
            let expected = try run(code, seed, .off, nil)
            let seen = try run(code, seed, .afterRuns(200), store, shifted: true)
            #expect(seen.exit == expected.exit, "seed \(seed)")
            #expect(seen.state == expected.state, "seed \(seed)")
            #expect(seen.memory == expected.memory, "seed \(seed)")
            reused += seen.statistics.reusedTranslations
            made += seen.statistics.translations
        }
        #expect(reused > 300 && reused > made * 3, "\(reused) reused, \(made) made")
        try store.close()
    }

    /// Machines in other places make the same bytes: what differs by place has been left out. What is the
    /// same in this process, addresses in the program, is not there at all.
    @Test func relocationsAreComplete() throws {
        var stored: [[[UInt8]]] = []
        for isShifted in [false, true] {
            let folder = try StoreFolder()
            let store = try folder.open()
            for seed in 0..<60 as Range<UInt64> {
                _ = try run(RandomCode(seed: seed), seed, .afterRuns(8), store, shifted: isShifted)
            }
            try store.close()
            stored.append(try folder.translations.map(\.bytes))
        }
        let plain = Set(stored[0])
        #expect(plain.count > 100)
        let missing = plain.subtracting(stored[1]).count
        #expect(missing == 0, "\(missing) of \(plain.count) are not the same elsewhere")
        let program = try Self.programAddresses()
        #expect(!program.isEmpty)
        for bytes in plain {
            for place in 0..<(bytes.count - 8) {
                let word = LittleEndianReader(bytes).integer(place, as: UInt64.self)
                #expect(!program.contains { $0.contains(word) }, "an address at \(place)")
            }
        }
    }

    /// The same of each instruction form.
    @Test func relocationsOfAllFormsAreComplete() throws {
        var code: [UInt8] = []
        var random = OracleRandom(state: 1)
        for form in Form.all {
            var made: OracleInstruction?
            for _ in 0..<20 where made == nil {
                made = OracleInstruction(form, .code64, &random)
            }
            guard let instruction = made else { continue }
            code += instruction.bytes
            // nop; jmp to the next one
            let next = (code.count + 64) & ~63
            code += [0x90, 0xe9]
            let distance = UInt32(next - code.count - 4)
            code += (0..<4).map { UInt8(truncatingIfNeeded: distance >> ($0 * 8)) }
            code += [UInt8](repeating: 0x90, count: next - code.count)
        }
        var stored: [Set<[UInt8]>] = []
        var machines: [TranslationMachine] = []
        for isShifted in [false, true] {
            let folder = try StoreFolder()
            let store = try folder.open()
            let machine = try machine(
                code, at: 0x10_0000, .afterRuns(1), store, shifted: isShifted,
                features: HostProcessor.features)
            let start = machine.engine.state
            for offset in stride(from: 0, to: code.count, by: 64) {
                var state = start
                state.rip = 0x10_0000 + UInt64(offset)
                machine.engine.state = state
                _ = machine.engine.run(budget: 1)
            }
            machines.append(machine)
            try store.close()
            stored.append(Set(try folder.translations.map(\.bytes)))
        }
        #expect(stored[0].count > 1000, "\(stored[0].count) of \(code.count / 64)")
        let missing = stored[0].subtracting(stored[1])
        #expect(missing.isEmpty, "\(missing.count) are not the same elsewhere")
    }

    /// Where this program is.
    private static func programAddresses() throws -> [Range<UInt64>] {
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        let handler = unsafe address(of: blockHeader)
        let lines = maps.split(separator: "\n").map { $0.split(separator: " ") }
        func range(_ words: [Substring]) -> Range<UInt64> {
            let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            return ends[0]..<ends[1]
        }
        let path = lines.first { range($0).contains(handler) }?.last
        return lines.filter { $0.last == path && $0.count >= 6 }.map(range)
    }

    // MARK: Bytes that are not the same

    /// mov ecx, 100; top: lea rdx, [rdx + 1], five times; add eax, VALUE; dec ecx; jnz top; hlt. What is
    /// different is beyond what entries are looked up by.
    private func counting(_ value: UInt8) -> [UInt8] {
        let steps = [[UInt8]](repeating: [0x48, 0x8d, 0x52, 1], count: 5).flatMap { $0 }
        return [0xb9, 100, 0, 0, 0] + steps + [0x83, 0xc0, value, 0xff, 0xc9, 0x75, 0xe5, 0xf4]
    }

    private func keep(_ code: [UInt8], in folder: StoreFolder) throws {
        let store = try folder.open()
        let machine = try machine(code, at: 0x1000, .afterRuns(4), store)
        #expect(machine.engine.run(budget: 10000) == .halt)
        #expect(machine.cache.statistics.keptTranslations > 0)
        try store.close()
    }

    @Test func otherBytesAreNotTakenForTheSame() throws {
        let folder = try StoreFolder()
        try keep(counting(1), in: folder)
        let store = try folder.open()
        let machine = try machine(counting(3), at: 0x1000, .afterRuns(60), store)
        #expect(machine.engine.run(budget: 10000) == .halt)
        #expect(machine.engine.state.generalPurposeRegisters[0] == 300)
        #expect(machine.engine.state.generalPurposeRegisters[2] == 500)
        let statistics = machine.cache.statistics
        #expect(statistics.refusedEntries > 0)
        #expect(statistics.reusedTranslations == 0)
        #expect(statistics.translations > 0, "they are translated as others are")
        try store.close()
        // Both are kept now, and each finds its own.
        let both = try folder.open()
        for value in [1, 3] as [UInt8] {
            let machine = try self.machine(counting(value), at: 0x1000, .afterRuns(200), both)
            #expect(machine.engine.run(budget: 10000) == .halt)
            #expect(machine.engine.state.generalPurposeRegisters[0] == UInt64(value) * 100)
            #expect(machine.cache.statistics.reusedTranslations > 0)
        }
    }

    /// Another place in the page, another mode, other features: other entries.
    @Test func translationsBelongToAPlace() throws {
        let folder = try StoreFolder()
        try keep(counting(1), in: folder)
        let store = try folder.open()
        let moved = try machine(counting(1), at: 0x1004, .afterRuns(200), store)
        #expect(moved.engine.run(budget: 10000) == .halt)
        #expect(moved.cache.statistics.reusedTranslations == 0)
        let sameOffset = try machine(counting(1), at: 0x5000, .afterRuns(200), store)
        #expect(sameOffset.engine.run(budget: 10000) == .halt)
        #expect(sameOffset.cache.statistics.reusedTranslations > 0)
        let richer = try machine(
            counting(1), at: 0x1000, .afterRuns(200), store, features: HostProcessor.features)
        #expect(richer.engine.run(budget: 10000) == .halt)
        #expect(richer.cache.statistics.reusedTranslations == 0)
    }

    /// Reused code is dropped when its bytes change, and what it is linked to finds out.
    @Test func reusedCodeIsDropped() throws {
        let folder = try StoreFolder()
        // top: mov ecx, 1 << 18; inner: inc eax; dec ecx; jnz inner; xor byte [inner + 1], 8; dec ebx
        // jnz top; hlt: INC EAX (ff c0) and DEC EAX (ff c8) in turn, for so long that the page is no
        // `PatchedPages`.
        var code: [UInt8] = [0xb9, 0, 0, 4, 0, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa]
        code += [0x80, 0x34, 0x25, 0x06, 0x10, 0, 0, 0x08, 0xff, 0xcb, 0x75, 0xe9, 0xf4]
        let store = try folder.open()
        var totals: [UInt64] = []
        for (policy, own) in [
            (.off, nil), (.afterRuns(4), store),
        ] as [(TranslationPolicy, CodeStore?)] {
            let machine = try machine(code, at: 0x1000, policy, own)
            machine.setRegisters([0: 1000, 3: 21])
            #expect(machine.engine.run(budget: 100_000_000) == .halt)
            totals.append(machine.engine.state.generalPurposeRegisters[0])
        }
        try store.close()
        let again = try folder.open()
        let machine = try machine(code, at: 0x1000, .afterRuns(200), again)
        machine.setRegisters([0: 1000, 3: 21])
        #expect(machine.engine.run(budget: 100_000_000) == .halt)
        totals.append(machine.engine.state.generalPurposeRegisters[0])
        #expect(totals == [0x403e8, 0x403e8, 0x403e8])
        #expect(machine.cache.statistics.reusedTranslations > 10, "after each change anew")
        #expect(machine.engine.statistics.blocksInvalidated > 10)
    }

    /// A group whose probe misses all the time is given up in reused code too.
    @Test func groupsOfReusedCodeAreGivenUp() throws {
        let folder = try StoreFolder()
        // mov ecx, 4000; top: mov rax, [rsi]; mov rdx, [rsi + 8]; add rsi, 16; and rsi, rdi; dec ecx
        // jnz top; hlt: each round goes across two pages, so the group misses.
        let code: [UInt8] = [
            0xb9, 0xa0, 0x0f, 0, 0, 0x48, 0x8b, 0x06, 0x48, 0x8b, 0x56, 0x08, 0x48, 0x83, 0xce,
            0x08,
            0xff, 0xc9, 0x75, 0xf1, 0xf4,
        ]
        for round in 0..<2 {
            let store = try folder.open()
            let machine = try machine(code, at: 0x1000, .afterRuns(4), store)
            machine.setRegisters([6: 0x9ff8])
            #expect(machine.engine.run(budget: 100_000) == .halt)
            let statistics = machine.cache.statistics
            if round == 0 {
                #expect(statistics.translations >= 2)
            } else {
                #expect(statistics.translations == 0 && statistics.reusedTranslations >= 2)
            }
            try store.close()
        }
        #expect(try folder.translations.contains { !$0.key.usesGroups })
    }

    /// No room for what is reused: the next generation has it.
    @Test func reusedCodeFillsGenerations() throws {
        let folder = try StoreFolder()
        var code: [UInt8] = [0xbb, 20, 0, 0, 0]
        // 400 blocks: inc eax; jmp on
        for _ in 0..<400 { code += [0xff, 0xc0, 0xeb, 0x00] }
        // dec ebx; jnz to the first; hlt
        let back = UInt32(truncatingIfNeeded: -(400 * 4 + 8))
        code +=
            [0xff, 0xcb, 0x0f, 0x85] + (0..<4).map { UInt8(truncatingIfNeeded: back >> ($0 * 8)) }
        code.append(0xf4)
        for size in [
            CodeCache.Size(), CodeCache.Size(instructionCount: 400, codeByteCount: 64 << 10),
            CodeCache.Size(instructionCount: 4000, codeByteCount: 32 << 10),
        ] {
            let store = try folder.open()
            let plain = try TranslationMachine(code, at: 0x1000, .off)
            let cache = CodeCache(
                memory: plain.memory, translation: .afterRuns(1), size: size, store: store)
            let engine = SoftwareEngine(
                memory: plain.memory, events: PendingEvents(), code: cache
            ) { _, _ in CPUIDResult() }
            engine.state = plain.engine.state
            #expect(engine.run(budget: 1_000_000) == .halt)
            #expect(engine.state.generalPurposeRegisters[0] == 8000)
            if !store.isEmpty { #expect(cache.statistics.reusedTranslations > 50) }
            try store.close()
        }
    }
}
