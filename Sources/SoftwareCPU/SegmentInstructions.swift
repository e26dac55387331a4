internal import CEngine

// MOV, PUSH, POP of segment registers, LDS and its kin, LAR, LSL, VERR, VERW, ARPL, SLDT, STR, SMSW.
// Selector operands come from a register (`source` is not `Layout.zero`) or from memory.

enum SegmentInstruction {
    /// MOV Sreg, r/m16: `auxiliary` is the segment register.
    static let load: InstructionHandler = { cpu, op in
        guard let selector = unsafe wordOperand(cpu, op) else { return nil }
        return unsafe loadInto(cpu, op, Int(op.pointee.auxiliary), selector)
    }

    /// MOV r/m, Sreg: register destinations of `immediate` bytes, memory always 2.
    static let store: InstructionHandler = { cpu, op in
        unsafe storeWord(cpu, op, cpu.segment(Int(op.pointee.auxiliary)).selector)
    }

    /// PUSH Sreg: `immediate` is the segment register, `auxiliary` the operand size.
    static let push: InstructionHandler = { cpu, op in
        let selector = unsafe cpu.segment(Int(op.pointee.immediate)).selector
        return unsafe pushLegacy(cpu, op, UInt64(selector)) ? op + 1 : nil
    }

    static let pop: InstructionHandler = { cpu, op in
        guard let word = unsafe popLegacy(cpu, op, 0) else { return nil }
        let number = unsafe Int(op.pointee.immediate)
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        if unsafe !loadSegment(cpu, op, number, UInt16(truncatingIfNeeded: word)) { return nil }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ UInt64(op.pointee.auxiliary))
        if number == Segment.ss { unsafe shadowNextInstruction(cpu, stack: true) }
        return unsafe continueAfter(cpu, op)
    }

    /// LDS, LES, LFS, LGS, LSS: `auxiliary` operand size, `immediate` the segment register.
    static let loadPointer: InstructionHandler = { cpu, op in
        let size = unsafe Int(op.pointee.auxiliary)
        guard let pointer = unsafe readPointer(cpu, op, effectiveAddress(cpu, op), size &+ 2) else {
            return nil
        }
        let selector = unsafe pointer.loadUnaligned(fromByteOffset: size, as: UInt16.self)
        let offset: UInt64 =
            switch size {
            case 8: unsafe pointer.loadUnaligned(as: UInt64.self)
            case 4: unsafe UInt64(pointer.loadUnaligned(as: UInt32.self))
            default: unsafe UInt64(pointer.loadUnaligned(as: UInt16.self))
            }
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        if unsafe !loadSegment(cpu, op, Int(op.pointee.immediate), selector) { return nil }
        switch size {
        case 8: unsafe cpu.write(op.pointee.destination, offset)
        case 4: unsafe cpu.write(op.pointee.destination, UInt32(truncatingIfNeeded: offset))
        default: unsafe cpu.write(op.pointee.destination, UInt16(truncatingIfNeeded: offset))
        }
        return unsafe continueAfter(cpu, op)
    }

    /// SLDT, STR, SMSW: `auxiliary` 0, 1, 2.
    static let storeSystem: InstructionHandler = { cpu, op in
        if unsafe op.pointee.auxiliary < 2, unsafe cpu.pointee.blockMode & BlockMode.protected == 0
        {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        if unsafe !userModeAllows(cpu, op) { return nil }
        switch unsafe op.pointee.auxiliary {
        case 0: return unsafe storeWord(cpu, op, cpu.pointee.localDescriptorTable.selector)
        case 1: return unsafe storeWord(cpu, op, cpu.pointee.taskRegister.selector)
        default:
            // A register gets as much of CR0 as it is wide.
            if unsafe op.pointee.destination != Layout.zero, unsafe op.pointee.immediate == 8 {
                unsafe cpu.write(op.pointee.destination, cpu.pointee.cr0)
                return unsafe op + 1
            }
            if unsafe op.pointee.destination != Layout.zero, unsafe op.pointee.immediate == 4 {
                unsafe cpu.write(
                    op.pointee.destination, UInt32(truncatingIfNeeded: cpu.pointee.cr0))
                return unsafe op + 1
            }
            return unsafe storeWord(cpu, op, UInt16(truncatingIfNeeded: cpu.pointee.cr0))
        }
    }

    /// LLDT, LTR, LMSW: `auxiliary` 0, 1, 2.
    static let loadSystem: InstructionHandler = { cpu, op in
        // Privilege comes before the operand.
        if unsafe cpu.pointee.blockMode & BlockMode.protected != 0,
            unsafe cpu.currentPrivilegeLevel != 0
        {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        guard let word = unsafe wordOperand(cpu, op) else { return nil }
        if unsafe op.pointee.auxiliary == 2 {
            return unsafe ControlRegister.loadMachineStatusWord(cpu, op, word)
        }
        serialize()
        return unsafe DescriptorTables.loadSystemSegment(
            cpu, op, word, task: op.pointee.auxiliary == 1)
    }

    /// VERR (`auxiliary` 0) and VERW (1).
    static let verify: InstructionHandler = { cpu, op in
        guard let descriptor = unsafe inspect(cpu, op) else { return nil }
        var allowed = false
        if let descriptor, !descriptor.isSystem, unsafe mayReach(cpu, op, descriptor) {
            allowed =
                unsafe op.pointee.auxiliary == 0 ? descriptor.isReadable : descriptor.isWritableData
        }
        unsafe setZeroFlag(cpu, allowed)
        return unsafe op + 1
    }

    /// LAR (`auxiliary` 0) and LSL (1); `immediate` is the operand size.
    static let inspectDescriptor: InstructionHandler = { cpu, op in
        guard let descriptor = unsafe inspect(cpu, op) else { return nil }
        var value: UInt32?
        if let descriptor, unsafe mayReach(cpu, op, descriptor) {
            let long = unsafe cpu.pointee.efer & EFER.lma != 0
            if unsafe op.pointee.auxiliary == 0 {
                let types: [UInt16] = long ? [2, 9, 11, 12] : [1, 2, 3, 4, 5, 9, 11, 12]
                if !descriptor.isSystem || types.contains(descriptor.type) {
                    value = UInt32(truncatingIfNeeded: descriptor.raw &>> 32) & 0x00f0_ff00
                }
            } else {
                let types: [UInt16] = long ? [2, 9, 11] : [1, 2, 3, 9, 11]
                if !descriptor.isSystem || types.contains(descriptor.type) {
                    value = descriptor.limit
                }
            }
        }
        unsafe setZeroFlag(cpu, value != nil)
        if let value {
            if unsafe op.pointee.immediate == 2 {
                unsafe cpu.write(op.pointee.destination, UInt16(truncatingIfNeeded: value))
            } else {
                unsafe cpu.write(op.pointee.destination, value)
            }
        }
        return unsafe op + 1
    }

    /// ARPL, 16- and 32-bit code only: `destination` is the register source of the RPL.
    static let adjustPrivilege: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        let wanted = unsafe cpu.read(op.pointee.destination, as: UInt16.self) & 3
        guard let selector = unsafe wordOperand(cpu, op) else { return nil }
        let raised = selector & 3 < wanted
        if raised {
            let new = selector & ~3 | wanted
            if unsafe op.pointee.source != Layout.zero {
                unsafe cpu.write(op.pointee.source, new)
            } else if unsafe !SoftwareCPU.store(cpu, op, effectiveAddress(cpu, op), new) {
                return nil
            }
        }
        unsafe setZeroFlag(cpu, raised)
        return unsafe op + 1
    }
}

private func wordOperand(_ cpu: CPU, _ op: Op) -> UInt16? {
    if unsafe op.pointee.source != Layout.zero {
        return unsafe cpu.read(op.pointee.source, as: UInt16.self)
    }
    return unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt16.self)
}

private func storeWord(_ cpu: CPU, _ op: Op, _ word: UInt16) -> Next {
    if unsafe op.pointee.destination == Layout.zero {
        return unsafe store(cpu, op, effectiveAddress(cpu, op), word) ? op + 1 : nil
    }
    switch unsafe op.pointee.immediate {
    case 8: unsafe cpu.write(op.pointee.destination, UInt64(word))
    case 4: unsafe cpu.write(op.pointee.destination, UInt32(word))
    default: unsafe cpu.write(op.pointee.destination, word)
    }
    return unsafe op + 1
}

private func loadInto(_ cpu: CPU, _ op: Op, _ number: Int, _ selector: UInt16) -> Next {
    if number == Segment.cs { return unsafe raise(cpu, op, vector: Vector.invalidOpcode) }
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    if unsafe !loadSegment(cpu, op, number, selector) { return nil }
    if number == Segment.ss { unsafe shadowNextInstruction(cpu, stack: true) }
    return unsafe continueAfter(cpu, op)
}

private func setZeroFlag(_ cpu: CPU, _ value: Bool) {
    if value {
        unsafe cpu.pointee.statusFlags |= 0x4000
    } else {
        unsafe cpu.pointee.statusFlags &= ~0x4000
    }
}

/// The descriptor an operand selects: outer nil a fault, inner nil none.
private func inspect(_ cpu: CPU, _ op: Op) -> Descriptor?? {
    if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
        unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        return nil
    }
    guard let selector = unsafe wordOperand(cpu, op) else { return nil }
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    guard selector & 0xfffc != 0, let address = unsafe descriptorAddress(cpu, selector) else {
        return .some(nil)
    }
    guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return nil }
    unsafe context(cpu).inspectedPrivilege = UInt32(selector & 3)
    return .some(Descriptor(raw: raw))
}

private func mayReach(_ cpu: CPU, _ op: Op, _ descriptor: Descriptor) -> Bool {
    if descriptor.isCode, descriptor.isConforming { return true }
    let needed = unsafe max(cpu.currentPrivilegeLevel, context(cpu).inspectedPrivilege)
    return descriptor.privilegeLevel >= needed
}
