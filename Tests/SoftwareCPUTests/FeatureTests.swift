import GuestMemory
import Testing
import VirtualCPU
import Vocabulary
import X86

@testable import SoftwareCPU

/// Encodings of features that a processor model does not offer: #UD, or what they were before.
struct FeatureTests {
    /// Runs `code` in 64-bit code at CPL 0 with everything enabled. The vector it ends in; nil: it
    /// reached the end.
    private func vector(
        _ code: [UInt8], _ model: CPUIDModel = .martletV2,
        _ prepare: (inout ArchitecturalState) -> Void = { _ in }
    ) throws -> (vector: UInt64?, state: ArchitecturalState) {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        func put(_ address: UInt64, _ value: UInt64) {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        put(0x10000, 0x11003)
        put(0x11000, 0x12003)
        put(0x12000, 0x83)
        for vector: UInt64 in 0..<32 {
            put(0x7000 + vector * 16, (0x8000 + vector) | 8 << 16 | 0x8e00 << 32)
            memory.write(GuestPhysicalAddress(0x8000 + vector), [0xf4])
        }
        put(0x6008, 0x00af_9b00_0000_ffff)
        memory.write(GuestPhysicalAddress(0x20000), code + [0xf4])
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) {
            let leaf = model.leaf($0, $1, CPUIDModel.Context())
            return CPUIDResult(eax: leaf.eax, ebx: leaf.ebx, ecx: leaf.ecx, edx: leaf.edx)
        }
        typealias Segment = ArchitecturalState.Segment
        var state = ArchitecturalState()
        state.cr0 = 0x8000_0033
        state.cr3 = 0x10000
        // PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE.
        state.cr4 = 0x5_0620
        state.xcr0 = 3
        state.modelSpecific.efer = 0xd01
        state.cs = Segment(selector: 8, base: 0, limit: 0xffff_ffff, attributes: 0xa09b)
        state.ss = Segment(selector: 16, base: 0, limit: 0xffff_ffff, attributes: 0xc093)
        state.gdt.base = 0x6000
        state.gdt.limit = 0x17
        state.idt.base = 0x7000
        state.idt.limit = 0x1ff
        state.rip = 0x20000
        state.generalPurposeRegisters = [UInt64](repeating: 0x3_0000, count: 16)
        prepare(&state)
        engine.state = state
        #expect(engine.run(budget: 100) == .halt)
        let end = engine.state
        let isHandler = end.rip > 0x8000 && end.rip <= 0x8020
        return (isHandler ? end.rip - 0x8001 : nil, end)
    }

    @Test(
        arguments: [
            ("xsaves", [0x0f, 0xc7, 0x28]), ("xrstors", [0x0f, 0xc7, 0x18]),
            ("xsaves64", [0x48, 0x0f, 0xc7, 0x28]), ("rdpid", [0xf3, 0x0f, 0xc7, 0xf8]),
            ("rdseed", [0x0f, 0xc7, 0xf8]), ("clflushopt", [0x66, 0x0f, 0xae, 0x38]),
            ("clwb", [0x66, 0x0f, 0xae, 0x30]), ("ptwrite", [0xf3, 0x0f, 0xae, 0x20]),
            ("tpause", [0x66, 0x0f, 0xae, 0xf0]), ("umwait", [0xf2, 0x0f, 0xae, 0xf0]),
            ("movbe load", [0x0f, 0x38, 0xf0, 0x00]), ("movbe store", [0x0f, 0x38, 0xf1, 0x00]),
            ("movbe 16", [0x66, 0x0f, 0x38, 0xf0, 0x00]), ("adcx", [0x66, 0x0f, 0x38, 0xf6, 0xc0]),
            ("adox", [0xf3, 0x0f, 0x38, 0xf6, 0xc0]), ("wrss", [0x0f, 0x38, 0xf6, 0x00]),
            ("sha1nexte", [0x0f, 0x38, 0xc8, 0xc0]), ("sha256msg2", [0x0f, 0x38, 0xcd, 0xc0]),
            ("sha1rnds4", [0x0f, 0x3a, 0xcc, 0xc0, 0]),
            ("gf2p8mulb", [0x66, 0x0f, 0x38, 0xcf, 0xc0]),
            ("movdiri", [0x0f, 0x38, 0xf9, 0x00]), ("movdir64b", [0x66, 0x0f, 0x38, 0xf8, 0x00]),
            ("enqcmd", [0xf2, 0x0f, 0x38, 0xf8, 0x00]), ("monitor", [0x0f, 0x01, 0xc8]),
            ("mwait", [0x0f, 0x01, 0xc9]), ("encls", [0x0f, 0x01, 0xcf]),
            ("vmfunc", [0x0f, 0x01, 0xd4]), ("xend", [0x0f, 0x01, 0xd5]),
            ("xtest", [0x0f, 0x01, 0xd6]), ("vmrun", [0x0f, 0x01, 0xd8]),
            ("rdpkru", [0x0f, 0x01, 0xee]), ("serialize", [0x0f, 0x01, 0xe8]),
            ("monitorx", [0x0f, 0x01, 0xfa]), ("clzero", [0x0f, 0x01, 0xfc]),
            ("rdpru", [0x0f, 0x01, 0xfd]), ("getsec", [0x0f, 0x37]), ("femms", [0x0f, 0x0e]),
            ("3DNow!", [0x0f, 0x0f, 0xc0, 0x9e]), ("extrq", [0x66, 0x0f, 0x79, 0xc0]),
            ("insertq", [0xf2, 0x0f, 0x79, 0xc0]), ("movntss", [0xf3, 0x0f, 0x2b, 0x00]),
            ("movntsd", [0xf2, 0x0f, 0x2b, 0x00]), ("vmread", [0x0f, 0x78, 0xc0]),
            ("vmptrld", [0x0f, 0xc7, 0x30]), ("vmxon", [0xf3, 0x0f, 0xc7, 0x30]),
            ("invept", [0x66, 0x0f, 0x38, 0x80, 0x00]), ("vaddps", [0xc5, 0xf8, 0x58, 0xc0]),
            ("vpaddd ymm", [0xc5, 0xfd, 0xfe, 0xc0]), ("vzeroupper", [0xc5, 0xf8, 0x77]),
            ("andn", [0xc4, 0xe2, 0x78, 0xf2, 0xc0]), ("vfmadd", [0xc4, 0xe2, 0x79, 0x98, 0xc0]),
            ("vaddps zmm", [0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc0]),
            ("XOP", [0x8f, 0xe8, 0x78, 0xc0, 0xc0, 1]),
        ] as [(String, [UInt8])])
    func raisesInvalidOpcode(_ name: String, _ code: [UInt8]) throws {
        #expect(try vector(code).vector == 6, "\(name)")
    }

    /// TZCNT, LZCNT: BSF and BSR with a prefix that says nothing.
    @Test func countsScan() throws {
        func scan(_ code: [UInt8], _ value: UInt64) throws -> (UInt64, Bool) {
            let end = try vector(code, .martletV2) { state in
                state.generalPurposeRegisters[0] = 77
                state.generalPurposeRegisters[1] = value
            }
            #expect(end.vector == nil)
            return (end.state.generalPurposeRegisters[0], end.state.rflags & 0x40 != 0)
        }
        // tzcnt rax, rcx; lzcnt rax, rcx
        #expect(try scan([0xf3, 0x48, 0x0f, 0xbc, 0xc1], 0x50) == (4, false))
        #expect(try scan([0xf3, 0x48, 0x0f, 0xbc, 0xc1], 0) == (77, true))
        #expect(try scan([0xf3, 0x48, 0x0f, 0xbd, 0xc1], 0x50) == (6, false))
        #expect(try scan([0xf3, 0x48, 0x0f, 0xbd, 0xc1], 0) == (77, true))
    }

    private static let hasVersion3 = HostProcessor.features.isSuperset(of: .version3)
    private static let wide = CPUIDModel.host(HostProcessor.features)

    /// The same bytes where LZCNT and BMI1 are offered.
    @Test(.enabled(if: hasVersion3)) func countsCount() throws {
        for (opcode, value, result) in [(0xbc, 0x50, 4), (0xbd, 0x50, 57), (0xbd, 0, 64)]
            as [(UInt8, UInt64, UInt64)]
        {
            let end = try vector([0xf3, 0x48, 0x0f, opcode, 0xc1], Self.wide) { state in
                state.generalPurposeRegisters[1] = value
            }
            #expect(end.vector == nil && end.state.generalPurposeRegisters[0] == result)
            // CF: the source is zero.
            #expect(end.state.rflags & 1 == (value == 0 ? 1 : 0))
        }
    }

    /// CR4.OSXSAVE, XCR0 and CR0.TS (SDM volume 2, 2.4); CR0.EM says nothing about VEX.
    @Test(.enabled(if: hasVersion3)) func wideVectorsNeedTheirState() throws {
        // vaddps ymm0, ymm0, ymm1; andn eax, ecx, edx
        let add: [UInt8] = [0xc5, 0xfc, 0x58, 0xc1]
        let andn: [UInt8] = [0xc4, 0xe2, 0x70, 0xf2, 0xc2]
        func vectors(_ prepare: (inout ArchitecturalState) -> Void) throws -> [UInt64?] {
            try [add, andn].map { try vector($0, Self.wide, prepare).vector }
        }
        #expect(try vectors { $0.xcr0 = 7 } == [nil, nil])
        #expect(try vectors { $0.xcr0 = 3 } == [6, nil])
        #expect(
            try vectors {
                $0.xcr0 = 7
                $0.cr4 &= ~(1 << 18)
            } == [6, nil])
        #expect(
            try vectors {
                $0.xcr0 = 7
                $0.cr0 |= 8
            } == [7, nil])
        #expect(
            try vectors {
                $0.xcr0 = 7
                $0.cr0 |= 4
            } == [nil, nil])
    }

    /// XSETBV counts from the next instruction on.
    @Test(.enabled(if: hasVersion3), arguments: [(7, nil), (3, 6)] as [(UInt8, UInt64?)])
    func stateIsEnabledByXSETBV(_ states: UInt8, _ expected: UInt64?) throws {
        // xor ecx, ecx; xor edx, edx; mov eax, states; xsetbv; vaddps ymm0, ymm0, ymm1
        let code: [UInt8] = [
            0x31, 0xc9, 0x31, 0xd2, 0xb8, states, 0, 0, 0, 0x0f, 0x01, 0xd1, 0xc5, 0xfc, 0x58, 0xc1,
        ]
        let end = try vector(code, Self.wide) { $0.xcr0 = states == 7 ? 3 : 7 }
        #expect(end.vector == expected)
        #expect(end.state.xcr0 == UInt64(states))
    }

    /// Hints and prefixes that older processors do nothing for.
    @Test(
        arguments: [
            ("endbr64", [0xf3, 0x0f, 0x1e, 0xfa]), ("rdsspq", [0xf3, 0x48, 0x0f, 0x1e, 0xc8]),
            ("prefetchwt1", [0x0f, 0x0d, 0x10]), ("cldemote", [0x0f, 0x1c, 0x00]),
            ("wbnoinvd", [0xf3, 0x0f, 0x09]), ("bnd jmp", [0xf2, 0xeb, 0x00]),
            ("notrack jmp", [0x3e, 0xeb, 0x00]), ("xacquire lock", [0xf2, 0xf0, 0x87, 0x00]),
        ] as [(String, [UInt8])])
    func doesNothing(_ name: String, _ code: [UInt8]) throws {
        #expect(try vector(code).vector == nil, "\(name)")
    }

    /// XSAVEC and XGETBV with ECX 1 are offered.
    @Test func offered() throws {
        #expect(try vector([0x0f, 0xc7, 0x20]).vector == nil)
        let second = try vector([0x0f, 0x01, 0xd0], .martletV2) {
            $0.generalPurposeRegisters[1] = 1
        }
        #expect(second.vector == nil)
        let leaf = CPUIDModel.martletV2.leaf(0xd, 1, CPUIDModel.Context())
        #expect(leaf.eax == 0b111)
    }
}
