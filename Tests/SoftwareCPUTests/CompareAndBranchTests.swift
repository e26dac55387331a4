import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// A comparison and the branch behind it have one handler, and do what they do with a NOP between them,
/// which keeps them apart.
struct CompareAndBranchTests {
    struct Comparison: Sendable, CustomTestStringConvertible {
        enum Shape: CaseIterable, Sendable {
            case registerRegister, registerImmediate, registerMemory, memoryRegister
            case memoryImmediate, registerPlain, plainRegister, plainImmediate

            /// Memory has an index.
            var isPlain: Bool {
                self == .registerPlain || self == .plainRegister || self == .plainImmediate
            }
        }

        var isTest: Bool
        var shape: Shape
        /// 0 to 3 for 8 to 64 bits.
        var width: Int
        var immediate: UInt32 = 0

        var testDescription: String { "\(isTest ? "test" : "cmp") \(shape) \(8 << width)" }

        /// Of RAX or memory at RDX, or at RDX and RCX, with RBX, memory or the immediate.
        var bytes: [UInt8] {
            var code: [UInt8] = width == 1 ? [0x66] : width == 3 ? [0x48] : []
            let wide: UInt8 = width == 0 ? 0 : 1
            let second: UInt8 = 3 << 3
            let group: UInt8 = isTest ? 0 : 7 << 3
            let opcode: UInt8 = isTest ? 0x84 : 0x38
            switch shape {
            case .registerRegister: code += [opcode | wide, 0xc0 | second]
            case .registerImmediate: code += [isTest ? 0xf6 | wide : 0x80 | wide, 0xc0 | group]
            case .registerMemory: code += [isTest ? opcode | wide : 0x3a | wide, 0x02]
            case .memoryRegister: code += [opcode | wide, second | 0x02]
            case .memoryImmediate: code += [isTest ? 0xf6 | wide : 0x80 | wide, group | 0x02]
            case .registerPlain: code += [isTest ? opcode | wide : 0x3a | wide, 0x04, 0x0a]
            case .plainRegister: code += [opcode | wide, second | 0x04, 0x0a]
            case .plainImmediate:
                code += [isTest ? 0xf6 | wide : 0x80 | wide, group | 0x04, 0x0a]
            }
            switch shape {
            case .registerImmediate, .memoryImmediate, .plainImmediate:
                let count = min(4, 1 << width)
                code += (0..<count).map { UInt8(truncatingIfNeeded: immediate >> (8 * $0)) }
            default: break
            }
            return code
        }

        /// Each condition that does not hold leaves its bit in ESI.
        func program(apart: Bool) -> [UInt8] {
            var code: [UInt8] = []
            for condition in 0..<16 as Range<UInt8> {
                let bit = UInt32(1) << UInt32(condition)
                code += bytes + (apart ? [0x90] : []) + [0x70 | condition, 6, 0x81, 0xce]
                code += (0..<4).map { UInt8(truncatingIfNeeded: bit >> (8 * $0)) }
            }
            return code + bytes + [0xf4]
        }
    }

    private static let values: [UInt64] = [
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
        0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, .max, 0x1234_5678_9abc_def0,
    ]

    private static let comparisons: [Comparison] = [false, true].flatMap { isTest in
        Comparison.Shape.allCases.flatMap { shape in
            (0..<4).map { Comparison(isTest: isTest, shape: shape, width: $0) }
        }
    }

    /// All conditions behind all comparisons: the branches taken, and the flags.
    @Test(arguments: comparisons)
    func aComparisonAndItsBranch(_ comparison: Comparison) throws {
        for immediate: UInt32 in [0, 0x80, 0x8000_0000, 0xffff_ffff] {
            var comparison = comparison
            comparison.immediate = immediate
            let machines = try [false, true].map {
                try TranslationMachine(comparison.program(apart: $0), at: 0x20_0000, .off)
            }
            for first in Self.values {
                for second in Self.values {
                    let results = machines.map { run($0, first, second, comparison) }
                    #expect(results[0] == results[1], "\(first) \(second) \(immediate)")
                }
            }
        }
    }

    private func run(
        _ machine: TranslationMachine, _ first: UInt64, _ second: UInt64, _ comparison: Comparison
    ) -> [UInt64] {
        let isLast = comparison.shape == .registerMemory || comparison.shape == .registerPlain
        machine.memory.write(GuestPhysicalAddress(0x9010), integer: isLast ? second : first)
        var state = machine.engine.state
        state.rip = 0x20_0000
        state.generalPurposeRegisters[6] = 0
        machine.engine.state = state
        let index: UInt64 = comparison.shape.isPlain ? 0x10 : 0
        machine.setRegisters([0: first, 1: index, 2: 0x9010 - index, 3: second])
        let exit = machine.engine.run(budget: 1000)
        #expect(exit == .halt)
        state = machine.engine.state
        return [state.generalPurposeRegisters[6], state.rflags]
    }
}
