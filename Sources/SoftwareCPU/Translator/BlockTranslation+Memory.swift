internal import CEngine
internal import X86

// Memory accesses: the TLB's probe, and what else an access can be refused for.

extension BlockTranslation {
    /// An access whose translation the TLB has.
    struct Located {
        var address: HostAddress
        /// Of the two scratch registers, the one that the address does not need.
        var free: HostRegister
    }

    /// Finds the host address of an access; misses take the slow path. Clobbers the host's flags.
    /// - Parameter inFirst: the address is in R10 alone.
    mutating func probe(_ access: GuestAccess, write: Bool, inFirst: Bool = false) -> Located {
        switch role {
        case .alone:
            misses.append(probeEntry(access, write: write))
        case .leader(let group):
            var range = access
            range.displacement = group.low
            range.byteCount = group.byteCount
            groupMiss(Misses(probeEntry(range, write: group.isWrite)))
            if group.alignment != 0 {
                var aligned = access
                aligned.displacement = group.alignedAt
                assembler.compute(aligned, into: .r10)
                groupMiss(Misses(Patches(testAlignment(.r10, group.alignment))))
            }
            assembler.store(SharedRoutines.groupSlot(group.slot), .r11)
        case .member(let group):
            assembler.load(.r11, SharedRoutines.groupSlot(group.slot))
        }
        if let base = access.simpleBase {
            let address = HostAddress(
                base: base, index: .r11,
                displacement: Int32(truncatingIfNeeded: access.displacement))
            if !inFirst { return Located(address: address, free: .r10) }
            assembler.loadAddress(.r10, address)
        } else if let (base, index) = access.indexedBase {
            assembler.loadAddress(
                .r11, HostAddress(base: .r11, index: index, scaleShift: access.scaleShift))
            let address = HostAddress(
                base: base, index: .r11,
                displacement: Int32(truncatingIfNeeded: access.displacement))
            if !inFirst { return Located(address: address, free: .r10) }
            assembler.loadAddress(.r10, address)
        } else {
            assembler.compute(access, into: .r10)
            assembler.loadAddress(.r10, HostAddress(base: .r10, index: .r11))
        }
        return Located(address: HostAddress(base: .r10), free: .r11)
    }

    /// The memory access of an instruction of the current block, if it may be part of a group.
    func groupAccess(
        _ kind: TranslationKind, _ instruction: Instruction, _ index: Int
    ) -> ProbeGroups.Access? {
        func own(isWrite: Bool, alignment: UInt8 = 0) -> ProbeGroups.Access? {
            let start = Int(unsafe op(index).pointee.pageOffset)
            guard instruction.hasMemoryOperand,
                let access = GuestAccess(instruction, pageOffset: start), access.segment == nil,
                access.index == nil || access.indexedBase != nil
            else { return nil }
            return ProbeGroups.Access(
                operand: access, isWrite: isWrite, alignment: alignment)
        }
        func stack(_ register: UInt8, _ displacement: Int64, isWrite: Bool) -> ProbeGroups.Access {
            ProbeGroups.Access(
                operand: GuestAccess(
                    register: register, displacement: displacement, byteCount: 8),
                isWrite: isWrite)
        }
        switch kind {
        case .same, .vector:
            if instruction.prefixes.contains(.lock) || instruction.mnemonic == .xchg { return nil }
            return own(
                isWrite: Self.writesMemory(instruction),
                alignment: Self.needsAlignment(instruction) ? 16 : 0)
        case .vex, .wideVector:
            return own(
                isWrite: instruction.operand0 == .memory, alignment: Self.alignment(instruction))
        case .x87: return own(isWrite: Self.storesX87(instruction))
        case .push:
            // One that reads memory has two accesses.
            return instruction.hasMemoryOperand ? nil : stack(4, -8, isWrite: true)
        case .pop: return stack(4, 0, isWrite: false)
        case .leave: return stack(5, 0, isWrite: false)
        default: return nil
        }
    }

    /// Misses if the bytes at R10 cross a cache line: the handler takes the bus lock. Clobbers R11.
    mutating func requireOneLine(_ byteCount: Int) {
        assembler.loadAddress(
            .r11,
            HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: byteCount &- 1)))
        assembler.instruction(HostOpcode(0x33, wide: true), register: 11, .register(10))
        assembler.instruction(HostOpcode(0x83, wide: true), register: 7, .register(11))
        assembler.byte(63)
        misses.append(assembler.jump(.above))
    }

    /// Misses unless the address in `register` is a multiple of `byteCount`.
    mutating func requireAlignment(_ register: HostRegister, _ byteCount: UInt8 = 16) {
        misses.append(testAlignment(register, byteCount))
    }

    /// The jump is taken if the address is no multiple of `byteCount`.
    private mutating func testAlignment(
        _ register: HostRegister, _ byteCount: UInt8
    ) -> Assembler.Patch {
        // TEST r8, byteCount - 1.
        var opcode = HostOpcode(0xf6)
        opcode.needsREX = true
        assembler.instruction(opcode, register: 0, .register(register.number))
        assembler.byte(byteCount &- 1)
        return assembler.jump(.notEqual)
    }

    /// The current instruction looks whether its operand is aligned: a group's first does it for all.
    func looksAtAddress(_ alignment: UInt8) -> Bool {
        if case .alone = role { return alignment != 0 }
        return false
    }
}
