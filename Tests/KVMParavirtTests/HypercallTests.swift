import TestSupport
import Testing
import VirtualCPU
import Vocabulary

@testable import KVMParavirt

@Suite struct HypercallTests {
    typealias Bench = KVMFaceTests.Bench

    private func call(
        _ number: UInt64, _ a0: UInt64 = 0, _ a1: UInt64 = 0, _ a2: UInt64 = 0, _ a3: UInt64 = 0,
        privilegeLevel: UInt8 = 0, is64Bit: Bool = true
    ) -> Hypercall {
        var frame = HypercallFrame()
        frame.rax = number
        (frame.rbx, frame.rcx, frame.rdx, frame.rsi) = (a0, a1, a2, a3)
        frame.privilegeLevel = privilegeLevel
        frame.is64Bit = is64Bit
        return Hypercall(frame)
    }

    private let caller = VCPUIndex(0)

    @Test func leavesSayWhatThereIs() {
        #expect(KVMFace.cpuid(0x4000_0001)?.eax == 0x0100_7afb)
        #expect(KVMFace.cpuid(0x4000_0001)?.edx == 0, "no hints")
    }

    @Test func aKickIsNotedAndCarriedOut() throws {
        let face = try Bench(processors: 3).face
        #expect(
            face.hypercall(call(5, 0, 2), from: caller)
                == HypercallOutcome(0, .kick(VCPUIndex(2))))
        #expect(!face.takeKick(VCPUIndex(1)))
        #expect(face.takeKick(VCPUIndex(2)))
        #expect(!face.takeKick(VCPUIndex(2)), "once")
        #expect(
            face.hypercall(call(5, .max, 0xdead_0000_0000), from: caller).effect == .kick(caller),
            "the identifier has 32 bits")
        #expect(face.takeKick(caller))
        #expect(face.metrics["hypercallsKick"] == 2)
    }

    @Test(arguments: [3, 0xff, 0xffff_ffff] as [UInt64])
    func aKickOfNobodyDoesNothing(_ identifier: UInt64) throws {
        let face = try Bench(processors: 3).face
        #expect(face.hypercall(call(5, 0, identifier), from: caller) == HypercallOutcome(0))
        for index in 0..<3 as Range<UInt32> { #expect(!face.takeKick(VCPUIndex(index))) }
    }

    @Test func aKickedVCPUStaysKickedInItsStateAndNotAfterINIT() throws {
        let (old, new) = (try Bench(), try Bench())
        _ = old.face.hypercall(call(5, 0, 1), from: caller)
        try handOver(from: old.face, to: new.face)
        #expect(new.face.takeKick(VCPUIndex(1)))
        #expect(!new.face.takeKick(VCPUIndex(0)))
        old.face.initialize(VCPUIndex(1))
        #expect(!old.face.takeKick(VCPUIndex(1)))
    }

    @Test func yieldNamesWhoIsWaitedFor() throws {
        let face = try Bench(processors: 3).face
        #expect(
            face.hypercall(call(11, 1), from: caller)
                == HypercallOutcome(0, .yield(to: VCPUIndex(1))))
        for nobody in [0, 3, .max, 1 << 32] as [UInt64] {
            #expect(face.hypercall(call(11, nobody), from: caller) == HypercallOutcome(0))
        }
        #expect(face.metrics["hypercallsYield"] == 5)
    }

    @Test func interruptsForABitmap() throws {
        let face = try Bench(processors: 200).face
        func sent(_ call: Hypercall) -> InterprocessorInterrupts? {
            guard
                case .interprocessorInterrupts(let sent) = face.hypercall(call, from: caller).effect
            else { return nil }
            return sent
        }
        #expect(
            sent(call(10, 1 << 63 | 1, 3, 7, 0xfd))
                == InterprocessorInterrupts(
                    first: 7, targets: 1 << 65 | 1 << 64 | 1 << 63 | 1, command: 0xfd))
        #expect(
            sent(call(10, .max, .max, 198, 0x400))
                == InterprocessorInterrupts(first: 198, targets: 3, command: 0x400),
            "vCPUs that are not there are left out")
        #expect(sent(call(10, .max, .max, 72, 0x41))?.targets == .max)
        #expect(sent(call(10, .max, .max, 73, 0x41))?.targets == .max >> 1)
        #expect(
            sent(call(10, 1, 1, 0, 0x41, is64Bit: false))?.targets == 0x1_0000_0001,
            "32-bit callers have 32 bits in each")
        #expect(
            sent(call(10, 0xff00_0000_0001, 1 << 40, 0xffff_0000_0000, 0x41, is64Bit: false))?
                .targets == 1)
        #expect(face.metrics["hypercallsSendInterrupts"] == 6)
        #expect(face.metrics["interruptsSentByHypercall"] == 4 + 2 + 128 + 127 + 2 + 1)
    }

    @Test func interruptsForNobodyAreZeroAndBadCommandsRefused() throws {
        let face = try Bench(processors: 4).face
        for (low, high, first) in [
            (0, 0, 0), (1, 0, 4), (.max, .max, 0xffff_ffff), (0xf0, 0, 0), (0, .max, 0),
        ] as [(UInt64, UInt64, UInt64)] {
            #expect(
                face.hypercall(call(10, low, high, first, 0x41), from: caller)
                    == HypercallOutcome(0))
        }
        for command in [0x841, 0x4_0041, 0x8_0041, 0xc_0041] as [UInt64] {
            #expect(
                face.hypercall(call(10, 1, 0, 0, command), from: caller)
                    == HypercallOutcome(UInt64(bitPattern: -22)))
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt8])
    func onlyTheKernelMayAsk(privilegeLevel: UInt8) throws {
        let face = try Bench().face
        for number in [1, 5, 10, 11, 77] as [UInt64] {
            let call = call(number, 1, 1, 0, 0x41, privilegeLevel: privilegeLevel)
            #expect(
                face.hypercall(call, from: caller) == HypercallOutcome(UInt64(bitPattern: -1)))
        }
        #expect(!face.takeKick(VCPUIndex(1)))
        #expect(face.metrics["hypercallsRefused"] == 5)
    }

    @Test func unknownNumbers() throws {
        let face = try Bench().face
        for number in [0, 2, 4, 9, 12, 0x1_0000_0005, .max] as [UInt64] {
            #expect(
                face.hypercall(call(number), from: caller)
                    == HypercallOutcome(UInt64(bitPattern: -1000)))
        }
        #expect(face.hypercall(call(1), from: caller) == HypercallOutcome(0))
        #expect(face.hypercall(call(5), from: VCPUIndex(9)).result == UInt64(bitPattern: -1000))
        // Narrow callers: the low half of number and answer.
        #expect(
            face.hypercall(call(0xabc_0000_0000 | 77, is64Bit: false), from: caller).result
                == 0xffff_fc18)
        #expect(
            face.hypercall(call(0xabc_0000_0000 | 5, 0, 1, is64Bit: false), from: caller).effect
                == .kick(VCPUIndex(1)))
    }
}
