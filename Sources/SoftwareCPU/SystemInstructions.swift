internal import CEngine
internal import VirtualCPU
internal import Vocabulary

// The rest of the privileged and segment instructions.

enum SystemInstruction {
    static let invalidOpcode: InstructionHandler = { cpu, op in
        unsafe raise(cpu, op, vector: Vector.invalidOpcode)
    }
    static let tooLong: InstructionHandler = { cpu, op in
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }

    static let halt: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        unsafe cpu.pointee.interruptShadow = 0
        // The trap of a single step ends the halt at once.
        if unsafe cpu.pointee.stepping & Stepping.trapFollows != 0 {
            return unsafe continueAfter(cpu, op)
        }
        _ = unsafe leave(cpu, op, with: .halt, awaiting: .nothing)
        unsafe cpu.pointee.rip = unsafe cpu.nextInstructionPointer(of: op)
        unsafe context(cpu).retired &+= 1
        return nil
    }

    static let pause: InstructionHandler = { cpu, op in
        unsafe cpu.pointee.pauseLimit == 0 ? op + 1 : countPause(cpu, op)
    }

    static let hypercall: InstructionHandler = { cpu, op in
        _ = unsafe leave(cpu, op, with: .hypercall, awaiting: .hypercall)
        unsafe context(cpu).instructionLength = unsafe UInt64(op.pointee.length)
        return nil
    }

    static let cpuid: InstructionHandler = { cpu, op in
        let leaf = unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rax))
        let subleaf = unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rcx))
        let result = unsafe context(cpu).answerCPUID(cpu, leaf, subleaf)
        unsafe cpu.setGPR(GPR.rax, UInt64(result.eax))
        unsafe cpu.setGPR(GPR.rbx, UInt64(result.ebx))
        unsafe cpu.setGPR(GPR.rcx, UInt64(result.ecx))
        unsafe cpu.setGPR(GPR.rdx, UInt64(result.edx))
        serialize()
        unsafe dropUnheardCode(cpu)
        return unsafe continueAfter(cpu, op)
    }

    /// INVD, WBINVD: there is no cache to speak of.
    static let cacheControl: InstructionHandler = { cpu, op in
        serialize()
        return unsafe requirePrivilege(cpu, op) ? op + 1 : nil
    }

    /// RDPMC: there are no counters to read.
    static let performanceCounter: InstructionHandler = { cpu, op in
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }

    static let invalidatePage: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let address = unsafe plainAddress(cpu, effectiveAddress(cpu, op))
        serialize()
        unsafe context(cpu).statistics.tlbFlushes &+= 1
        if unsafe !cpu.isLongCode || isCanonical(address) { unsafe flushPage(cpu, address) }
        return unsafe continueAfter(cpu, op)
    }

    static let invalidatePCID: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let type = unsafe cpu.read(op.pointee.destination, as: UInt64.self)
        guard let pointer = unsafe readPointer(cpu, op, effectiveAddress(cpu, op), 16) else {
            return nil
        }
        let pcid = unsafe pointer.loadUnaligned(as: UInt64.self)
        let address = unsafe pointer.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        let usesPCID = type < 2
        if unsafe type > 3 || pcid &>> 12 != 0
            || usesPCID && pcid != 0 && cpu.pointee.cr4 & CR4.pcide == 0
            || type == 0 && !isCanonical(address)
        {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        serialize()
        unsafe context(cpu).statistics.tlbFlushes &+= 1
        switch type {
        case 0: unsafe flushPage(cpu, address)
        case 1: unsafe flushPCID(cpu, Int(truncatingIfNeeded: pcid))
        default: unsafe flushEverything(cpu)
        }
        return unsafe continueAfter(cpu, op)
    }

    static let swapGS: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        var gs = unsafe cpu.segment(Segment.gs)
        let base = gs.base
        gs.base = unsafe cpu.pointee.kernelGSBase
        unsafe cpu.pointee.kernelGSBase = base
        unsafe cpu.setSegment(Segment.gs, gs)
        return unsafe op + 1
    }

    /// RDFSBASE, RDGSBASE: `auxiliary` is the segment, `immediate` the operand size.
    static let readBase: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.cr4 & CR4.fsgsbase == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        let base = unsafe cpu.segment(Int(op.pointee.auxiliary)).base
        unsafe cpu.bytes.storeBytes(
            of: op.pointee.immediate == 8 ? base : base & 0xffff_ffff,
            toByteOffset: Int(op.pointee.destination), as: UInt64.self)
        return unsafe op + 1
    }

    static let writeBase: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.cr4 & CR4.fsgsbase == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        let value = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        let base = unsafe op.pointee.immediate == 8 ? value : value & 0xffff_ffff
        if unsafe setBase(cpu, Int(op.pointee.auxiliary), base) == .refused {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        return unsafe op + 1
    }

    static let readProcessorID: InstructionHandler = { cpu, op in
        unsafe cpu.bytes.storeBytes(
            of: cpu.pointee.tscAux & 0xffff_ffff, toByteOffset: Int(op.pointee.destination),
            as: UInt64.self)
        return unsafe op + 1
    }

    static let clearInterrupt: InstructionHandler = { cpu, op in
        if unsafe !interruptFlagAllowed(cpu, op) { return nil }
        unsafe cpu.pointee.systemFlags &= ~Flags.interrupt
        unsafe refreshPendingMask(cpu)
        return unsafe op + 1
    }

    static let setInterrupt: InstructionHandler = { cpu, op in
        if unsafe !interruptFlagAllowed(cpu, op) { return nil }
        let was = unsafe cpu.pointee.systemFlags & Flags.interrupt
        unsafe cpu.pointee.systemFlags |= Flags.interrupt
        unsafe refreshPendingMask(cpu)
        if was != 0 { return unsafe op + 1 }
        // Nobody looks for interrupts within a block: the shadow matters if one waits already, or if
        // the next instruction is in another block, or alone.
        let waiting = unsafe cengine_load32(cpu.pointee.pendingWord) & 1 != 0
        let isLast = unsafe Int((op + 1).pointee.flags) & INSTRUCTION_END != 0
        if !waiting && !isLast { return unsafe op + 1 }
        unsafe shadowNextInstruction(cpu, stack: false)
        return unsafe continueAfter(cpu, op)
    }

    static let clearAccessCheck: InstructionHandler = { cpu, op in
        unsafe accessCheck(cpu, op, set: false)
    }
    static let setAccessCheck: InstructionHandler = { cpu, op in
        unsafe accessCheck(cpu, op, set: true)
    }

    private static func accessCheck(_ cpu: CPU, _ op: Op, set: Bool) -> Next {
        if unsafe cpu.currentPrivilegeLevel != 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        if set {
            unsafe cpu.pointee.systemFlags |= Flags.alignmentCheck
        } else {
            unsafe cpu.pointee.systemFlags &= ~Flags.alignmentCheck
        }
        unsafe refreshContexts(cpu)
        return unsafe op + 1
    }

    private static func interruptFlagAllowed(_ cpu: CPU, _ op: Op) -> Bool {
        let iopl = unsafe UInt32(truncatingIfNeeded: cpu.pointee.systemFlags &>> 12) & 3
        if unsafe cpu.pointee.blockMode & BlockMode.protected != 0
            ? cpu.currentPrivilegeLevel <= iopl
            : cpu.pointee.blockMode & BlockMode.virtual8086 == 0 || iopl == 3
        {
            return true
        }
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return false
    }

    static let pushFlags: InstructionHandler = { cpu, op in
        if unsafe virtual8086Refuses(cpu, op) { return nil }
        let flags = unsafe readFlags(cpu) & ~(Flags.resume | Flags.virtual8086)
        return unsafe pushLegacy(cpu, op, flags) ? op + 1 : nil
    }

    static let popFlags: InstructionHandler = { cpu, op in
        if unsafe virtual8086Refuses(cpu, op) { return nil }
        guard let flags = unsafe popLegacy(cpu, op, 0) else { return nil }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ UInt64(op.pointee.auxiliary))
        unsafe returnFlags(cpu, op, flags & ~Flags.resume, from: cpu.currentPrivilegeLevel)
        unsafe cpu.pointee.systemFlags &= ~Flags.resume
        return unsafe continueAfter(cpu, op)
    }

    private static func virtual8086Refuses(_ cpu: CPU, _ op: Op) -> Bool {
        if unsafe cpu.pointee.blockMode & BlockMode.virtual8086 == 0
            || cpu.pointee.systemFlags & Flags.ioPrivilegeLevel == Flags.ioPrivilegeLevel
        {
            return false
        }
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return true
    }
}

func flushPCID(_ cpu: CPU, _ pcid: Int) {
    let engine = unsafe context(cpu)
    engine.contexts.slotOfPCID[pcid & 4095] = 0
    if unsafe UInt64(pcid) == cpu.pointee.cr3 & 0xfff || cpu.pointee.cr4 & CR4.pcide == 0 {
        unsafe switchAddressSpace(cpu, keep: false)
    }
}

// MARK: Port input and output.

enum PortIO {
    /// IN: `auxiliary` is the width, `immediate` the port, or DX when `source` says so.
    static let input: InstructionHandler = { cpu, op in
        let width = unsafe Int(op.pointee.auxiliary)
        let port = unsafe portNumber(cpu, op)
        if unsafe !portAllowed(cpu, op, port, width) { return nil }
        guard let value = unsafe replayedAnswer(cpu) else {
            return unsafe leave(
                cpu, op, with: .portRead(port: PortNumber(port), width: width),
                awaiting: endsWithAnswer(cpu, op) ? .accumulator(width: width) : .replay)
        }
        unsafe notePortBreakpoints(cpu, port, width)
        unsafe setAccumulator(cpu, value, width)
        return unsafe op + 1
    }

    static func setAccumulator(_ cpu: CPU, _ value: UInt64, _ width: Int) {
        switch width {
        case 4: unsafe cpu.setGPR(GPR.rax, value & 0xffff_ffff)
        case 2: unsafe cpu.setGPR(GPR.rax, cpu.gpr(GPR.rax) & ~0xffff | value & 0xffff)
        default: unsafe cpu.setGPR(GPR.rax, cpu.gpr(GPR.rax) & ~0xff | value & 0xff)
        }
    }

    static let output: InstructionHandler = { cpu, op in
        let width = unsafe Int(op.pointee.auxiliary)
        let port = unsafe portNumber(cpu, op)
        if unsafe !portAllowed(cpu, op, port, width) { return nil }
        if unsafe replayedAnswer(cpu) != nil {
            unsafe notePortBreakpoints(cpu, port, width)
            return unsafe op + 1
        }
        let mask: UInt64 = width == 4 ? 0xffff_ffff : width == 2 ? 0xffff : 0xff
        let value = unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rax) & mask)
        return unsafe leave(
            cpu, op, with: .portWrite(port: PortNumber(port), width: width, value: value),
            awaiting: endsWithAnswer(cpu, op) ? .end : .replayWrite)
    }

    /// Nothing is left to do when the machine has answered, so the instruction need not run again.
    private static func endsWithAnswer(_ cpu: CPU, _ op: Op) -> Bool {
        let engine = unsafe context(cpu)
        // Elsewhere the instruction pointer wraps, and traps may follow.
        guard unsafe cpu.isLongCode, unsafe cpu.pointee.stepping == 0, !engine.breakpoints.hasPort
        else { return false }
        engine.instructionLength = unsafe UInt64(op.pointee.length)
        return true
    }

    private static func portNumber(_ cpu: CPU, _ op: Op) -> UInt16 {
        unsafe op.pointee.source != Layout.zero
            ? UInt16(truncatingIfNeeded: cpu.gpr(GPR.rdx))
            : UInt16(truncatingIfNeeded: op.pointee.immediate & 0xff)
    }

    /// CPL against IOPL, then the permission bitmap of the task.
    static func portAllowed(_ cpu: CPU, _ op: Op, _ port: UInt16, _ width: Int) -> Bool {
        let mode = unsafe cpu.pointee.blockMode
        let iopl = unsafe UInt32(truncatingIfNeeded: cpu.pointee.systemFlags &>> 12) & 3
        if mode & (BlockMode.protected | BlockMode.virtual8086) == 0 { return true }
        if mode & BlockMode.protected != 0, unsafe cpu.currentPrivilegeLevel <= iopl { return true }
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
        let task = unsafe cpu.pointee.taskRegister
        if task.attributes & 8 != 0, task.limit >= 0x67,
            let base = unsafe readSystem(cpu, op, task.base &+ 0x66, as: UInt16.self)
        {
            let first = UInt32(base) &+ UInt32(port) / 8
            if first < task.limit,
                let bits = unsafe readSystem(cpu, op, task.base &+ UInt64(first), as: UInt16.self)
            {
                let mask = UInt16(truncatingIfNeeded: (1 &<< width) &- 1) &<< (port & 7)
                if bits & mask == 0 { return true }
            } else if unsafe cpu.pointee.leaveReason == LeaveReason.fault {
                return false
            }
        } else if unsafe cpu.pointee.leaveReason == LeaveReason.fault {
            return false
        }
        unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        return false
    }
}
