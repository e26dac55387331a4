import Testing

@testable import Boot
@testable import Machine
@testable import SoftwareCPU

@Suite struct ProfileTests {
    private static let symbols = KernelSymbols([
        (0xffff_ffff_8100_0000, Array("start; of\nit".utf8)),
        (0xffff_ffff_8100_0100, Array("idle".utf8)),
        (0xffff_ffff_8100_0200, Array("_end".utf8)),
    ])

    private func stack(
        _ address: UInt64, _ privilegeLevel: UInt8,
        _ activity: GuestSampler.Sample.Activity = .translated
    ) -> String {
        let sample = GuestSampler.Sample(
            address: address, pageTable: 0x1234000, privilegeLevel: privilegeLevel,
            activity: activity)
        return ProfilePlace(3, sample, Self.symbols).stack(Self.symbols)
    }

    @Test func aPlaceIsAStack() {
        #expect(stack(0xffff_ffff_8100_0123, 0) == "vcpu3;kernel;idle")
        #expect(stack(0xffff_ffff_8100_0123, 0, .interpreted) == "vcpu3;kernel;idle;[interpreter]")
        #expect(stack(0xffff_ffff_8100_0123, 0, .exit) == "vcpu3;kernel;idle;[exit]")
        #expect(stack(0xffff_ffff_c012_3456, 0) == "vcpu3;kernel;0xffffffffc0123000")
        #expect(stack(0x7f12_3456_789a, 3) == "vcpu3;user;space-0x1234000;0x7f1234567000")
        // A program may run at a kernel's address as far as we know.
        #expect(stack(0xffff_ffff_8100_0123, 3).hasPrefix("vcpu3;user;"))
    }

    /// In the middle of SYSCALL and SYSRET the privilege level is the other side's already.
    @Test func instructionsBelongToWhoRunsThem() {
        #expect(
            stack(0x47_b123, 0, .interpreted) == "vcpu3;user;space-0x1234000;0x47b000;[interpreter]"
        )
        #expect(stack(0xffff_ffff_8100_0123, 3, .interpreted) == "vcpu3;kernel;idle;[interpreter]")
        // Where the kernel is loaded it runs until it has page tables.
        #expect(stack(0x100_0123, 0, .interpreted) == "vcpu3;kernel;idle;[interpreter]")
        #expect(stack(0x100_0123, 0) == "vcpu3;kernel;idle")
        #expect(stack(0x47_b123, 0) == "vcpu3;kernel;0x47b000")
    }

    /// A line is its frames, a space and a number, whatever the kernel calls its functions.
    @Test func namesCannotBreakLines() {
        let line = stack(0xffff_ffff_8100_0000, 0)
        #expect(line == "vcpu3;kernel;start__of_it")
    }

    @Test func aLineForPerfIsStartSizeName() {
        #expect(
            PerfMap.line(0x7f00_1000, 0x2a, "guest:idle+0x3")
                == Array("7f001000 2a guest:idle+0x3\n".utf8))
        #expect(PerfMap.line(1, 2, "a\nb") == Array("1 2 a b\n".utf8))
    }
}
