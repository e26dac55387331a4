internal import CEngine

// SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM volume 2).

enum SystemCall {
    static let syscall: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.efer & EFER.sce == 0 || !cpu.isLongCode && cpu.pointee.cstar == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        let isLong = unsafe cpu.isLongCode
        if unsafe cpu.pointee.efer & EFER.lma == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        unsafe cpu.setGPR(GPR.rcx, cpu.nextInstructionPointer(of: op))
        unsafe cpu.setGPR(11, readFlags(cpu) & ~Flags.resume)
        let selector = unsafe UInt16(truncatingIfNeeded: cpu.pointee.star &>> 32) & 0xfffc
        unsafe flatSegments(cpu, code: selector, stack: selector &+ 8, cpl: 0, long: true)
        let flags = unsafe readFlags(cpu) & ~cpu.pointee.syscallMask & ~Flags.resume
        unsafe refreshMode(cpu)
        unsafe writeFlags(cpu, flags)
        if unsafe cpu.pointee.stepping != 0 { unsafe trapAtOnce(cpu) }
        return unsafe jump(cpu, to: isLong ? cpu.pointee.lstar : cpu.pointee.cstar)
    }

    static let sysret: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.efer & EFER.sce == 0 || cpu.pointee.efer & EFER.lma == 0 {
            return unsafe raise(cpu, op, vector: Vector.invalidOpcode)
        }
        if unsafe cpu.currentPrivilegeLevel != 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        let long = unsafe op.pointee.auxiliary == 8
        let target = unsafe long ? cpu.gpr(GPR.rcx) : cpu.gpr(GPR.rcx) & 0xffff_ffff
        if !isCanonical(target) {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        let base = unsafe UInt16(truncatingIfNeeded: cpu.pointee.star &>> 48)
        let code = (long ? base &+ 16 : base) | 3
        unsafe flatSegments(cpu, code: code, stack: (base &+ 8) | 3, cpl: 3, long: long)
        unsafe refreshMode(cpu)
        unsafe writeFlags(cpu, cpu.gpr(11) & 0x3c_7fd7 | Flags.fixed)
        if unsafe cpu.pointee.stepping != 0 { unsafe trapAtOnce(cpu) }
        return unsafe jump(cpu, to: target)
    }

    static let sysenter: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.cr0 & CR0.pe == 0 || cpu.pointee.sysenterCS & 0xfffc == 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        let long = unsafe cpu.pointee.efer & EFER.lma != 0
        let selector = unsafe UInt16(truncatingIfNeeded: cpu.pointee.sysenterCS) & 0xfffc
        unsafe cpu.pointee.systemFlags &= ~(Flags.virtual8086 | Flags.interrupt | Flags.resume)
        unsafe refreshPendingMask(cpu)
        unsafe flatSegments(cpu, code: selector, stack: selector &+ 8, cpl: 0, long: long)
        unsafe refreshMode(cpu)
        unsafe cpu.setGPR(
            GPR.rsp, long ? cpu.pointee.sysenterESP : cpu.pointee.sysenterESP & 0xffff_ffff)
        return unsafe jump(
            cpu, to: long ? cpu.pointee.sysenterEIP : cpu.pointee.sysenterEIP & 0xffff_ffff)
    }

    static let sysexit: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.cr0 & CR0.pe == 0 || cpu.pointee.sysenterCS & 0xfffc == 0
            || cpu.currentPrivilegeLevel != 0
        {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        let long = unsafe op.pointee.auxiliary == 8
        let base = unsafe UInt16(truncatingIfNeeded: cpu.pointee.sysenterCS)
        let target = unsafe long ? cpu.gpr(GPR.rdx) : cpu.gpr(GPR.rdx) & 0xffff_ffff
        let stack = unsafe long ? cpu.gpr(GPR.rcx) : cpu.gpr(GPR.rcx) & 0xffff_ffff
        if !isCanonical(target) || !isCanonical(stack) {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        unsafe flatSegments(
            cpu, code: (base &+ (long ? 32 : 16)) | 3, stack: (base &+ (long ? 40 : 24)) | 3,
            cpl: 3, long: long)
        unsafe refreshMode(cpu)
        unsafe cpu.setGPR(GPR.rsp, stack)
        return unsafe jump(cpu, to: target)
    }
}

private func flatSegments(_ cpu: CPU, code: UInt16, stack: UInt16, cpl: UInt16, long: Bool) {
    unsafe cpu.setSegment(
        Segment.cs,
        SegmentRegister(
            base: 0, limit: 0xffff_ffff, selector: code,
            attributes: (long ? 0xa09b : 0xc09b) | cpl &<< 5))
    unsafe cpu.setSegment(
        Segment.ss,
        SegmentRegister(
            base: 0, limit: 0xffff_ffff, selector: stack, attributes: 0xc093 | cpl &<< 5))
}
