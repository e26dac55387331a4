internal import CEngine
internal import CHost
internal import VirtualCPU

// RDMSR and WRMSR (SDM volume 4). Registers of the processor are answered here; those of the local
// APIC, of the paravirtual faces, and unknown ones leave to the machine.

enum MSR {
    static let tsc: UInt32 = 0x10
    static let apicBase: UInt32 = 0x1b
    static let tscAdjust: UInt32 = 0x3b
    static let biosSignature: UInt32 = 0x8b
    static let mtrrCapabilities: UInt32 = 0xfe
    static let sysenterCS: UInt32 = 0x174
    static let sysenterESP: UInt32 = 0x175
    static let sysenterEIP: UInt32 = 0x176
    static let miscEnable: UInt32 = 0x1a0
    static let pat: UInt32 = 0x277
    static let mtrrDefaultType: UInt32 = 0x2ff
    static let xss: UInt32 = 0xda0
    static let efer: UInt32 = 0xc000_0080
    static let star: UInt32 = 0xc000_0081
    static let lstar: UInt32 = 0xc000_0082
    static let cstar: UInt32 = 0xc000_0083
    static let syscallMask: UInt32 = 0xc000_0084
    static let fsBase: UInt32 = 0xc000_0100
    static let gsBase: UInt32 = 0xc000_0101
    static let kernelGSBase: UInt32 = 0xc000_0102
    static let tscAux: UInt32 = 0xc000_0103
    static let fixedMTRR: [UInt32] = [
        0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
    ]
}

enum ModelSpecificRegister {
    static let read: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let index = unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rcx))
        guard let value = unsafe readMSR(cpu, index) else {
            return unsafe leave(
                cpu, op, with: .msrRead(index: index), awaiting: .modelSpecificRegister)
        }
        unsafe cpu.setGPR(GPR.rax, value & 0xffff_ffff)
        unsafe cpu.setGPR(GPR.rdx, value &>> 32)
        return unsafe op + 1
    }

    static let write: InstructionHandler = { cpu, op in
        if unsafe !requirePrivilege(cpu, op) { return nil }
        let index = unsafe UInt32(truncatingIfNeeded: cpu.gpr(GPR.rcx))
        let value = unsafe cpu.gpr(GPR.rax) & 0xffff_ffff | cpu.gpr(GPR.rdx) &<< 32
        switch unsafe writeMSR(cpu, index, value) {
        case .done:
            serialize()
            return unsafe continueAfter(cpu, op)
        case .counter:
            return unsafe leave(
                cpu, op, with: .counterAdjusted(cpu.pointee.tscAdjust),
                awaiting: .modelSpecificRegister)
        case .refused: return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        case .machine:
            return unsafe leave(
                cpu, op, with: .msrWrite(index: index, value: value),
                awaiting: .modelSpecificRegister)
        }
    }

    static let timeStampCounter: InstructionHandler = { cpu, op in
        if unsafe cpu.pointee.cr4 & CR4.tsd != 0, unsafe cpu.currentPrivilegeLevel != 0 {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        let value = unsafe guestTSC(cpu)
        unsafe cpu.setGPR(GPR.rax, value & 0xffff_ffff)
        unsafe cpu.setGPR(GPR.rdx, value &>> 32)
        if unsafe op.pointee.auxiliary != 0 {
            unsafe cpu.setGPR(GPR.rcx, cpu.pointee.tscAux & 0xffff_ffff)
        }
        return unsafe op + 1
    }
}

func guestTSC(_ cpu: CPU) -> UInt64 { unsafe chost_rdtsc() &+ cpu.pointee.tscOffset }

/// Nil: not one of the processor's.
func readMSR(_ cpu: CPU, _ index: UInt32) -> UInt64? {
    switch index {
    case MSR.tsc: return unsafe guestTSC(cpu)
    case MSR.tscAdjust: return unsafe cpu.pointee.tscAdjust
    case MSR.biosSignature: return 1 << 32
    case MSR.mtrrCapabilities: return 0x508
    case MSR.sysenterCS: return unsafe cpu.pointee.sysenterCS
    case MSR.sysenterESP: return unsafe cpu.pointee.sysenterESP
    case MSR.sysenterEIP: return unsafe cpu.pointee.sysenterEIP
    case MSR.miscEnable: return unsafe cpu.pointee.miscEnable
    case MSR.pat: return unsafe cpu.pointee.pat
    case MSR.mtrrDefaultType: return unsafe cpu.pointee.mtrrDefaultType
    case MSR.xss: return unsafe cpu.pointee.xss
    case MSR.efer: return unsafe cpu.pointee.efer
    case MSR.star: return unsafe cpu.pointee.star
    case MSR.lstar: return unsafe cpu.pointee.lstar
    case MSR.cstar: return unsafe cpu.pointee.cstar
    case MSR.syscallMask: return unsafe cpu.pointee.syscallMask
    case MSR.fsBase: return unsafe cpu.segment(Segment.fs).base
    case MSR.gsBase: return unsafe cpu.segment(Segment.gs).base
    case MSR.kernelGSBase: return unsafe cpu.pointee.kernelGSBase
    case MSR.tscAux: return unsafe cpu.pointee.tscAux
    case 0x200..<0x210:
        return unsafe withUnsafePointer(to: &cpu.pointee.variableMTRR) {
            unsafe UnsafeRawPointer($0).load(
                fromByteOffset: Int(index &- 0x200) &* 8, as: UInt64.self)
        }
    default:
        guard let slot = MSR.fixedMTRR.firstIndex(of: index) else { return nil }
        return unsafe withUnsafePointer(to: &cpu.pointee.fixedMTRR) {
            unsafe UnsafeRawPointer($0).load(fromByteOffset: slot &* 8, as: UInt64.self)
        }
    }
}

enum MSRWrite {
    case done
    /// Done, and the machine's timers must know.
    case counter
    case refused
    case machine
}

func writeMSR(_ cpu: CPU, _ index: UInt32, _ value: UInt64) -> MSRWrite {
    switch index {
    case MSR.tsc:
        let delta = unsafe value &- guestTSC(cpu)
        unsafe cpu.pointee.tscOffset = unsafe cpu.pointee.tscOffset &+ delta
        unsafe cpu.pointee.tscAdjust = unsafe cpu.pointee.tscAdjust &+ delta
        return .counter
    case MSR.tscAdjust:
        unsafe cpu.pointee.tscOffset =
            unsafe cpu.pointee.tscOffset &+ (value &- cpu.pointee.tscAdjust)
        unsafe cpu.pointee.tscAdjust = value
        return .counter
    case MSR.biosSignature: break
    case MSR.sysenterCS: unsafe cpu.pointee.sysenterCS = value & 0xffff_ffff
    case MSR.sysenterESP:
        if !isCanonical(value) { return .refused }
        unsafe cpu.pointee.sysenterESP = value
    case MSR.sysenterEIP:
        if !isCanonical(value) { return .refused }
        unsafe cpu.pointee.sysenterEIP = value
    case MSR.miscEnable: unsafe cpu.pointee.miscEnable = value
    case MSR.pat:
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            let type = (value &>> shift) & 0xff
            if type > 7 || type == 2 || type == 3 { return .refused }
        }
        unsafe cpu.pointee.pat = value
    case MSR.mtrrDefaultType:
        if value & ~0xcff != 0 { return .refused }
        unsafe cpu.pointee.mtrrDefaultType = value
    case MSR.xss:
        if value != 0 { return .refused }
    case MSR.efer: return unsafe writeEFER(cpu, value)
    case MSR.star: unsafe cpu.pointee.star = value
    case MSR.lstar:
        if !isCanonical(value) { return .refused }
        unsafe cpu.pointee.lstar = value
    case MSR.cstar:
        if !isCanonical(value) { return .refused }
        unsafe cpu.pointee.cstar = value
    case MSR.syscallMask: unsafe cpu.pointee.syscallMask = value & 0xffff_ffff
    case MSR.fsBase: return unsafe setBase(cpu, Segment.fs, value)
    case MSR.gsBase: return unsafe setBase(cpu, Segment.gs, value)
    case MSR.kernelGSBase:
        if !isCanonical(value) { return .refused }
        unsafe cpu.pointee.kernelGSBase = value
    case MSR.tscAux:
        if value &>> 32 != 0 { return .refused }
        unsafe cpu.pointee.tscAux = value
    case 0x200..<0x210:
        unsafe withUnsafeMutablePointer(to: &cpu.pointee.variableMTRR) {
            unsafe UnsafeMutableRawPointer($0).storeBytes(
                of: value, toByteOffset: Int(index &- 0x200) &* 8, as: UInt64.self)
        }
    default:
        guard let slot = MSR.fixedMTRR.firstIndex(of: index) else { return .machine }
        unsafe withUnsafeMutablePointer(to: &cpu.pointee.fixedMTRR) {
            unsafe UnsafeMutableRawPointer($0).storeBytes(
                of: value, toByteOffset: slot &* 8, as: UInt64.self)
        }
    }
    return .done
}

private func writeEFER(_ cpu: CPU, _ value: UInt64) -> MSRWrite {
    if value & ~EFER.defined != 0 { return .refused }
    let old = unsafe cpu.pointee.efer
    if (old ^ value) & EFER.lme != 0, unsafe cpu.pointee.cr0 & CR0.pg != 0 { return .refused }
    unsafe cpu.pointee.efer = value & ~EFER.lma | old & EFER.lma
    if (old ^ value) & EFER.nxe != 0 { unsafe flushEverything(cpu) }
    return .done
}

func setBase(_ cpu: CPU, _ number: Int, _ base: UInt64) -> MSRWrite {
    if !isCanonical(base) { return .refused }
    var segment = unsafe cpu.segment(number)
    segment.base = base
    unsafe cpu.setSegment(number, segment)
    if unsafe !cpu.isLongCode { unsafe refreshLegacyBases(cpu) }
    return .done
}
