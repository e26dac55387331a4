import CEngine
import Testing
import X86

@testable import SoftwareCPU

/// FXSAVE, XSAVE and their kind.
@Suite struct VectorStateTests {
    private let bench = VectorBench()

    private var address: UInt64 { UInt64(UInt(bitPattern: unsafe bench.page)) }
    private var fault: UInt8? {
        unsafe bench.cpu.pointee.leaveReason == LeaveReason.fault
            ? unsafe bench.cpu.pointee.faultVector : nil
    }

    private func run(
        _ mnemonic: Mnemonic, wide: Bool = false, at offset: UInt64 = 0, mask: UInt64 = 3
    ) -> Bool {
        unsafe bench.cpu.setGPR(GPR.rax, mask & 0xffff_ffff)
        unsafe bench.cpu.setGPR(GPR.rdx, mask >> 32)
        var instruction = VectorInstruction(mnemonic: mnemonic, first: .memory(byteCount: 0))
        instruction.wide = wide
        return bench.run(instruction, address: address + offset)
    }

    private func byte(_ offset: Int) -> UInt8 {
        unsafe bench.page.load(fromByteOffset: offset, as: UInt8.self)
    }

    private func word(_ offset: Int) -> UInt64 {
        unsafe bench.page.load(fromByteOffset: offset, as: UInt64.self)
    }

    private func setWord(_ offset: Int, _ value: UInt64) {
        unsafe bench.page.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }

    private func fillPage(_ value: UInt8) {
        unsafe bench.page.initializeMemory(as: UInt8.self, repeating: value, count: 4096)
    }

    /// XMM n: n + 1 in the low half, n + 101 in the high half. R n: significand n + 1.
    private func fillRegisters() {
        for index in 0..<16 {
            let low = Int(Layout.xmm(index))
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64(index + 1), toByteOffset: low, as: UInt64.self)
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64(index + 101), toByteOffset: low + 8, as: UInt64.self)
        }
        for index in 0..<8 {
            let offset = Int(Layout.st) + index * 16
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64(index + 1), toByteOffset: offset, as: UInt64.self)
        }
        unsafe bench.cpu.pointee.x87Status = 3 << 11
        unsafe bench.cpu.pointee.x87Tags = 0xa5
        unsafe bench.cpu.pointee.x87Opcode = 0x123
        unsafe bench.cpu.pointee.x87InstructionPointer = 0x1234_5678_9abc_def0
        unsafe bench.cpu.pointee.x87DataPointer = 0x0fed_cba9_8765_4321
        unsafe bench.cpu.pointee.x87InstructionSelector = 0x33
        unsafe bench.cpu.pointee.x87DataSelector = 0x2b
        unsafe bench.cpu.pointee.mxcsr = 0x3f9f
    }

    @Test func legacyImage() {
        fillRegisters()
        fillPage(0xee)
        #expect(run(.fxsave, wide: true))
        #expect(word(0) == 0x0123_00a5_1800_037f)
        #expect(word(8) == 0x1234_5678_9abc_def0)
        #expect(word(16) == 0x0fed_cba9_8765_4321)
        #expect(word(24) == 0x0000_ffff_0000_3f9f)
        // Stack order: ST(0) is R3.
        #expect((0..<8).map { word(32 + $0 * 16) } == [4, 5, 6, 7, 8, 1, 2, 3])
        #expect((0..<16).map { word(160 + $0 * 16) } == (1...16).map { UInt64($0) })
        #expect((416..<512).allSatisfy { byte($0) == 0xee })
        #expect(run(.fxsave))
        #expect(word(8) == 0x0000_0033_9abc_def0)
        #expect(word(16) == 0x0000_002b_8765_4321)
    }

    @Test func legacyImageOutside64BitCode() {
        fillRegisters()
        fillPage(0xee)
        unsafe bench.cpu.pointee.blockMode = BlockMode.code32 | BlockMode.flat
        #expect(run(.fxsave))
        #expect(word(160 + 7 * 16) == 8)
        #expect((288..<512).allSatisfy { byte($0) == 0xee })
    }

    @Test func legacyRoundTrip() {
        fillRegisters()
        #expect(run(.fxsave, wide: true))
        unsafe initializeX87(bench.cpu)
        unsafe bench.cpu.pointee.mxcsr = 0x1f80
        for index in 0..<16 {
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64.max, toByteOffset: Int(Layout.xmm(index)), as: UInt64.self)
        }
        #expect(run(.fxrstor, wide: true))
        let first = (0..<52).map { word($0 * 8) }
        #expect(run(.fxsave, wide: true, at: 1024))
        #expect((0..<52).map { word(1024 + $0 * 8) } == first)
    }

    @Test func legacyFaults() {
        fillRegisters()
        #expect(!run(.fxsave, at: 8))
        #expect(fault == Vector.generalProtection)
        #expect(!run(.fxrstor, at: 8))
        #expect(fault == Vector.generalProtection)
        #expect(run(.fxsave))
        setWord(24, 0x1_1f80)
        unsafe bench.cpu.pointee.x87Tags = 0x11
        #expect(!run(.fxrstor))
        #expect(fault == Vector.generalProtection)
        #expect(unsafe bench.cpu.pointee.x87Tags == 0x11)
        setWord(0, 0x1_ffff_0000)
        #expect(!run(.ldmxcsr, at: 2))
        #expect(fault == Vector.generalProtection)
    }

    @Test func standardFormatMergesItsHeader() {
        fillPage(0xee)
        setWord(512, 0x104)
        // Everything but MXCSR is in its initial state; XSAVE writes the components all the same.
        unsafe bench.cpu.pointee.mxcsr = 0x1fa0
        #expect(run(.xsave, wide: true))
        #expect(word(512) == 0x104)
        #expect(word(520) == 0xeeee_eeee_eeee_eeee)
        #expect(word(0) == 0x37f)
        #expect(word(24) == 0xffff_0000_1fa0)
        #expect(word(160) == 0)
        fillRegisters()
        setWord(512, 0x104)
        #expect(run(.xsave, wide: true))
        #expect(word(512) == 0x107)
        #expect(word(160) == 1)
    }

    @Test func optimizedSaveSkipsInitialComponents() {
        fillPage(0xee)
        setWord(512, 3)
        #expect(run(.xsaveopt))
        #expect(word(512) == 0)
        #expect(word(0) == 0xeeee_eeee_eeee_eeee)
        #expect(word(24) == 0xffff_0000_1f80)
        #expect(word(160) == 0xeeee_eeee_eeee_eeee)
    }

    @Test func requestLimitsWhatIsSaved() {
        fillRegisters()
        fillPage(0xee)
        setWord(512, 0)
        #expect(run(.xsave, mask: 1))
        #expect(word(512) == 1)
        #expect(word(24) == 0xeeee_eeee_eeee_eeee)
        #expect(word(160) == 0xeeee_eeee_eeee_eeee)
        #expect(word(32) == 4)
    }

    @Test func compactedFormat() {
        fillPage(0xee)
        #expect(run(.xsavec))
        #expect(word(512) == 0)
        #expect(word(520) == UInt64(1) << 63 | 3)
        #expect(word(24) == 0xeeee_eeee_eeee_eeee)
        // MXCSR alone makes the SSE component worth saving.
        unsafe bench.cpu.pointee.mxcsr = 0x1fa0
        #expect(run(.xsavec))
        #expect(word(512) == 2)
        #expect(word(24) == 0xffff_0000_1fa0)
    }

    @Test(arguments: [Mnemonic.xsave, .xsavec, .xsaveopt, .xsaves])
    func extendedRoundTrip(_ mnemonic: Mnemonic) {
        fillRegisters()
        #expect(run(mnemonic, wide: true))
        unsafe initializeX87(bench.cpu)
        unsafe bench.cpu.pointee.mxcsr = 0x1f80
        for index in 0..<16 {
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64.max, toByteOffset: Int(Layout.xmm(index)), as: UInt64.self)
        }
        #expect(run(.xrstor, wide: true))
        #expect(unsafe bench.cpu.pointee.mxcsr == 0x3f9f)
        #expect(unsafe bench.cpu.pointee.x87Tags == 0xa5)
        #expect(run(.fxsave, wide: true, at: 1024))
        #expect((0..<52).map { word(1024 + $0 * 8) } == (0..<52).map { word($0 * 8) })
    }

    @Test func restoreInitializesWhatIsAbsent() {
        fillRegisters()
        setWord(24, 0x1f80)
        #expect(run(.xrstor, mask: 2))
        #expect(unsafe isZero(bench.cpu.bytes + Int(Layout.xmm), 256))
        #expect(unsafe bench.cpu.pointee.x87Tags == 0xa5)
        #expect(unsafe bench.cpu.pointee.mxcsr == 0x1f80)
        #expect(run(.xrstor, mask: 1))
        #expect(unsafe componentsInUse(bench.cpu) == 0)
    }

    @Test func restoreRefusesBadHeaders() {
        let bad: [(String, [(Int, UInt64)])] = [
            ("XSTATE_BV outside XCR0", [(512, 4)]),
            ("reserved bytes", [(528, 1)]),
            ("XCOMP_BV without its top bit", [(520, 3)]),
            ("XCOMP_BV outside XCR0", [(520, 1 << 63 | 7)]),
            ("XSTATE_BV outside XCOMP_BV", [(520, 1 << 63 | 1), (512, 2)]),
            ("compacted, reserved bytes", [(520, 1 << 63 | 3), (568, 1)]),
            ("MXCSR", [(24, 0x1_0000)]),
        ]
        for (name, words) in bad {
            fillPage(0)
            fillRegisters()
            setWord(24, 0x1f80)
            for (offset, value) in words { setWord(offset, value) }
            #expect(!run(.xrstor), "\(name)")
            #expect(fault == Vector.generalProtection, "\(name)")
            #expect(unsafe bench.cpu.pointee.mxcsr == 0x3f9f, "\(name)")
            #expect(unsafe bench.cpu.pointee.x87Tags == 0xa5, "\(name)")
        }
    }

    @Test func extendedStateFaults() {
        #expect(!run(.xsave, at: 16))
        #expect(fault == Vector.generalProtection)
        unsafe bench.cpu.pointee.cr0 = 8
        #expect(!run(.xsave))
        #expect(fault == Vector.deviceNotAvailable)
        unsafe bench.cpu.pointee.cr0 = 0
        unsafe bench.cpu.pointee.currentPrivilegeLevel = 3
        #expect(run(.xsave))
        #expect(!run(.xsaves))
        #expect(fault == Vector.generalProtection)
        unsafe bench.cpu.pointee.cr4 &= ~(1 << 18)
        for mnemonic in [Mnemonic.xsave, .xrstor, .xgetbv, .xsetbv] {
            #expect(!run(mnemonic))
            #expect(fault == Vector.invalidOpcode)
        }
    }

    @Test func extendedControlRegister() {
        unsafe bench.cpu.setGPR(GPR.rcx, 0)
        #expect(run(.xgetbv))
        #expect(unsafe bench.cpu.gpr(GPR.rax) == 3)
        #expect(unsafe bench.cpu.gpr(GPR.rdx) == 0)
        #expect(run(.xsetbv, mask: 1))
        #expect(unsafe bench.cpu.pointee.xcr0 == 1)
        for value: UInt64 in [0, 2, 5, 1 << 8 | 3, 1 << 63 | 3] {
            #expect(!run(.xsetbv, mask: value))
            #expect(fault == Vector.generalProtection)
        }
        unsafe bench.cpu.setGPR(GPR.rcx, 1)
        #expect(!run(.xsetbv, mask: 3))
        unsafe bench.cpu.setGPR(GPR.rcx, 0)
        unsafe bench.cpu.pointee.currentPrivilegeLevel = 3
        #expect(!run(.xsetbv, mask: 3))
        #expect(fault == Vector.generalProtection)
        #expect(unsafe bench.cpu.pointee.xcr0 == 1)
    }

    // MARK: AVX

    /// Upper half of register n: n + 201 and n + 301.
    private func fillUpper() {
        unsafe bench.cpu.pointee.xcr0 = 7
        unsafe bench.cpu.pointee.extendedStates = 7
        for index in 0..<16 {
            let offset = Int(Layout.upper(index))
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64(index + 201), toByteOffset: offset, as: UInt64.self)
            unsafe bench.cpu.bytes.storeBytes(
                of: UInt64(index + 301), toByteOffset: offset + 8, as: UInt64.self)
        }
    }

    private var upperIsClear: Bool {
        unsafe isZero(UnsafeRawPointer(bench.cpu.bytes + Int(Layout.upper(0))), 256)
    }

    @Test func upperHalvesInTheStandardFormat() {
        fillRegisters()
        fillUpper()
        fillPage(0xee)
        setWord(512, 0)
        #expect(run(.xsave, wide: true, mask: 7))
        #expect(word(512) == 7)
        #expect((0..<16).map { word(576 + $0 * 16) } == (201...216).map { UInt64($0) })
        #expect(word(576 + 15 * 16 + 8) == 316)
        #expect(byte(832) == 0xee)
        // Clear ones are in their initial configuration: XSAVEOPT leaves them out.
        unsafe _ = zeroUpper(bench.cpu, bench.op)
        setWord(512, 7)
        #expect(run(.xsaveopt, mask: 7))
        #expect(word(512) == 3)
        #expect(word(576) == 201)
    }

    @Test func upperHalvesInTheCompactedFormat() {
        fillUpper()
        fillPage(0xee)
        #expect(run(.xsavec, mask: 5))
        #expect(word(512) == 4)
        #expect(word(520) == UInt64(1) << 63 | 5)
        #expect(word(576) == 201)
        #expect(word(160) == 0xeeee_eeee_eeee_eeee)
        for offset in stride(from: 528, to: 576, by: 8) { setWord(offset, 0) }
        unsafe _ = zeroUpper(bench.cpu, bench.op)
        #expect(run(.xrstor, wide: true, mask: 4))
        #expect(unsafe bench.cpu.read(Layout.upper(15), as: Vector128.self).high == 316)
        // Absent: initialised.
        setWord(512, 0)
        #expect(run(.xrstor, mask: 4))
        #expect(upperIsClear)
    }

    /// Only the first eight registers exist.
    @Test func upperHalvesOutside64BitCode() {
        fillUpper()
        fillPage(0xee)
        unsafe bench.cpu.pointee.blockMode = BlockMode.code32 | BlockMode.flat
        setWord(512, 0)
        #expect(run(.xsave, mask: 4))
        #expect(word(576 + 7 * 16) == 208)
        #expect(word(576 + 8 * 16) == 0xeeee_eeee_eeee_eeee)
    }

    @Test func controlRegisterNeedsSSEForAVX() {
        fillUpper()
        unsafe bench.cpu.setGPR(GPR.rcx, 0)
        for value: UInt64 in [4, 5, 6, 0xf] { #expect(!run(.xsetbv, mask: value)) }
        #expect(run(.xsetbv, mask: 7))
        #expect(unsafe bench.cpu.pointee.xcr0 == 7)
        // ECX 1: what is in use.
        unsafe bench.cpu.setGPR(GPR.rcx, 1)
        #expect(run(.xgetbv))
        #expect(unsafe bench.cpu.gpr(GPR.rax) == 4)
        unsafe bench.cpu.setGPR(GPR.rcx, 0)
    }
}
