import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// INVLPG beside and within pages of 2 MiB.
struct LargePageTests {
    /// 2 MiB at 0xa0_0000, and 4 KiB at 0x80_9000 that leads to 0x20_9000.
    private func engine(
        _ code: [UInt8], _ policy: TranslationPolicy
    ) throws -> (SoftwareEngine, GuestMemory) {
        let (engine, memory) = try TranslationTests().engine(code, at: 0x1000, policy)
        for (address, value) in [
            (0x12020, 0x13003), (0x13048, 0x20_9003), (0x12028, 0x20_0083), (0x20_9000, 0xa),
        ] as [(UInt64, UInt64)] {
            memory.write(GuestPhysicalAddress(address), integer: value)
        }
        var state = engine.state
        state.generalPurposeRegisters[6] = 0x80_9000
        state.generalPurposeRegisters[7] = 0xa0_0000
        engine.state = state
        return (engine, memory)
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func aSmallPageGoesAlone(_ policy: TranslationPolicy) throws {
        // mov ecx, 1000; top: mov eax,[rdi]; mov edx,[rdi+0x3000]; invlpg [rsi]; dec ecx; jnz top; hlt
        let code: [UInt8] = [
            0xb9, 0xe8, 3, 0, 0, 0x8b, 0x07, 0x8b, 0x97, 0, 0x30, 0, 0, 0x0f, 0x01, 0x3e,
            0xff, 0xc9, 0x75, 0xf1, 0xf4,
        ]
        let (engine, _) = try engine(code, policy)
        #expect(engine.run(budget: 100_000) == .halt)
        #expect(engine.statistics.tlbMisses < 20)
    }

    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func aLargePageGoesWhole(_ policy: TranslationPolicy) throws {
        // mov eax,[rdi+0x9000]; mov dword [0x12028], 0x400083; invlpg [rdi+0x1ff000]
        // mov edx,[rdi+0x9000]; hlt
        let code: [UInt8] = [
            0x8b, 0x87, 0, 0x90, 0, 0, 0xc7, 0x04, 0x25, 0x28, 0x20, 0x01, 0, 0x83, 0, 0x40, 0,
            0x0f, 0x01, 0xbf, 0, 0xf0, 0x1f, 0, 0x8b, 0x97, 0, 0x90, 0, 0, 0xf4,
        ]
        let (engine, memory) = try engine(code, policy)
        memory.write(GuestPhysicalAddress(0x40_9000), integer: 0xb as UInt64)
        #expect(engine.run(budget: 1000) == .halt)
        #expect(engine.state.generalPurposeRegisters[0] == 0xa)
        #expect(engine.state.generalPurposeRegisters[2] == 0xb)
    }

    /// Code in a small page of 2 MiB that were one page for data before.
    @Test(arguments: [TranslationPolicy.off, .afterRuns(1)])
    func codeGoesWhereDataWasLarge(_ policy: TranslationPolicy) throws {
        // mov eax,[rdi]; mov dword [0x12028], 0x14003; invlpg [rdi]; call rdi
        // mov dword [0x14000], 0x20a003; invlpg [rdi]; call rdi; hlt
        let code: [UInt8] = [
            0x8b, 0x07, 0xc7, 0x04, 0x25, 0x28, 0x20, 0x01, 0, 0x03, 0x40, 0x01, 0,
            0x0f, 0x01, 0x3f, 0xff, 0xd7,
            0xc7, 0x04, 0x25, 0, 0x40, 0x01, 0, 0x03, 0xa0, 0x20, 0,
            0x0f, 0x01, 0x3f, 0xff, 0xd7, 0xf4,
        ]
        let (engine, memory) = try engine(code, policy)
        memory.write(GuestPhysicalAddress(0x14000), integer: 0x20_9003 as UInt64)
        // inc ebx; ret; and inc edx; ret
        memory.write(GuestPhysicalAddress(0x20_9000), [0xff, 0xc3, 0xc3])
        memory.write(GuestPhysicalAddress(0x20_a000), [0xff, 0xc2, 0xc3])
        #expect(engine.run(budget: 1000) == .halt)
        #expect(engine.state.generalPurposeRegisters[3] == 1)
        #expect(engine.state.generalPurposeRegisters[2] == 1)
    }

    @Test func regionsAreKnownByHalf() {
        var pages = LargePages()
        #expect(pages.shift(around: 0xffff_8880_0000_0000) == 12)
        for region in 0..<UInt64(512) {
            pages.note(
                0xffff_8880_0000_0000 + region << 21, shift: 21, fetched: region == 3)
        }
        #expect(pages.shift(around: 0xffff_8880_3fff_f000) == 21)
        #expect(pages.holdCode(around: 0xffff_8880_007f_f000))
        #expect(pages.shift(around: 0x7fff_0000_0000) == 12)
        // Pages of 1 GiB, and of 4 MiB in 32-bit code, are not told apart by region.
        pages.note(0x4000_0000, shift: 30, fetched: false)
        #expect(pages.shift(around: 0x7000_0000) == 30)
    }
}
