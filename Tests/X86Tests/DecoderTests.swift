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
        #expect(try instruction([0xf3, 0x0f, 0xbc, 0xc1]).mnemonic == .tzcnt)
        #expect(try instruction([0xf3, 0x0f, 0xbd, 0xc1]).mnemonic == .lzcnt)
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
        // RDRAND after F3 or F2, which the processor takes for SENDUIPI or for nothing.
        #expect(decode([0xf3, 0x0f, 0xc7, 0xf0]) == .fault(.invalidOpcode))
        #expect(decode([0x66, 0xf2, 0x0f, 0xc7, 0xf0]) == .fault(.invalidOpcode))
    }

    /// The same bytes for a model without what `version3` adds.
    @Test func featuresThatAModelLacks() {
        func mnemonic(_ bytes: [UInt8]) -> Mnemonic? {
            let result = unsafe bytes.withUnsafeBytes {
                unsafe Decoder.decode($0, mode: .code64, features: .base)
            }
            guard case .instruction(let instruction) = result else { return nil }
            return instruction.mnemonic
        }
        #expect(mnemonic([0xf3, 0x0f, 0xbc, 0xc1]) == .bsf)
        #expect(mnemonic([0xf3, 0x0f, 0xbd, 0xc1]) == .bsr)
        for bytes: [UInt8] in [
            [0x0f, 0x38, 0xf0, 0x00], [0x66, 0x0f, 0x38, 0xf6, 0xc1], [0x0f, 0x38, 0xc8, 0xc1],
            [0xc5, 0xf8, 0x77], [0xc4, 0xe2, 0x70, 0xf2, 0xc2], [0xc4, 0xe2, 0x71, 0x98, 0xc2],
        ] {
            #expect(mnemonic(bytes) == nil)
        }
    }

    /// What VEX forbids (SDM volume 2, 2.3.2 and table 2-14).
    @Test func prefixesAndFieldsOfVEX() throws {
        let add = try instruction([0xc5, 0xec, 0x58, 0xcb])
        #expect(add.mnemonic == .vaddps && add.vectorByteCount == 32 && add.length == 4)
        #expect(add.operand0 == .register(.ymm, 1) && add.operand1 == .register(.ymm, 2))
        #expect(add.operand2 == .register(.ymm, 3))
        for prefix: UInt8 in [0x66, 0xf2, 0xf3, 0xf0, 0x48] {
            #expect(decode([prefix, 0xc5, 0xec, 0x58, 0xcb]) == .fault(.invalidOpcode))
        }
        #expect(try instruction([0x65, 0x67, 0xc5, 0xec, 0x58, 0x0b]).addressSize == 4)
        // VEX.vvvv where there is no such operand; a map that is none; ANDN with L.
        #expect(decode([0xc5, 0xe8, 0x28, 0xcb]) == .fault(.invalidOpcode))
        #expect(decode([0xc4, 0xe4, 0x68, 0x58, 0xcb]) == .fault(.invalidOpcode))
        #expect(decode([0xc4, 0xe2, 0x74, 0xf2, 0xc2]) == .fault(.invalidOpcode))
        // Outside 64-bit code with a memory operand: LES and LDS. VEX.B does not count there.
        #expect(try instruction([0xc4, 0x00], .code32).mnemonic == .les)
        #expect(try instruction([0xc5, 0x00], .code16).mnemonic == .lds)
        let narrow = try instruction([0xc4, 0xc1, 0x28, 0x58, 0xcb], .code32)
        #expect(narrow.operand1 == .register(.xmm, 2) && narrow.operand2 == .register(.xmm, 3))
        // Gathers whose registers are not three, and without a SIB byte.
        #expect(try instruction([0xc4, 0xe2, 0x69, 0x90, 0x0c, 0x20]).memory.index == 4)
        #expect(decode([0xc4, 0xe2, 0x71, 0x90, 0x0c, 0x20]) == .fault(.invalidOpcode))
        #expect(decode([0xc4, 0xe2, 0x69, 0x90, 0x08]) == .fault(.invalidOpcode))
    }

    @Test func controlRegisterMovesHaveNoDisplacement() throws {
        let mov = try instruction([0x0f, 0x22, 0x85, 1, 2, 3, 4])
        #expect(mov.length == 3)
        #expect(mov.operand0 == .register(.control, 0))
        #expect(mov.operand1 == .register(.general, 5))
        #expect(mov.operandSize == 8)
        #expect(try instruction([0x44, 0x0f, 0x20, 0xc0]).operand1 == .register(.control, 8))
    }

    @Test func byteImmediatesIntoByteRegisters() throws {
        let mov = try instruction([0xb4, 0x12])
        #expect(mov.operandSize == 1)
        #expect(mov.operand0 == .register(.highByte, 0))
        #expect(try instruction([0x41, 0xb4, 0x12]).operand0 == .register(.general, 12))
    }

    @Test func operandsThatMayNotBeRegisters() {
        #expect(decode([0x62, 0xc0, 0, 0, 0, 0], .code32) == .fault(.invalidOpcode))
        #expect(decode([0x8e, 0xc8]) == .fault(.invalidOpcode))
        #expect(decode([0x8e, 0xf0]) == .fault(.invalidOpcode))
        #expect(decode([0x8d, 0xc0]) == .fault(.invalidOpcode))
        #expect(decode([0x0f, 0xc7, 0xc8]) == .fault(.invalidOpcode))
    }

    @Test func whatTheModelDoesNotOffer() {
        // CLFLUSHOPT, RDSEED, MONITOR, XTEST, and SYSCALL outside 64-bit code.
        #expect(decode([0x66, 0x0f, 0xae, 0x38]) == .fault(.invalidOpcode))
        #expect(decode([0x0f, 0xc7, 0xf8]) == .fault(.invalidOpcode))
        #expect(decode([0x0f, 0x01, 0xc8]) == .fault(.invalidOpcode))
        #expect(decode([0x0f, 0x01, 0xd6]) == .fault(.invalidOpcode))
        #expect(decode([0x0f, 0x05], .code32) == .fault(.invalidOpcode))
    }

    @Test func prefixesInOddOrder() throws {
        // REX counts only right before the opcode; the last of F2 and F3 counts.
        #expect(try instruction([0x48, 0x66, 0x89, 0xc8]).operandSize == 2)
        #expect(try instruction([0x66, 0x48, 0x89, 0xc8]).operandSize == 8)
        #expect(try instruction([0xf2, 0xf3, 0x0f, 0x58, 0xc1]).mnemonic == .addss)
        // CS, DS, ES and SS are no overrides in 64-bit code, FS is.
        #expect(try instruction([0x2e, 0x8b, 0x00]).memory.segment == 3)
        #expect(try instruction([0x64, 0x2e, 0x8b, 0x00]).memory.segment == 4)
        #expect(try instruction([0x2e, 0x8b, 0x00], .code32).memory.segment == 1)
    }

    @Test func fifteenBytesAndNoMore() throws {
        let prefixes = [UInt8](repeating: 0x66, count: 14)
        #expect(try instruction(prefixes + [0x90]).length == 15)
        #expect(decode(prefixes + [0x01, 0xc0]) == .fault(.tooLong))
    }

    @Test func textInIntelSyntax() throws {
        func text(_ bytes: [UInt8], _ mode: DecodeMode = .code64) throws -> String {
            Disassembler.text(try instruction(bytes, mode), address: 0x1000, mode: mode)
        }
        #expect(
            try text([0x4f, 0x8b, 0x44, 0xbd, 0xf8]) == "mov r8, qword ptr [r13 + r15*4 - 8]")
        #expect(try text([0xf0, 0x0f, 0xb1, 0x0f]) == "lock cmpxchg dword ptr [rdi], ecx")
        #expect(try text([0x0f, 0x84, 0xfa, 0xff, 0xff, 0xff]) == "je 0x1000")
        #expect(try text([0xeb, 0xfe], .code16) == "jmp 0x1000")
        #expect(try text([0xf3, 0x48, 0xab]) == "rep stosq qword ptr es:[rdi], rax")
        #expect(
            try text([0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0])
                == "mov rax, qword ptr gs:[0x28]")
        #expect(try text([0x0f, 0xb6, 0xc4]) == "movzx eax, ah")
        #expect(try text([0xd9, 0xc1]) == "fld st(1)")
        #expect(try text([0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x08]) == "palignr xmm0, xmm1, 8")
        #expect(try text([0xea, 0x5b, 0xe0, 0, 0xf0], .code16) == "jmpf 0xf000:0xe05b")
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
