import Glibc
import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Nanoseconds an x87 instruction takes, by loops of guest code; asserts nothing about them.
///
///     MARTLET_SPEED=1 swift test -c release -Xswiftc -enable-testing --filter X87SpeedTests
struct X87SpeedTests {
    private static var enabled: Bool { unsafe getenv("MARTLET_SPEED") != nil }

    /// The body of a loop, and what it is.
    private static let bodies: [(name: String, code: [UInt8], count: Int)] = [
        ("register arithmetic", [0xd8, 0xc1, 0xdc, 0xc9, 0xd9, 0xc9, 0xd8, 0xe1], 4),
        // fld qword [0x2000]; fadd dword [0x2008]; fmul qword [0x2000]; fstp qword [0x2010]
        (
            "memory",
            [
                0xdd, 0x06, 0x00, 0x20, 0xd8, 0x06, 0x08, 0x20, 0xdc, 0x0e, 0x00, 0x20, 0xdd, 0x1e,
                0x10, 0x20,
            ], 4
        ),
        // fld st0; fcomip st0, st1; fld st0; fnstsw ax; fstp st0
        ("compare", [0xd9, 0xc0, 0xdf, 0xf1, 0xd9, 0xc0, 0xdf, 0xe0, 0xdd, 0xd8], 5),
        // fld1; fldcw [0x2020]; fistp dword [0x2024]; fldcw [0x2022]
        (
            "truncate",
            [
                0xd9, 0xe8, 0xd9, 0x2e, 0x20, 0x20, 0xdb, 0x1e, 0x24, 0x20, 0xd9, 0x2e, 0x22, 0x20,
            ], 4
        ),
    ]

    /// `control`: 0x37f masks all exceptions, which is the fast path.
    private func seconds(
        _ body: [UInt8], rounds: UInt16, control: UInt16 = 0x37f
    ) throws -> Double {
        let memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        // fninit; fldcw [0x2018]; fld1; fldpi; mov cx, rounds; l: ...; dec cx; jnz l; hlt
        var code: [UInt8] = [0xdb, 0xe3, 0xd9, 0x2e, 0x18, 0x20, 0xd9, 0xe8, 0xd9, 0xeb, 0xb9]
        code += [UInt8(rounds & 0xff), UInt8(rounds >> 8)]
        for _ in 0..<4 { code += body }
        let length = 4 * body.count + 5
        code += [0x49, 0x0f, 0x85, UInt8(truncatingIfNeeded: -length)]
        code += [UInt8(truncatingIfNeeded: -length >> 8), 0xf4]
        #expect(memory.write(GuestPhysicalAddress(0x1000), code))
        #expect(memory.write(GuestPhysicalAddress(0x2000), integer: Double.pi.bitPattern))
        #expect(memory.write(GuestPhysicalAddress(0x2008), integer: Float(2.5).bitPattern))
        #expect(memory.write(GuestPhysicalAddress(0x2018), integer: control))
        let truncating = UInt32(control) << 16 | UInt32(control | 0xc00)
        #expect(memory.write(GuestPhysicalAddress(0x2020), integer: truncating))
        let engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in
            CPUIDResult()
        }
        var state = ArchitecturalState()
        state.cs.base = 0
        state.cs.selector = 0
        state.rip = 0x1000
        // Unlimited, as in the modes that programs run in.
        typealias Segment = ArchitecturalState.Segment
        let flat = Segment(selector: 0, base: 0, limit: 0xffff_ffff, attributes: 0xc093)
        state.ds = flat
        state.es = flat
        state.ss = flat
        engine.state = state
        let clock = ContinuousClock()
        let spent = clock.measure {
            while engine.run(budget: 1 << 40) != .halt {}
        }
        let parts = spent.components
        return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    }

    @Test(.enabled(if: enabled)) func nanoseconds() throws {
        for (name, code, count) in Self.bodies {
            let rounds: UInt16 = 50000
            let loop = try seconds(Array(repeating: 0x90, count: code.count), rounds: rounds)
            let nops = Double(4 * code.count * Int(rounds))
            func best(_ control: UInt16) throws -> Double {
                let all = try (0..<5).map { _ in
                    try seconds(code, rounds: rounds, control: control)
                }
                return (all.min() ?? 0) / Double(4 * count * Int(rounds)) * 1e9
            }
            // Invalid operation unmasked: the whole state goes in and out each time.
            let (fast, exact) = (try best(0x37f), try best(0x37e))
            print("x87 \(name): \(fast) ns, exact \(exact) ns (nop \(loop / nops * 1e9) ns)")
        }
    }
}
