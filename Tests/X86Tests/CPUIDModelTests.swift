import Testing
import X86

/// What the processor model says of itself, against the promises of its name.
struct CPUIDModelTests {
    private let model = CPUIDModel.martletV2

    private func bytes(_ word: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }

    @Test func vendorAndHighestLeaves() {
        let leaf = model.leaf(0, 0, .init())
        #expect(bytes(leaf.ebx) + bytes(leaf.edx) + bytes(leaf.ecx) == Array("GenuineIntel".utf8))
        #expect(leaf.eax == CPUIDModel.highestBasicLeaf)
        #expect(model.leaf(0x8000_0000, 0, .init()).eax == CPUIDModel.highestExtendedLeaf)
    }

    /// Linux leaves out its mitigations for family 6, model 28; stepping 10 has no erratum it
    /// works around.
    @Test func signatureIsTheInOrderAtom() {
        let eax = model.leaf(1, 0, .init()).eax
        #expect((eax >> 8) & 15 == 6)
        #expect((eax >> 4) & 15 | (eax >> 12) & 0xf0 == 28)
        #expect(eax & 15 == 10)
    }

    @Test func featuresOfX8664V2() {
        let basic = model.leaf(1, 0, .init())
        let extended = model.leaf(0x8000_0001, 0, .init())
        // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF.
        for bit in [0, 9, 13, 19, 20, 23] { #expect(basic.ecx >> UInt32(bit) & 1 == 1) }
        #expect(extended.ecx & 1 == 1)
        // FPU, CX8, CMOV, MMX, FXSR, SSE, SSE2; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
        for bit in [0, 8, 15, 23, 24, 25, 26] { #expect(basic.edx >> UInt32(bit) & 1 == 1) }
        for bit in [11, 20, 26, 27, 29] { #expect(extended.edx >> UInt32(bit) & 1 == 1) }
    }

    @Test func nothingThatTheEngineDoesNotHave() {
        let basic = model.leaf(1, 0, .init())
        // MONITOR, VMX, FMA, MOVBE, AVX, F16C; MCE, MCA.
        for bit in [3, 5, 12, 22, 28, 29] { #expect(basic.ecx >> UInt32(bit) & 1 == 0) }
        for bit in [7, 14] { #expect(basic.edx >> UInt32(bit) & 1 == 0) }
        let structured = model.leaf(7, 0, .init())
        // BMI1, AVX2, BMI2, AVX-512, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA.
        for bit in [3, 5, 8, 16, 18, 19, 23, 24, 29] {
            #expect(structured.ebx >> UInt32(bit) & 1 == 0)
        }
        #expect(structured.ecx == 1 << 2)
        #expect(structured.edx == 0)
        // LZCNT, SSE4A, XOP, FMA4.
        #expect(model.leaf(0x8000_0001, 0, .init()).ecx == 1)
    }

    /// x86-64-v3, on a host that has all of it and no more, and on one that lacks a feature.
    @Test func featuresOfX8664V3() throws {
        #expect(CPUIDModel.martletV3(on: InstructionFeatures.version3.subtracting(.fma)) == nil)
        let model = try #require(CPUIDModel.martletV3(on: .version3))
        let basic = model.leaf(1, 0, .init())
        // FMA, MOVBE, AVX, F16C.
        for bit in [12, 22, 28, 29] { #expect(basic.ecx >> UInt32(bit) & 1 == 1) }
        let structured = model.leaf(7, 0, .init())
        // BMI1, AVX2, BMI2; not AVX-512, ADX, SHA.
        for bit in [3, 5, 8] { #expect(structured.ebx >> UInt32(bit) & 1 == 1) }
        for bit in [16, 19, 29] { #expect(structured.ebx >> UInt32(bit) & 1 == 0) }
        #expect(model.leaf(0x8000_0001, 0, .init()).ecx == 1 | 1 << 5)
        let states = model.leaf(0xd, 0, .init())
        #expect(states.eax == 7 && states.ecx == 832)
        let upper = model.leaf(0xd, 2, .init())
        #expect(upper.eax == 256 && upper.ebx == 576 && upper.ecx == 0)
        // Whoever reads the leaves finds what the model was made of.
        for features: InstructionFeatures in [
            .version3, [.lzcnt, .bmi1], .version3.union(.optional),
        ] {
            let model = CPUIDModel.host(features)
            let structured = model.leaf(7, 0, .init())
            let found = InstructionFeatures(
                basicECX: model.leaf(1, 0, .init()).ecx,
                structured: (structured.ebx, structured.ecx),
                extendedECX: model.leaf(0x8000_0001, 0, .init()).ecx)
            #expect(found == features)
        }
    }

    @Test func frequencyLeavesGiveTheTSCBackTheWayLinuxComputesIt() {
        var context = CPUIDModel.Context()
        for megahertz: UInt64 in [800, 2445, 3601, 4294] {
            context.tscFrequency = megahertz * 1_000_000
            let leaf = model.leaf(0x15, 0, context)
            #expect(leaf.ecx == 1_000_000_000)
            #expect(leaf.ecx / 1000 * leaf.ebx / leaf.eax == UInt32(megahertz * 1000))
        }
        context.crystalFrequency = 25_000_000
        for frequency: UInt64 in [999_999_000, 2_445_432_100, 3_600_000_000, 4_999_123_456] {
            context.tscFrequency = frequency
            let leaf = model.leaf(0x15, 0, context)
            let kilohertz = (leaf.ecx / 1000).multipliedReportingOverflow(by: leaf.ebx)
            // The kernel's own type for the TSC's kHz is 32 bits wide as well.
            #expect(!kilohertz.overflow)
            let computed = UInt64(kilohertz.partialValue / leaf.eax) * 1000
            let error = computed > frequency ? computed - frequency : frequency - computed
            #expect(error <= frequency / 30_000, "\(frequency): \(computed)")
        }
        context.crystalFrequency = 1_000_000_000
        for (frequency, millionths) in [
            (2_445_424_123, 1), (2_899_999_871, 1), (3_141_592_653, 1), (4_700_000_321, 1),
            (2_000_233_000, 120), (1_193_182, 120), (3_000_000_000, 0),
        ] as [(UInt64, UInt64)] {
            context.tscFrequency = frequency
            let leaf = model.leaf(0x15, 0, context)
            let computed = UInt64(leaf.ecx / 1000 * leaf.ebx / leaf.eax) * 1000
            let error = max(computed, frequency) - min(computed, frequency)
            #expect(error <= 1000 + frequency / 1_000_000 * millionths, "\(frequency): \(computed)")
        }
        context.tscFrequency = 0
        #expect(model.leaf(0x15, 0, context) == (0, 0, 0, 0))
    }

    @Test func topologyNumbersEveryProcessor() {
        var context = CPUIDModel.Context()
        context.processorCount = 6
        context.apicID = 5
        let core = model.leaf(0xb, 1, context)
        #expect(core == (3, 6, 2 << 8 | 1, 5))
        #expect(model.leaf(0xb, 0, context) == (0, 1, 1 << 8, 5))
        #expect(model.leaf(0xb, 2, context).ebx == 0)
        let basic = model.leaf(1, 0, context)
        #expect(basic.ebx >> 24 == 5)
        #expect((basic.ebx >> 16) & 0xff == 8)
        #expect(basic.edx >> 28 & 1 == 1)
        context.processorCount = 1
        #expect(model.leaf(1, 0, context).edx >> 28 & 1 == 0)
    }

    @Test func mirroredBits() {
        var context = CPUIDModel.Context()
        #expect(model.leaf(1, 0, context).ecx >> 27 & 1 == 0)
        #expect(model.leaf(1, 0, context).edx >> 9 & 1 == 1)
        context.hasOSXSAVE = true
        context.isAPICEnabled = false
        #expect(model.leaf(1, 0, context).ecx >> 27 & 1 == 1)
        #expect(model.leaf(1, 0, context).edx >> 9 & 1 == 0)
    }

    @Test func extendedStateIsX87AndSSE() {
        #expect(model.leaf(0xd, 0, .init()) == (3, 576, 576, 0))
        #expect(model.leaf(0xd, 2, .init()) == (0, 0, 0, 0))
    }

    @Test func leavesBeyondTheHighestReadAsTheHighest() {
        var context = CPUIDModel.Context()
        context.tscFrequency = 2_000_000_000
        #expect(model.leaf(0x17, 0, context) == (2000, 2000, 100, 0))
        #expect(model.leaf(0x8000_0009, 0, context) == model.leaf(0x16, 0, context))
        #expect(model.leaf(0x4000_0000, 0, context) == (0, 0, 0, 0))
    }

    @Test func pageTableEntries() {
        let entry = PageTableEntry(
            address: 0x1234_5678_9abc, flags: [.present, .largePage, .executeDisable])
        #expect(entry.address == 0x1234_5678_9000)
        #expect(entry.pageAddress(level: 2) == 0x1234_5660_0000)
        #expect(entry.isPresent && entry.isLargePage && entry.isExecuteDisabled && !entry.isUser)
        #expect(PageTableEntry.index(of: 0xffff_8000_0000_0000, level: 4) == 256)
        #expect(PageTableEntry.index(of: 0x3f_f000, level: 1) == 0x1ff)
    }

    @Test func names() {
        #expect(ExceptionVector.pageFault.description == "#PF")
        #expect(ExceptionVector(rawValue: 0xf3).description == "vector 243")
        #expect(ModelSpecificRegister.efer.description == "IA32_EFER")
        #expect(ModelSpecificRegister(rawValue: 0x203).description == "IA32_MTRR_PHYSMASK1")
        #expect(ModelSpecificRegister(rawValue: 0x269).description == "IA32_MTRR_FIX4K_C8000")
    }
}
