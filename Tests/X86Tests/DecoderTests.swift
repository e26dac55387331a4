import Testing
import X86

/// Encodings by hand, with what the manuals say they are.
struct DecoderTests {
    private func decode(_ bytes: [UInt8], _ mode: DecodeMode = .code64) -> DecodeResult {
        unsafe bytes.withUnsafeBytes { unsafe Decoder.decode($0, mode: mode) }
    }

    private func instruction(
        _ bytes: [UInt8], _ mode: DecodeMode = .code64,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> Instruction {
        guard case .instruction(let value) = decode(bytes, mode) else {
            Issue.record("not an instruction: \(decode(bytes, mode))", sourceLocation: location)
            throw CancellationError()
        }
        return value
    }

    @Test func addressesRelativeToTheInstructionPointer() throws {
        let lea = try instruction([0x48, 0x8d, 0x05, 0x10, 0, 0, 0])
        #expect(lea.mnemonic == .lea)
        #expect(lea.length == 7)
        #expect(lea.operandSize == 8)
        #expect(lea.memory.base == MemoryOperand.instructionPointer)
        #expect(lea.memory.displacement == 0x10)
    }

    @Test func scaledIndexWithExtendedRegisters() throws {
        let mov = try instruction([0x4f, 0x8b, 0x44, 0xbd, 0xf8])
        #expect(mov.operand0 == .register(.general, 8))
        #expect(mov.memory.base == 13)
        #expect(mov.memory.index == 15)
        #expect(mov.memory.scaleShift == 2)
        #expect(mov.memory.displacement == -8)
    }

    @Test func highBytesOnlyWithoutREX() throws {
        #expect(try instruction([0x88, 0xe0]).operand1 == .register(.highByte, 0))
        #expect(try instruction([0x40, 0x88, 0xe0]).operand1 == .register(.general, 4))
    }

    @Test func mandatoryPrefixes() throws {
        #expect(try instruction([0xf3, 0x0f, 0x58, 0xc1]).mnemonic == .addss)
        #expect(try instruction([0x66, 0x0f, 0x58, 0xc1]).mnemonic == .addpd)
        #expect(try instruction([0x66, 0xf2, 0x0f, 0x58, 0xc1]).mnemonic == .addsd)
        #expect(try instruction([0xf3, 0x90]).mnemonic == .pause)
        #expect(try instruction([0x90]).mnemonic == .nop)
        #expect(try instruction([0x41, 0x90]).mnemonic == .xchg)
        #expect(try instruction([0xf3, 0x0f, 0xbc, 0xc1]).mnemonic == .bsf)
        #expect(try instruction([0xf3, 0x0f, 0x1e, 0xfa]).mnemonic == .nop)
    }

    @Test func sixteenBitAddresses() throws {
        let mov = try instruction([0x8b, 0x42, 0xfe], .code16)
        #expect(mov.operandSize == 2)
        #expect(mov.memory.base == 5)
        #expect(mov.memory.index == 6)
        #expect(mov.memory.segment == 2)
        #expect(mov.memory.displacement == -2)
    }

    @Test func refusals() {
        #expect(decode([0x0f, 0xff]) == .fault(.needMoreBytes))
        #expect(decode([0x48]) == .fault(.needMoreBytes))
        #expect(decode([UInt8](repeating: 0x66, count: 20)) == .fault(.tooLong))
        #expect(decode([0xf0, 0x01, 0xc0]) == .fault(.invalidOpcode))
        #expect(decode([0x06]) == .fault(.invalidOpcode))
        #expect(decode([0xc5, 0xf8, 0x77]) == .fault(.invalidOpcode))
    }

    @Test func branchesIgnoreTheOperandSizePrefixIn64BitCode() throws {
        let call = try instruction([0x66, 0xe8, 1, 0, 0, 0])
        #expect(call.length == 6)
        #expect(call.operandSize == 8)
    }

    @Test func anyBytesDecodeToSomething() {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        for _ in 0..<200_000 {
            var bytes: [UInt8] = []
            for _ in 0..<16 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                bytes.append(UInt8(truncatingIfNeeded: state))
            }
            for mode in [DecodeMode.code16, .code32, .code64] {
                if case .instruction(let value) = decode(bytes, mode) {
                    #expect(value.length >= 1 && value.length <= 15)
                }
            }
        }
    }
}
