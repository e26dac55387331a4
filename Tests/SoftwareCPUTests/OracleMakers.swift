import X86

/// Where processors of different makers do different things and the manuals let them. The engine does
/// one of them; the comparison takes either, and looks at everything else.
///
/// Seen on AMD EPYC (Zen 3 and 4) and Intel Xeon (Sapphire Rapids). The engine does what the former do,
/// but for vectors, where it does what the latter does.
enum OracleMakers {
    private static let memoryFaults: Set<UInt64> = [12, 13, 14]

    /// Both end in a fault of memory, each in its own.
    static func areMemoryFaults(_ one: OracleState, _ other: OracleState) -> Bool {
        memoryFaults.contains(one.vector) && memoryFaults.contains(other.vector)
    }

    /// Instructions whose prefixes make one maker's processor another instruction of it.
    static func isUnfit(_ instruction: Instruction, _ mode: OracleMode) -> Bool {
        let prefixes = instruction.prefixes
        switch instruction.mnemonic {
        // F2 and F3 are reserved here (SDM volume 2, 2.1.1): one maker's LOOPE with F2 is a LOOPNE.
        case .loope, .loopne:
            if !prefixes.isDisjoint(with: [.rep, .repne]) { return true }
        // F3 90 is PAUSE; with REX.B it is XCHG to one maker and still PAUSE to the other.
        case .xchg:
            return instruction.form.map == 0 && instruction.form.opcode & 0xf8 == 0x90
                && prefixes.contains(.rep)
        // With an operand of 16 bits one maker reads 16 bits, the other 32.
        case .movsxd: return prefixes.contains(.operandSize)
        default: break
        }
        // One maker ignores 66 before near branches in 64-bit code, one does not.
        return mode.isLong && prefixes.contains(.operandSize)
            && OracleCoverage.isBranch(instruction)
    }

    /// PUSH of a segment register: with 32 bits one maker writes the upper half of the stack's
    /// doubleword, the other leaves it (SDM volume 2, PUSH).
    static func isSegmentPush(_ form: Form) -> Bool {
        if form.mnemonic != .push { return false }
        return form.map == 0
            ? form.opcode & 0xe7 == 0x06 : form.map == 1 && form.opcode & 0xf7 == 0xa0
    }

    /// Stores the selectors, the data pointer and the opcode of the x87 instruction before, which
    /// processors may keep only for exceptions, or not at all (CPUID leaf 7, EBX bits 6 and 13; the
    /// engine's has neither and keeps them).
    static func showsPointers(_ form: Form) -> Bool {
        form.mnemonic == .fnstenv || form.mnemonic == .fnsave
    }

    /// Stores of x87 registers: an unmasked exception of the value and a fault of the address
    /// compete, and of ten bytes that cross a page the first may be written.
    static func isX87Store(_ mnemonic: Mnemonic) -> Bool {
        switch mnemonic {
        case .fst, .fstp, .fist, .fistp, .fisttp, .fbstp: true
        default: false
        }
    }

    /// SCAS and CMPS that are repeated: after a page fault in the middle one maker's flags are those
    /// from before the instruction, the other's those of the last comparison (SDM volume 2, REP).
    static func isRepeatedComparison(_ instruction: Instruction) -> Bool {
        [.scas, .cmps].contains(instruction.mnemonic)
            && !instruction.prefixes.isDisjoint(with: [.rep, .repne])
    }

    /// A repeated string instruction in 64-bit code that counts in ECX: when that is zero from the
    /// start, one maker clears the upper half of RCX and the other leaves it. Alone they start with it
    /// clear.
    static func mayClearCounter(_ instruction: Instruction, _ mode: OracleMode) -> Bool {
        mode.isLong && instruction.prefixes.contains(.addressSize)
            && !instruction.prefixes.isDisjoint(with: [.rep, .repne])
    }

    /// Stores of MMX registers: when they fault, the x87 state is that of MMX code already or not yet.
    static func isMMXStore(_ form: Form) -> Bool {
        // MOVD and MOVQ without a prefix, MOVNTQ.
        form.map == 1 && form.mandatoryPrefix < 2 && [0x7e, 0x7f, 0xe7].contains(form.opcode)
    }

    /// Operands that one maker wants at multiples of 16 (SDM volume 2, exceptions of type 4), the other not.
    static func isLooselyAligned(_ form: Form) -> Bool { form.feature == .sha }

    /// With VEX.W outside 64-bit code they are as without to one maker, and undefined to the other.
    static func mayNotBeWide(_ form: Form) -> Bool {
        form.mnemonic == .vpextrd || form.mnemonic == .vpinsrd
    }

    /// What a sequence does after such an instruction would differ too: there their operands are
    /// where nothing faults.
    static func mayNotFault(_ form: Form) -> Bool {
        switch form.mnemonic {
        case .bound, .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .vcvtps2ph: true
        default: isX87Store(form.mnemonic) || isMMXStore(form)
        }
    }

    /// Two outcomes of different kinds that are both allowed.
    static func allowsEither(
        _ engine: OracleState, _ native: OracleState, _ mode: OracleMode,
        _ instruction: Instruction?
    ) -> Bool {
        for (one, other) in [(engine, native), (native, engine)] {
            // An access that begins below 4 GiB and ends above: the limit of a flat segment may
            // refuse it or not (SDM volume 3, 5.3).
            let address = one.address & 0xffff_ffff
            if !mode.isLong, one.vector == 14, [12, 13].contains(other.vector),
                address >= 0xffff_ff00 || address < 0x100
            {
                return true
            }
            guard let instruction else { continue }
            // Alignment and the limit of a whole state's area compete, and the pages and limits of
            // elements.
            if touchesInAnyOrder(instruction), memoryFaults.contains(one.vector),
                memoryFaults.contains(other.vector)
            {
                return true
            }
            // The summary of unmasked exceptions is set: the store has not been done.
            if isX87Store(instruction.mnemonic), memoryFaults.contains(one.vector),
                other.vector == 3,
                unsafe other.legacy.load(
                    fromByteOffset: 2, as: UInt16.self) & 0x80 != 0
            {
                return true
            }
            // Elements that the mask leaves out meet the limit of the segment or not.
            if isMaskedMove(instruction), !mode.isLong, [12, 13].contains(one.vector),
                other.vector == 3
            {
                return true
            }
            if isLooselyAligned(instruction.form), one.vector == 13, other.vector != 6 {
                return true
            }
            if mayNotBeWide(instruction.form), !mode.isLong, one.vector == 6 { return true }
            // An unmasked exception of a value and a fault of where it is to be stored.
            if instruction.mnemonic == .vcvtps2ph, one.vector == 19,
                memoryFaults.contains(other.vector)
            {
                return true
            }
            // The first bound may decide before the second is read.
            if instruction.mnemonic == .bound, memoryFaults.contains(one.vector), other.vector == 5
            {
                return true
            }
        }
        return false
    }

    /// One access for each part of a long operand, whose order is the maker's.
    static func touchesInAnyOrder(_ instruction: Instruction) -> Bool {
        isMaskedMove(instruction) || OracleCoverage.hasImage(instruction)
    }

    private static func isMaskedMove(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq: true
        default: false
        }
    }

    /// Of two addresses that may both fault, either may be told: of CMPS's operands, and of the parts of a
    /// long one that begin again at the start of 64 KiB, or go on behind them.
    static func mayTellOtherAddress(_ instruction: Instruction) -> Bool {
        instruction.mnemonic == .cmps
            || isMaskedMove(instruction) && instruction.addressSize == 2
    }

    /// Vector registers that a faulting gather leaves in a state of the maker's: how far it got, what the
    /// mask of the other elements is besides its sign, and the upper halves.
    static func hiddenVectors(_ native: OracleState, _ instruction: Instruction?) -> [Int] {
        guard let instruction, memoryFaults.contains(native.vector),
            instruction.memory.vectorIndexByteCount > 0
        else { return [] }
        return [instruction.operand0, instruction.operand1, instruction.operand2].compactMap {
            if case .register(let kind, let number) = $0, kind == .xmm || kind == .ymm {
                return Int(number)
            }
            return nil
        }
    }

    /// What the engine does not get right: with an unmasked overflow or underflow of a fused
    /// multiplication or of a conversion to half precision, MXCSR.PE (design note 4). Either may be
    /// in a sequence.
    static func hasLoosePrecision(_ native: OracleState, _ instruction: Instruction?) -> Bool {
        // The conversion may have been done when its store faults.
        if memoryFaults.contains(native.vector), instruction?.mnemonic == .vcvtps2ph { return true }
        let control = unsafe native.legacy.load(fromByteOffset: 24, as: UInt32.self)
        if native.vector != 19 || control & 0xc00 == 0xc00 { return false }
        guard let instruction else { return true }
        return instruction.form.feature == .fma || instruction.mnemonic == .vcvtps2ph
    }

    /// True if a fault leaves the x87 image in a state of the maker's.
    static func hidesImage(_ native: OracleState, _ instruction: Instruction?) -> Bool {
        guard let instruction, memoryFaults.contains(native.vector) else { return false }
        return isMMXStore(instruction.form) || instruction.mnemonic == .xrstor
    }

    /// Bytes of the data page that the maker decides on.
    ///
    /// - Parameter place: the operand's, as an offset in the page.
    static func hiddenBytes(
        _ native: OracleState, _ mode: OracleMode, _ instruction: Instruction?, place: Int?
    ) -> Range<Int> {
        guard let instruction else { return 0..<0 }
        let faulted = memoryFaults.contains(native.vector)
        let pointer = Int(truncatingIfNeeded: native[4] &+ mode.dataBase &- OracleMachine.data)
        let stack = mode == .code16 ? Int(native[4] & 0xffff) : pointer & 0xfff
        if isSegmentPush(instruction.form), !mode.isLong, !faulted {
            return stack + 2..<stack + 4
        }
        // The return address of a CALL whose target is refused is on the stack already or not.
        if instruction.mnemonic == .call, faulted { return stack - 8..<stack }
        if faulted, isX87Store(instruction.mnemonic), instruction.memory.byteCount == 10 {
            // The second page faults: the bytes before it.
            if native.address & 0xfff == 0 { return 4096 - 9..<4096 }
            if let place { return place..<place + 10 }
        }
        return 0..<0
    }
}
