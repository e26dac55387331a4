import CEngine
import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// What decoded instructions have no room for, and where blocks end.
struct DecodedBlockTests {
    private static let engines: [TranslationPolicy] = [.off, .afterRuns(1)]

    /// Relative to the instruction pointer 2 GiB and more from the start of the page, and absolute
    /// addresses of 64 bits: neither fits into a displacement of 32.
    @Test(arguments: engines)
    func operandsFarAway(_ policy: TranslationPolicy) throws {
        let code: [UInt8] = [
            0x48, 0x8b, 0x0d, 0xff, 0xff, 0xff, 0x7f,  // mov rcx, [rip+0x7fffffff]
            0x48, 0x8d, 0x1d, 0xff, 0xff, 0xff, 0x7f,  // lea rbx, [rip+0x7fffffff]
            0x48, 0xa1, 0x00, 0x00, 0x30, 0x80, 0, 0, 0, 0,  // mov rax, [0x80300000]
            0x48, 0xa3, 0x08, 0x00, 0x30, 0x80, 0, 0, 0, 0,  // mov [0x80300008], rax
            0xff, 0xcf,  // dec edi
            0x75, 0xda,  // jnz start
            0xf4,  // hlt
        ]
        let machine = try TranslationMachine(code, at: 0x20_0f00, policy)
        // The third gigabyte is the first.
        machine.memory.write(GuestPhysicalAddress(0x11010), integer: 0x12007 as UInt64)
        machine.memory.write(
            GuestPhysicalAddress(0x30_0000), integer: 0x1122_3344_5566_7788 as UInt64)
        machine.setRegisters([7: 3])
        #expect(machine.engine.run(budget: 1000) == .halt)
        let registers = machine.engine.state.generalPurposeRegisters
        #expect(registers[0] == 0x1122_3344_5566_7788)
        #expect(registers[1] == 0x7fff_ffff_1d8d_487f)
        #expect(registers[3] == 0x8020_0f0d)
        let stored = machine.memory.read(GuestPhysicalAddress(0x30_0008), as: UInt64.self)
        #expect(stored == 0x1122_3344_5566_7788)
    }

    /// The last instruction of the longest block writes to its own page: what stands behind it goes on
    /// behind it.
    @Test(arguments: engines)
    func theEndOfABlockThatIsDropped(_ policy: TranslationPolicy) throws {
        let nops = [UInt8](repeating: 0x90, count: CodeArena.longestBlock - 1)
        // mov [rsi], al; inc ebx; hlt
        let machine = try TranslationMachine(
            nops + [0x88, 0x06, 0xff, 0xc3, 0xf4], at: 0x20_0e00, policy)
        machine.setRegisters([3: 0, 6: 0x20_0ff0])
        #expect(machine.engine.run(budget: 1000) == .halt)
        #expect(machine.engine.state.generalPurposeRegisters[3] == 1)
        #expect(machine.engine.statistics.instructionsRetired == 50)
    }

    /// A conditional branch at the end of a page leads to the next one if it is not taken, and back if it
    /// is: every third round.
    @Test(arguments: engines)
    func aBranchEndsThePage(_ policy: TranslationPolicy) throws {
        // 0x200ff8: dec edx; cmp edx, 1; nop; js 0x200f00
        let branch: [UInt8] = [0xff, 0xca, 0x83, 0xfa, 0x01, 0x90, 0x78, 0x00]
        // 0x201000: inc ebx; dec ecx; jnz 0x200ff8; hlt
        let behind: [UInt8] = [0xff, 0xc3, 0xff, 0xc9, 0x75, 0xf2, 0xf4]
        let machine = try TranslationMachine(branch + behind, at: 0x20_0ff8, policy)
        // js goes on at 0x201000 + 0x80 - 0x100.
        machine.memory.write(GuestPhysicalAddress(0x20_0fff), [0x80])
        // 0x200f80: mov edx, 3; add esi, ebx; jmp 0x201000
        machine.memory.write(
            GuestPhysicalAddress(0x20_0f80), [0xba, 3, 0, 0, 0, 0x01, 0xde, 0xeb, 0x77])
        machine.setRegisters([1: 30, 2: 3, 3: 0, 6: 0])
        #expect(machine.engine.run(budget: 1000) == .halt)
        let registers = machine.engine.state.generalPurposeRegisters
        #expect(registers[3] == 30)
        // In rounds 3, 6, ... 30, before each is counted: 2 + 5 + ... + 29.
        #expect(registers[6] == 155)
    }

    @Test func headersKeepWhatTheySay() {
        let header = UnsafeMutablePointer<DecodedInstruction>.allocate(capacity: 1)
        defer { unsafe header.deallocate() }
        unsafe header.initialize(to: .empty)
        for physical: UInt64 in [0, 0xfff, 0x1_2345_6789, 0x3fff_ffff_fabc, 0xffff_ffff_ffff] {
            unsafe header.physical = physical
            #expect(unsafe header.physical == physical)
            #expect(unsafe header.pointee.pageOffset == UInt16(physical & 0xfff))
        }
        unsafe header.mode = BlockMode.code64 | BlockMode.wideVectors
        unsafe header.pointee.instructionCount = CodeArena.longestBlock
        #expect(unsafe header.mode == BlockMode.code64 | BlockMode.wideVectors)
        #expect(unsafe header.pointee.instructionCount == CodeArena.longestBlock)
        #expect(unsafe header.physical == 0xffff_ffff_ffff)
        #expect(unsafe Int(header.pointee.flags) & INSTRUCTION_END == 0)
    }
}
