import CEngine
import Testing
import X86

@testable import SoftwareCPU

/// Faults of vector instructions: alignment, floating-point exceptions, control bits.
@Suite struct VectorExceptionTests {
    private let bench = VectorBench()

    private var address: UInt64 { UInt64(UInt(bitPattern: unsafe bench.page)) }

    private func setVector(_ index: Int, _ lanes: [Float]) {
        for (lane, value) in lanes.enumerated() {
            unsafe bench.cpu.bytes.storeBytes(
                of: value, toByteOffset: Int(Layout.xmm(index)) + lane * 4, as: Float.self)
        }
    }

    private func vector(_ index: Int) -> [Float] {
        (0..<4).map { lane in
            unsafe bench.cpu.bytes.load(
                fromByteOffset: Int(Layout.xmm(index)) + lane * 4, as: Float.self)
        }
    }

    private func registers(_ mnemonic: Mnemonic) -> VectorInstruction {
        VectorInstruction(mnemonic: mnemonic, first: .vector(1), second: .vector(2))
    }

    private func loads(_ mnemonic: Mnemonic, _ byteCount: Int = 16) -> VectorInstruction {
        VectorInstruction(
            mnemonic: mnemonic, first: .vector(1), second: .memory(byteCount: byteCount))
    }

    private var fault: UInt8? {
        unsafe bench.cpu.pointee.leaveReason == LeaveReason.fault
            ? unsafe bench.cpu.pointee.faultVector : nil
    }

    @Test(arguments: [
        Mnemonic.movaps, .addps, .paddb, .pshufb, .cvtdq2ps, .pblendvb, .ptest, .haddpd,
    ])
    func unalignedOperandRaisesGeneralProtection(_ mnemonic: Mnemonic) {
        #expect(!bench.run(loads(mnemonic), address: address + 8))
        #expect(fault == Vector.generalProtection)
        #expect(unsafe bench.cpu.pointee.faultHasErrorCode == 1)
        #expect(unsafe bench.cpu.pointee.faultErrorCode == 0)
        #expect(bench.run(loads(mnemonic), address: address + 16))
    }

    @Test(arguments: [
        (Mnemonic.movups, 16), (.movdqu, 16), (.lddqu, 16), (.addss, 4), (.cvtps2pd, 8),
        (.pmovsxbw, 8), (.pcmpistri, 16), (.movddup, 8),
    ])
    func operandsOfAnyAlignment(_ mnemonic: Mnemonic, _ byteCount: Int) {
        #expect(bench.run(loads(mnemonic, byteCount), address: address + 1))
    }

    @Test func unmaskedDivideByZero() {
        unsafe bench.cpu.pointee.mxcsr = 0x1f80 & ~(1 << 9)
        // Lane 1 is inexact: found after lane 0 has already stopped the instruction.
        setVector(1, [1, 1, 4, 4])
        setVector(2, [0, 3, 2, 2])
        #expect(!bench.run(registers(.divps), address: address))
        #expect(fault == Vector.simdFloatingPoint)
        #expect(vector(1) == [1, 1, 4, 4])
        #expect(unsafe bench.cpu.pointee.mxcsr & 0x3f == 1 << 2)
    }

    @Test func unmaskedExceptionThatDoesNotHappen() {
        unsafe bench.cpu.pointee.mxcsr = 0x1f80 & ~(1 << 9)
        setVector(1, [1, 1, 4, 4])
        setVector(2, [1, 3, 2, 2])
        #expect(bench.run(registers(.divps), address: address))
        #expect(vector(1) == [1, 1 / 3, 2, 2])
        #expect(unsafe bench.cpu.pointee.mxcsr & 0x3f == 1 << 5)
    }

    @Test func withoutReportingItIsAnInvalidOpcode() {
        unsafe bench.cpu.pointee.mxcsr = 0x1f80 & ~(1 << 7)
        unsafe bench.cpu.pointee.cr4 = 1 << 9
        setVector(1, [.signalingNaN, 0, 0, 0])
        #expect(!bench.run(registers(.addss), address: address))
        #expect(fault == Vector.invalidOpcode)
        #expect(unsafe bench.cpu.pointee.mxcsr & 0x3f == 1)
    }

    @Test func unmaskedUnderflowReportsExactDenormals() {
        setVector(1, [.leastNormalMagnitude, 0, 0, 0])
        setVector(2, [0.5, 0, 0, 0])
        #expect(bench.run(registers(.mulss), address: address))
        #expect(unsafe bench.cpu.pointee.mxcsr & 0x3f == 0)
        #expect(vector(1)[0] == .leastNormalMagnitude / 2)
        setVector(1, [.leastNormalMagnitude, 0, 0, 0])
        unsafe bench.cpu.pointee.mxcsr = 0x1f80 & ~(1 << 11)
        #expect(!bench.run(registers(.mulss), address: address))
        #expect(fault == Vector.simdFloatingPoint)
        #expect(vector(1)[0] == .leastNormalMagnitude)
        #expect(unsafe bench.cpu.pointee.mxcsr & 0x3f == 1 << 4)
    }

    @Test func comparisonThatFaultsLeavesFlags() {
        unsafe bench.cpu.pointee.mxcsr = 0x1f80 & ~(1 << 7)
        unsafe bench.cpu.pointee.statusFlags = 0x4200
        setVector(1, [.nan, 0, 0, 0])
        #expect(!bench.run(registers(.comiss), address: address))
        #expect(unsafe bench.cpu.pointee.statusFlags == 0x4200)
        // UCOMISS takes quiet NaNs.
        #expect(bench.run(registers(.ucomiss), address: address))
        #expect(unsafe bench.cpu.pointee.statusFlags == 0x4700)
    }

    @Test func stickyFlagsStayOfTheGuest() {
        let own = vector_host_mxcsr()
        setVector(1, [1, 0, 0, 0])
        setVector(2, [3, 0, 0, 0])
        #expect(bench.run(registers(.divss), address: address))
        #expect(unsafe bench.cpu.pointee.mxcsr == 0x1fa0)
        #expect(vector_host_mxcsr() == own)
        #expect(bench.run(registers(.movaps), address: address))
        #expect(unsafe bench.cpu.pointee.mxcsr == 0x1fa0)
    }

    @Test func pendingX87ExceptionStopsMMX() {
        unsafe bench.cpu.pointee.x87Status = 0x3880
        let instruction = VectorInstruction(mnemonic: .paddb, first: .mmx(1), second: .mmx(2))
        #expect(!bench.run(instruction, address: address))
        #expect(fault == Vector.floatingPoint)
        #expect(unsafe bench.cpu.pointee.x87Status == 0x3880)
        #expect(unsafe bench.cpu.pointee.x87Tags == 0)
    }

    @Test func controlBitsForbid() {
        let vector = registers(.paddb)
        let mmx = VectorInstruction(mnemonic: .paddb, first: .mmx(1), second: .mmx(2))
        let save = VectorInstruction(mnemonic: .fxsave, first: .memory(byteCount: 512))
        let count = VectorInstruction(
            mnemonic: .popcnt, first: .general(0, byteCount: 4), second: .general(3, byteCount: 4))
        let noDevice = Vector.deviceNotAvailable
        let invalid = Vector.invalidOpcode
        let expected: [(VectorAvailability, [UInt8?])] = [
            (.available, [nil, nil, nil, nil]),
            (.taskSwitched, [noDevice, noDevice, noDevice, nil]),
            (.emulation, [invalid, invalid, noDevice, nil]),
            (.withoutVectors, [invalid, nil, nil, nil]),
            ([.withoutVectors, .taskSwitched], [invalid, noDevice, noDevice, nil]),
        ]
        for (availability, vectors) in expected {
            let found = [vector, mmx, save, count].map { refusal(of: $0, availability) }
            #expect(found == vectors, "\(availability)")
        }
    }

    private func refusal(
        of instruction: VectorInstruction, _ availability: VectorAvailability
    ) -> UInt8? {
        unsafe bench.cpu.setGPR(GPR.rsi, address)
        unsafe bench.op.pointee.base = Slot.gpr(GPR.rsi)
        unsafe bench.op.pointee.index = Slot.zero
        unsafe bench.op.pointee.segmentBase = Slot.zero
        var lowered = unsafe bench.op.pointee
        let known = unsafe VectorLowering.lower(
            instruction, into: &lowered, availability: availability)
        #expect(known)
        unsafe bench.op.pointee = lowered
        unsafe bench.cpu.pointee.leaveReason = LeaveReason.none
        _ = unsafe lowered.handler(bench.cpu, bench.op)
        return fault
    }
}
