internal import CEngine
internal import VirtualCPU

// Control, debug and descriptor-table registers.

@inline(__always)
func requirePrivilege(_ cpu: CPU, _ op: Op) -> Bool {
    if unsafe cpu.currentPrivilegeLevel == 0 { return true }
    unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    return false
}

/// Ends the block: what follows may be decoded or translated differently.
func continueAfter(_ cpu: CPU, _ op: Op) -> Next {
    unsafe jump(cpu, to: cpu.nextInstructionPointer(of: op))
}

enum ControlRegister {
    /// MOV r, CRn: `auxiliary` is n.
    static let read: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let value: UInt64
        switch unsafe op.pointee.auxiliary {
        case 0: value = unsafe cpu.pointee.cr0
        case 2: value = unsafe cpu.pointee.cr2
        case 3: value = unsafe cpu.pointee.cr3
        case 4: value = unsafe cpu.pointee.cr4
        case 8:
            if let answer = unsafe replayedAnswer(cpu) {
                value = answer & 0xf
            } else {
                return unsafe leave(cpu, op, with: .taskPriorityRead, awaiting: .replay)
            }
        default: return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        unsafe cpu.bytes.storeBytes(
            of: cpu.isLongCode ? value : value & 0xffff_ffff,
            toByteOffset: Int(op.pointee.destination), as: UInt64.self)
        return unsafe op + 1
    }

    /// MOV CRn, r.
    static let write: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        var value = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        if unsafe !cpu.isLongCode { value &= 0xffff_ffff }
        let allowed: Bool
        serialize()
        switch unsafe op.pointee.auxiliary {
        case 0: allowed = unsafe writeCR0(cpu, value)
        case 2:
            unsafe cpu.pointee.cr2 = value
            allowed = true
        case 3: allowed = unsafe writeCR3(cpu, value)
        case 4: allowed = unsafe writeCR4(cpu, value)
        case 8:
            if value & ~0xf != 0 {
                allowed = false
            } else if unsafe replayedAnswer(cpu) != nil {
                return unsafe op + 1
            } else {
                return unsafe leave(
                    cpu, op, with: .taskPriorityWrite(UInt8(truncatingIfNeeded: value)),
                    awaiting: .replayWrite)
            }
        default: return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        if !allowed { return unsafe refuse(cpu, op) }
        return unsafe continueAfter(cpu, op)
    }

    static let clearTaskSwitched: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        unsafe cpu.pointee.cr0 &= ~CR0.ts
        unsafe refreshMode(cpu)
        return unsafe continueAfter(cpu, op)
    }

    /// #GP(0), unless the page that PDPTEs lie in is absent.
    private static func refuse(_ cpu: CPU, _ op: Op) -> Next {
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        if unsafe cpu.pointee.leaveReason == LeaveReason.fault { return nil }
        return unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
    }

    /// LMSW: PE can be set but not cleared.
    static func loadMachineStatusWord(_ cpu: CPU, _ op: Op, _ word: UInt16) -> Next {
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let old = unsafe cpu.pointee.cr0
        let new = old & ~0xe | UInt64(word) & 0xf | old & 1
        if unsafe !writeCR0(cpu, new) { return unsafe refuse(cpu, op) }
        return unsafe continueAfter(cpu, op)
    }
}

/// The answer to the exit this instruction made before it was run again.
func replayedAnswer(_ cpu: CPU) -> UInt64? {
    let cursor = unsafe cpu.pointee.replayCursor
    if unsafe cursor >= cpu.pointee.replayCount || cursor >= UInt32(MMIO_REPLAY_COUNT) {
        return nil
    }
    unsafe cpu.pointee.replayCursor = cursor &+ 1
    return unsafe (cpu.bytes + CPUOffsets.replayValues).load(
        fromByteOffset: Int(cursor) &* 8, as: UInt64.self)
}

/// False: #GP(0).
func writeCR0(_ cpu: CPU, _ value: UInt64) -> Bool {
    if value &>> 32 != 0 { return false }
    let new = value & CR0.defined | CR0.et
    let old = unsafe cpu.pointee.cr0
    if new & CR0.pg != 0, new & CR0.pe == 0 { return false }
    if new & CR0.nw != 0, new & CR0.cd == 0 { return false }
    let turnsOn = new & CR0.pg != 0 && old & CR0.pg == 0
    let turnsOff = new & CR0.pg == 0 && old & CR0.pg != 0
    if turnsOn, unsafe cpu.pointee.efer & EFER.lme != 0 {
        if unsafe cpu.pointee.cr4 & CR4.pae == 0 || cpu.segment(Segment.cs).attributes & 0x2000 != 0
        {
            return false
        }
        unsafe cpu.pointee.efer |= EFER.lma
    }
    if turnsOff {
        if unsafe cpu.isLongCode || cpu.pointee.cr4 & CR4.pcide != 0 { return false }
        unsafe cpu.pointee.efer &= ~EFER.lma
    }
    unsafe cpu.pointee.cr0 = new
    if (old ^ new) & (CR0.pg | CR0.cd | CR0.nw) != 0, unsafe !reloadPageDirectoryPointers(cpu) {
        unsafe cpu.pointee.cr0 = old
        return false
    }
    if (old ^ new) & CR0.pe != 0 {
        // Leaving real mode keeps the hidden parts; the privilege level is 0 until CS is loaded.
        unsafe setPrivilegeLevel(cpu, 0)
    }
    unsafe refreshMode(cpu)
    if (old ^ new) & (CR0.pg | CR0.wp | CR0.pe) != 0 { unsafe flushEverything(cpu) }
    return true
}

func writeCR3(_ cpu: CPU, _ value: UInt64) -> Bool {
    var keep = false
    var new = value
    if unsafe cpu.pointee.cr4 & CR4.pcide != 0 {
        keep = value &>> 63 != 0
        new &= ~(1 << 63)
    }
    if unsafe cpu.pointee.efer & EFER.lma != 0, new &>> physicalAddressBits != 0 { return false }
    let old = unsafe cpu.pointee.cr3
    unsafe cpu.pointee.cr3 = new
    if unsafe !reloadPageDirectoryPointers(cpu) {
        unsafe cpu.pointee.cr3 = old
        return false
    }
    unsafe context(cpu).statistics.tlbFlushes &+= keep ? 0 : 1
    unsafe switchAddressSpace(cpu, keep: keep)
    return true
}

func writeCR4(_ cpu: CPU, _ value: UInt64) -> Bool {
    let old = unsafe cpu.pointee.cr4
    if value & ~CR4.defined != 0 { return false }
    if unsafe cpu.pointee.efer & EFER.lma != 0, value & CR4.pae == 0 { return false }
    if value & CR4.pcide != 0, old & CR4.pcide == 0,
        unsafe cpu.pointee.efer & EFER.lma == 0 || cpu.pointee.cr3 & 0xfff != 0
    {
        return false
    }
    unsafe cpu.pointee.cr4 = value
    if (old ^ value) & (CR4.pae | CR4.pse | CR4.pge | CR4.smep) != 0,
        unsafe !reloadPageDirectoryPointers(cpu)
    {
        unsafe cpu.pointee.cr4 = old
        return false
    }
    unsafe refreshMode(cpu)
    if (old ^ value) & CR4.de != 0 { unsafe refreshBreakpoints(cpu) }
    let affecting = CR4.pse | CR4.pae | CR4.pge | CR4.pcide | CR4.smep | CR4.smap
    if (old ^ value) & affecting != 0 { unsafe flushEverything(cpu) }
    return true
}

enum DebugRegister {
    /// MOV r, DRn.
    static let read: InstructionHandler = { cpu, op in
        guard let index = unsafe number(cpu, op) else { return nil }
        let value = unsafe (cpu.bytes + CPUOffsets.debugRegisters)
            .load(fromByteOffset: index &* 8, as: UInt64.self)
        unsafe cpu.bytes.storeBytes(
            of: cpu.isLongCode ? value : value & 0xffff_ffff,
            toByteOffset: Int(op.pointee.destination), as: UInt64.self)
        return unsafe op + 1
    }

    /// MOV DRn, r.
    static let write: InstructionHandler = { cpu, op in
        guard let index = unsafe number(cpu, op) else { return nil }
        serialize()
        var value = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        if unsafe !cpu.isLongCode { value &= 0xffff_ffff }
        if index >= 6, value &>> 32 != 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        if index == 6 { value = value & 0xe00f | 0xffff_0ff0 }
        if index == 7 { value = value & 0xffff_2bff | 0x400 }
        unsafe (cpu.bytes + CPUOffsets.debugRegisters)
            .storeBytes(of: value, toByteOffset: index &* 8, as: UInt64.self)
        if index != 6 { unsafe refreshBreakpoints(cpu) }
        return unsafe continueAfter(cpu, op)
    }

    /// DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE.
    private static func number(_ cpu: CPU, _ op: Op) -> Int? {
        var index = unsafe Int(op.pointee.auxiliary)
        if unsafe index > 7 || (index == 4 || index == 5) && cpu.pointee.cr4 & CR4.de != 0 {
            unsafe raise(cpu, op, vector: Vector.invalidOpcode)
            return nil
        }
        if unsafe !requirePrivilege(cpu, op) { return nil }
        if index == 4 || index == 5 { index &+= 2 }
        let dr7 = unsafe (cpu.bytes + CPUOffsets.debugRegisters).load(
            fromByteOffset: 56, as: UInt64.self)
        if dr7 & (1 << 13) != 0 {
            unsafe setDebugStatus(cpu, 1 << 13)
            unsafe raise(cpu, op, vector: Vector.debug)
            unsafe cpu.pointee.systemFlags |= Flags.resume
            return nil
        }
        return index
    }
}

enum DescriptorTables {
    static let loadGlobal: InstructionHandler = { cpu, op in
        guard let (limit, base) = unsafe loadTable(cpu, op) else { return nil }
        unsafe cpu.pointee.gdtLimit = limit
        unsafe cpu.pointee.gdtBase = base
        return unsafe op + 1
    }
    static let loadInterrupt: InstructionHandler = { cpu, op in
        guard let (limit, base) = unsafe loadTable(cpu, op) else { return nil }
        unsafe cpu.pointee.idtLimit = limit
        unsafe cpu.pointee.idtBase = base
        return unsafe op + 1
    }
    static let storeGlobal: InstructionHandler = { cpu, op in
        unsafe storeTable(cpu, op, cpu.pointee.gdtLimit, cpu.pointee.gdtBase)
    }
    static let storeInterrupt: InstructionHandler = { cpu, op in
        unsafe storeTable(cpu, op, cpu.pointee.idtLimit, cpu.pointee.idtBase)
    }

    private static func loadTable(_ cpu: CPU, _ op: Op) -> (UInt32, UInt64)? {
        if unsafe !requirePrivilege(cpu, op) { return nil }
        serialize()
        let long = unsafe cpu.isLongCode
        guard let pointer = unsafe readPointer(cpu, op, effectiveAddress(cpu, op), long ? 10 : 6)
        else {
            return nil
        }
        let limit = unsafe UInt32(pointer.loadUnaligned(as: UInt16.self))
        if long {
            let base = unsafe pointer.loadUnaligned(fromByteOffset: 2, as: UInt64.self)
            if !isCanonical(base) {
                unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
                return nil
            }
            return (limit, base)
        }
        let base = unsafe pointer.loadUnaligned(fromByteOffset: 2, as: UInt32.self)
        return unsafe (limit, UInt64(op.pointee.auxiliary == 2 ? base & 0xff_ffff : base))
    }

    private static func storeTable(_ cpu: CPU, _ op: Op, _ limit: UInt32, _ base: UInt64) -> Next {
        if unsafe !userModeAllows(cpu, op) { return nil }
        let long = unsafe cpu.isLongCode
        var image = (UInt64(limit) & 0xffff | base &<< 16, base &>> 48)
        let done = unsafe withUnsafeBytes(of: &image) {
            unsafe storeBytes(
                cpu, op, effectiveAddress(cpu, op), from: $0.baseAddress.unsafelyUnwrapped,
                long ? 10 : 6)
        }
        return unsafe done ? op + 1 : nil
    }

    /// LLDT (auxiliary 0) and LTR (auxiliary 1) with the selector read.
    static func loadSystemSegment(_ cpu: CPU, _ op: Op, _ selector: UInt16, task: Bool) -> Next {
        if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        if unsafe !requirePrivilege(cpu, op) { return nil }
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        if selector & 0xfffc == 0 {
            if task { return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0) }
            unsafe cpu.pointee.localDescriptorTable = SegmentRegister(
                base: 0, limit: 0, selector: selector, attributes: 0)
            return unsafe op + 1
        }
        let long = unsafe cpu.pointee.efer & EFER.lma != 0
        guard selector & 4 == 0,
            let address = unsafe descriptorAddress(cpu, selector, byteCount: long ? 16 : 8)
        else {
            return unsafe raise(
                cpu, op, vector: Vector.generalProtection, errorCode: selector & 0xfffc)
        }
        guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return nil }
        var descriptor = Descriptor(raw: raw)
        let rightType =
            task
            ? descriptor.type == 9 || !long && descriptor.type == 1 : descriptor.type == 2
        if !descriptor.isSystem || !rightType {
            return unsafe raise(
                cpu, op, vector: Vector.generalProtection, errorCode: selector & 0xfffc)
        }
        if !descriptor.isPresent {
            return unsafe raise(
                cpu, op, vector: Vector.segmentNotPresent, errorCode: selector & 0xfffc)
        }
        var base = descriptor.base
        if long {
            guard let high = unsafe readSystem(cpu, op, address &+ 8, as: UInt64.self) else {
                return nil
            }
            base |= high &<< 32
            if !isCanonical(base) {
                return unsafe raise(
                    cpu, op, vector: Vector.generalProtection, errorCode: selector & 0xfffc)
            }
        }
        if task {
            descriptor.raw |= 1 << 41
            if unsafe !writeSystem(
                cpu, op, address &+ 5, UInt8(truncatingIfNeeded: descriptor.raw &>> 40))
            {
                return nil
            }
        }
        let register = SegmentRegister(
            base: base, limit: descriptor.limit, selector: selector,
            attributes: descriptor.attributes)
        if task {
            unsafe cpu.pointee.taskRegister = register
        } else {
            unsafe cpu.pointee.localDescriptorTable = register
        }
        return unsafe op + 1
    }
}

/// UMIP: SGDT, SIDT, SLDT, STR and SMSW are for the kernel.
func userModeAllows(_ cpu: CPU, _ op: Op) -> Bool {
    if unsafe cpu.pointee.cr4 & CR4.umip != 0, unsafe cpu.currentPrivilegeLevel != 0 {
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return false
    }
    return true
}
