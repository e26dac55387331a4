internal import CEngine

// Far JMP and CALL in protected mode: code segments, call gates, task gates and task state segments
// (SDM volume 3, 5.8, and the instructions' own pages).

/// Where a far JMP or CALL goes, and with which operand size a CALL pushes.
private struct FarTarget {
    var selector: UInt16
    var offset: UInt64
    var code: Descriptor
}

private func refuse(_ cpu: CPU, _ vector: UInt8, _ selector: UInt16) -> Next {
    unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc)
}

/// JMP or CALL `selector`:`offset` in protected or IA-32e mode.
func farProtected(_ cpu: CPU, _ op: Op, _ selector: UInt16, _ offset: UInt64, call: Bool) -> Next {
    unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: op)
    if selector & 0xfffc == 0 { return unsafe refuse(cpu, Vector.generalProtection, 0) }
    guard
        let descriptor = unsafe readDescriptor(cpu, op, selector, failing: Vector.generalProtection)
    else { return nil }
    if descriptor.isSystem {
        return unsafe throughSystem(cpu, op, selector, descriptor, call: call)
    }
    let cpl = unsafe cpu.currentPrivilegeLevel
    let isAllowed =
        descriptor.isCode
        && (descriptor.isConforming
            ? descriptor.privilegeLevel <= cpl
            : UInt32(selector & 3) <= cpl && descriptor.privilegeLevel == cpl)
    if unsafe !isAllowed
        || cpu.pointee.efer & EFER.lma != 0 && descriptor.isLong && descriptor.isBig
    {
        return unsafe refuse(cpu, Vector.generalProtection, selector)
    }
    if !descriptor.isPresent { return unsafe refuse(cpu, Vector.segmentNotPresent, selector) }
    let target = FarTarget(selector: selector, offset: offset, code: descriptor)
    return unsafe transfer(cpu, op, target, call: call, width: UInt64(op.pointee.auxiliary))
}

/// At the same privilege level.
private func transfer(_ cpu: CPU, _ op: Op, _ target: FarTarget, call: Bool, width: UInt64) -> Next
{
    var code = target.code
    let toLong = unsafe cpu.pointee.efer & EFER.lma != 0 && code.isLong
    let cpl = unsafe cpu.currentPrivilegeLevel
    if toLong ? !isCanonical(target.offset) : target.offset > UInt64(code.limit) {
        return unsafe refuse(cpu, Vector.generalProtection, 0)
    }
    if unsafe !markAccessed(cpu, op, target.selector, &code) { return nil }
    if call {
        var frame = unsafe currentFrame(cpu, width: width)
        if unsafe !frame.push(cpu, op, UInt64(cpu.segment(Segment.cs).selector))
            || !frame.push(cpu, op, cpu.nextInstructionPointer(of: op))
        {
            return nil
        }
        unsafe frame.setPointer(cpu)
    }
    unsafe setCodeSegment(cpu, code, selector: target.selector, cpl: cpl)
    return unsafe jump(cpu, to: target.offset)
}

private func currentFrame(_ cpu: CPU, width: UInt64) -> Frame {
    unsafe Frame(
        stack: cpu.segment(Segment.ss), pointer: cpu.gpr(GPR.rsp), width: width,
        isLong: cpu.isLongCode, privilege: cpu.currentPrivilegeLevel, faultCode: 0)
}

private func throughSystem(
    _ cpu: CPU, _ op: Op, _ selector: UInt16, _ descriptor: Descriptor, call: Bool
) -> Next {
    let long = unsafe cpu.pointee.efer & EFER.lma != 0
    let reach = unsafe max(cpu.currentPrivilegeLevel, UInt32(selector & 3))
    switch descriptor.type {
    case 12: break
    case 4 where !long: break
    case 1 where !long, 3 where !long, 5 where !long, 9 where !long, 11 where !long:
        break
    default: return unsafe refuse(cpu, Vector.generalProtection, selector)
    }
    if descriptor.privilegeLevel < reach {
        return unsafe refuse(cpu, Vector.generalProtection, selector)
    }
    switch descriptor.type {
    case 12, 4:
        return unsafe throughCallGate(cpu, op, selector, descriptor, call: call, long: long)
    case 5:
        if !descriptor.isPresent { return unsafe refuse(cpu, Vector.segmentNotPresent, selector) }
        let task = UInt16(truncatingIfNeeded: descriptor.raw &>> 16)
        return unsafe switchTask(cpu, op, to: task, by: call ? .call : .jump)
    default:
        return unsafe switchTask(cpu, op, to: selector, by: call ? .call : .jump)
    }
}

private func throughCallGate(
    _ cpu: CPU, _ op: Op, _ selector: UInt16, _ gate: Descriptor, call: Bool, long: Bool
) -> Next {
    var offset = gate.raw & 0xffff
    if gate.type == 12 { offset |= (gate.raw &>> 32) & 0xffff_0000 }
    if long {
        guard let address = unsafe descriptorAddress(cpu, selector, byteCount: 16) else {
            return unsafe refuse(cpu, Vector.generalProtection, selector)
        }
        guard let high = unsafe readSystem(cpu, op, address &+ 8, as: UInt64.self) else {
            return nil
        }
        if (high &>> 40) & 0x1f != 0 {
            return unsafe refuse(cpu, Vector.generalProtection, selector)
        }
        offset |= high &<< 32
    }
    if !gate.isPresent { return unsafe refuse(cpu, Vector.segmentNotPresent, selector) }
    let codeSelector = UInt16(truncatingIfNeeded: gate.raw &>> 16)
    if codeSelector & 0xfffc == 0 { return unsafe refuse(cpu, Vector.generalProtection, 0) }
    guard
        let code = unsafe readDescriptor(cpu, op, codeSelector, failing: Vector.generalProtection)
    else { return nil }
    let cpl = unsafe cpu.currentPrivilegeLevel
    let toInner = call && !code.isConforming && code.privilegeLevel < cpl
    if !code.isCode || code.privilegeLevel > cpl || long && (!code.isLong || code.isBig)
        || !call && !code.isConforming && code.privilegeLevel != cpl
    {
        return unsafe refuse(cpu, Vector.generalProtection, codeSelector)
    }
    if !code.isPresent { return unsafe refuse(cpu, Vector.segmentNotPresent, codeSelector) }
    let target = FarTarget(selector: codeSelector, offset: offset, code: code)
    let width: UInt64 = long ? 8 : gate.type == 12 ? 4 : 2
    if !toInner { return unsafe transfer(cpu, op, target, call: call, width: width) }
    let count = long ? 0 : Int(truncatingIfNeeded: (gate.raw &>> 32) & 0x1f)
    return unsafe callInner(cpu, op, target, width: width, parameters: count, long: long)
}

/// To a more privileged level, on the stack that the TSS has for it, parameters copied.
private func callInner(
    _ cpu: CPU, _ op: Op, _ target: FarTarget, width: UInt64, parameters: Int, long: Bool
) -> Next {
    var code = target.code
    let privilege = code.privilegeLevel
    if long ? !isCanonical(target.offset) : target.offset > UInt64(code.limit) {
        return unsafe refuse(cpu, Vector.generalProtection, 0)
    }
    let old = unsafe cpu.segment(Segment.ss)
    var frame: Frame
    if long {
        guard
            let pointer = unsafe innerStackPointer(cpu, op, privilege, table: 0, external: 0)
        else { return nil }
        frame = Frame(
            stack: SegmentRegister(
                base: 0, limit: 0xffff_ffff, selector: UInt16(truncatingIfNeeded: privilege),
                attributes: 0xc093 | UInt16(truncatingIfNeeded: privilege &<< 5)),
            pointer: pointer, width: width, isLong: true, privilege: privilege, faultCode: 0)
    } else {
        guard let (stack, pointer) = unsafe innerStack(cpu, op, privilege, external: 0) else {
            return nil
        }
        frame = Frame(
            stack: stack, pointer: pointer, width: width, isLong: false, privilege: privilege,
            faultCode: stack.selector & 0xfffc)
    }
    guard let words = unsafe callerParameters(cpu, op, count: parameters, width: width) else {
        return nil
    }
    if unsafe !frame.push(cpu, op, UInt64(old.selector))
        || !frame.push(cpu, op, cpu.gpr(GPR.rsp))
    {
        return nil
    }
    for word in words.reversed() where unsafe !frame.push(cpu, op, word) { return nil }
    if unsafe !frame.push(cpu, op, UInt64(cpu.segment(Segment.cs).selector))
        || !frame.push(cpu, op, cpu.nextInstructionPointer(of: op))
        || !markAccessed(cpu, op, target.selector, &code)
    {
        return nil
    }
    unsafe cpu.setSegment(Segment.ss, frame.stack)
    unsafe frame.setPointer(cpu)
    unsafe setCodeSegment(cpu, code, selector: target.selector, cpl: privilege)
    return unsafe jump(cpu, to: target.offset)
}

/// What lies on the caller's stack, lowest first.
private func callerParameters(_ cpu: CPU, _ op: Op, count: Int, width: UInt64) -> [UInt64]? {
    var words: [UInt64] = []
    for index in 0..<count {
        let pointer = unsafe cpu.gpr(GPR.rsp) &+ UInt64(truncatingIfNeeded: index) &* width
        let address = unsafe stackAddress(cpu, pointer)
        let word =
            width == 4
            ? unsafe loadStack(cpu, op, address, as: UInt32.self).map { UInt64($0) }
            : unsafe loadStack(cpu, op, address, as: UInt16.self).map { UInt64($0) }
        guard let word else { return nil }
        words.append(word)
    }
    return words
}
