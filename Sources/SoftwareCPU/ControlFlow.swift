internal import CEngine

// Near transfers. `op.displacement` of a direct branch counts from the next instruction.

/// Wraps an instruction pointer to the code and operand size. `op.auxiliary` is the operand size.
@inline(__always)
private func wrap(_ cpu: CPU, _ op: Op, _ rip: UInt64) -> UInt64 {
    if unsafe _fastPath(cpu.isLongCode) { return rip }
    return unsafe op.pointee.auxiliary == 2 ? rip & 0xffff : rip & 0xffff_ffff
}

@inline(__always)
private func relativeTarget(_ cpu: CPU, _ op: Op) -> UInt64 {
    let next = unsafe cpu.linearAddress(behind: op)
    let pointer = unsafe cpu.isLongCode ? next : (next &- cpu.csBase) & 0xffff_ffff
    return unsafe wrap(cpu, op, pointer &+ UInt64(bitPattern: Int64(op.pointee.displacement)))
}

@inline(__always)
func takeBranch(_ cpu: CPU, _ op: Op) -> Next {
    if let target = unsafe op.pointee.target { return unsafe proceed(cpu, target) }
    return unsafe takeUnlinked(cpu, op)
}

/// The same where it is not the last thing that a handler does.
private func branchTarget(_ cpu: CPU, _ op: Op) -> Next {
    unsafe op.pointee.target
        ?? jumpAndLink(cpu, op, to: relativeTarget(cpu, op), fallsThrough: false)
}

/// A direct branch that is not linked: into another page, or for the first time.
private let takeUnlinked: InstructionHandler = unsafe findTarget

@inline(__always)
private func findTarget(_ cpu: CPU, _ op: Op) -> Next {
    let rip = unsafe relativeTarget(cpu, op)
    // Within its page it is to be linked.
    if unsafe cpu.isLongCode, unsafe cpu.pointee.codePage != rip & ~0xfff,
        let target = unsafe knownTarget(cpu, rip)
    {
        return unsafe proceed(cpu, target)
    }
    return unsafe cengine_run(cpu, op, linkTarget)
}

private let linkTarget: InstructionHandler = { cpu, op in
    unsafe jumpAndLink(cpu, op, to: relativeTarget(cpu, op), fallsThrough: false)
}

/// Outside 64-bit code, a relative branch beyond the limit of CS faults itself: for those that change
/// something before `takeBranch` sees it. False: #GP is recorded.
@inline(__always)
private func targetIsInside(_ cpu: CPU, _ op: Op) -> Bool {
    if unsafe _fastPath(cpu.isLongCode) { return true }
    return unsafe isInside(cpu, op, relativeTarget(cpu, op))
}

private func isInside(_ cpu: CPU, _ op: Op, _ target: UInt64) -> Bool {
    if unsafe target <= UInt64(cpu.segment(Segment.cs).limit) { return true }
    unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    return false
}

/// Jcc keeps the links of both its ways: nothing stands behind it.
enum ConditionalBranch {
    static let handlers: [InstructionHandler] = unsafe [
        branch0, branch1, branch2, branch3, branch4, branch5, branch6, branch7, branch8, branch9,
        branch10, branch11, branch12, branch13, branch14, branch15,
    ]
}

@inline(__always)
private func branch(_ cpu: CPU, _ op: Op, if condition: (_ flags: UInt64) -> Bool) -> Next {
    unsafe condition(cpu.pointee.statusFlags) ? takeBranch(cpu, op) : fallThrough(cpu, op)
}

@inline(__always)
private func branch0(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition0)
}
@inline(__always)
private func branch1(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition1)
}
@inline(__always)
private func branch2(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition2)
}
@inline(__always)
private func branch3(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition3)
}
@inline(__always)
private func branch4(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition4)
}
@inline(__always)
private func branch5(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition5)
}
@inline(__always)
private func branch6(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition6)
}
@inline(__always)
private func branch7(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition7)
}
@inline(__always)
private func branch8(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition8)
}
@inline(__always)
private func branch9(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition9)
}
@inline(__always)
private func branch10(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition10)
}
@inline(__always)
private func branch11(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition11)
}
@inline(__always)
private func branch12(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition12)
}
@inline(__always)
private func branch13(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition13)
}
@inline(__always)
private func branch14(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition14)
}
@inline(__always)
private func branch15(_ cpu: CPU, _ op: Op) -> Next {
    unsafe branch(cpu, op, if: condition15)
}

enum NearTransfer {
    static let jumpRelative: InstructionHandler = unsafe takeBranch
    static let callRelative64: InstructionHandler = unsafe callRelative
    static let return64: InstructionHandler = unsafe returnLong

    static let callRelativeLegacy: InstructionHandler = { cpu, op in
        if unsafe !targetIsInside(cpu, op) { return nil }
        if unsafe !pushLegacy(cpu, op, cpu.nextInstructionPointer(of: op)) { return nil }
        return unsafe branchTarget(cpu, op)
    }

    static let jumpRegister64: InstructionHandler = unsafe jumpRegister
    static let jumpMemory64: InstructionHandler = unsafe jumpMemory
    static let callRegister64: InstructionHandler = unsafe callRegister
    static let callMemory64: InstructionHandler = unsafe callMemory

    static let jumpLegacy: InstructionHandler = { cpu, op in
        guard let target = unsafe legacyTarget(cpu, op) else { return nil }
        return unsafe branch(cpu, op, to: target)
    }

    static let callLegacy: InstructionHandler = { cpu, op in
        guard let target = unsafe legacyTarget(cpu, op), unsafe isInside(cpu, op, target) else {
            return nil
        }
        if unsafe !pushLegacy(cpu, op, cpu.nextInstructionPointer(of: op)) { return nil }
        return unsafe branch(cpu, op, to: target)
    }

    static let returnLegacy: InstructionHandler = { cpu, op in
        let rsp = unsafe cpu.gpr(GPR.rsp)
        guard let target = unsafe popLegacy(cpu, op, 0) else { return nil }
        if unsafe target > UInt64(cpu.segment(Segment.cs).limit) {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
        unsafe setStackPointer(cpu, rsp &+ UInt64(op.pointee.auxiliary) &+ op.pointee.immediate)
        return unsafe jump(cpu, to: target)
    }

    /// LOOP, LOOPE, LOOPNE, JCXZ: `scaleShift` says which, `source` is the count's width.
    static let loop: InstructionHandler = { cpu, op in
        let mask: UInt64 =
            switch unsafe op.pointee.source {
            case 8: .max
            case 4: 0xffff_ffff
            default: 0xffff
            }
        let count = unsafe cpu.gpr(GPR.rcx)
        if unsafe op.pointee.scaleShift == 3 {
            return unsafe count & mask == 0 ? branchTarget(cpu, op) : op + 1
        }
        let next = (count &- 1) & mask
        let zero = unsafe cpu.pointee.statusFlags & 0x4000 != 0
        let taken =
            switch unsafe op.pointee.scaleShift {
            case 1: next != 0 && zero
            case 2: next != 0 && !zero
            default: next != 0
            }
        if taken, unsafe !targetIsInside(cpu, op) { return nil }
        switch unsafe op.pointee.source {
        case 8, 4: unsafe cpu.setGPR(GPR.rcx, next)
        default: unsafe cpu.setGPR(GPR.rcx, count & ~0xffff | next)
        }
        return unsafe taken ? branchTarget(cpu, op) : op + 1
    }
}

// MARK: 64-bit code

@inline(__always)
private func callRelative(_ cpu: CPU, _ op: Op) -> Next {
    let rsp = unsafe cpu.gpr(GPR.rsp) &- 8
    let top = unsafe Probe(cpu, writing: rsp, 8)
    guard _fastPath(top.hits) else {
        return unsafe cengine_run(cpu, op, callRelativeSlowly)
    }
    unsafe top.pointer.storeBytes(
        of: cpu.linearAddress(behind: op), as: UInt64.self)
    unsafe cpu.setGPR(GPR.rsp, rsp)
    return unsafe takeBranch(cpu, op)
}

private let callRelativeSlowly: InstructionHandler = { cpu, op in
    let rsp = unsafe cpu.gpr(GPR.rsp) &- 8
    if unsafe !storeStack(cpu, op, rsp, cpu.linearAddress(behind: op)) {
        return nil
    }
    unsafe cpu.setGPR(GPR.rsp, rsp)
    return unsafe branchTarget(cpu, op)
}

@inline(__always)
private func returnLong(_ cpu: CPU, _ op: Op) -> Next {
    let rsp = unsafe cpu.gpr(GPR.rsp)
    let top = unsafe Probe(cpu, reading: rsp, 8)
    guard _fastPath(top.hits) else { return unsafe cengine_run(cpu, op, returnSlowly) }
    let target = unsafe top.pointer.loadUnaligned(as: UInt64.self)
    if _slowPath(!isCanonical(target)) { return unsafe cengine_run(cpu, op, returnSlowly) }
    unsafe cpu.setGPR(GPR.rsp, rsp &+ 8 &+ op.pointee.immediate)
    return unsafe jumpLong(cpu, op, to: target)
}

private let returnSlowly: InstructionHandler = { cpu, op in
    let rsp = unsafe cpu.gpr(GPR.rsp)
    guard let target = unsafe loadStack(cpu, op, rsp, as: UInt64.self) else { return nil }
    if !isCanonical(target) {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    unsafe cpu.setGPR(GPR.rsp, rsp &+ 8 &+ op.pointee.immediate)
    return unsafe jump(cpu, to: target)
}

@inline(__always)
private func jumpRegister(_ cpu: CPU, _ op: Op) -> Next {
    let target = unsafe cpu.read(op.pointee.source, as: UInt64.self)
    guard _fastPath(isCanonical(target)) else {
        return unsafe cengine_run(cpu, op, jumpRegisterSlowly)
    }
    return unsafe jumpLong(cpu, op, to: target)
}

@inline(__always)
private func jumpMemory(_ cpu: CPU, _ op: Op) -> Next {
    let operand = unsafe Probe(cpu, reading: plainAddress(cpu, op), 8)
    guard unsafe _fastPath(op.pointee.flags & slowAddress == 0 && operand.hits) else {
        return unsafe cengine_run(cpu, op, jumpMemorySlowly)
    }
    let target = unsafe operand.pointer.loadUnaligned(as: UInt64.self)
    guard _fastPath(isCanonical(target)) else {
        return unsafe cengine_run(cpu, op, jumpMemorySlowly)
    }
    return unsafe jumpLong(cpu, op, to: target)
}

@inline(__always)
private func callRegister(_ cpu: CPU, _ op: Op) -> Next {
    let target = unsafe cpu.read(op.pointee.source, as: UInt64.self)
    let rsp = unsafe cpu.gpr(GPR.rsp) &- 8
    let top = unsafe Probe(cpu, writing: rsp, 8)
    guard _fastPath(top.hits && isCanonical(target)) else {
        return unsafe cengine_run(cpu, op, callRegisterSlowly)
    }
    return unsafe call(cpu, op, target, rsp, top)
}

@inline(__always)
private func callMemory(_ cpu: CPU, _ op: Op) -> Next {
    let operand = unsafe Probe(cpu, reading: plainAddress(cpu, op), 8)
    let rsp = unsafe cpu.gpr(GPR.rsp) &- 8
    let top = unsafe Probe(cpu, writing: rsp, 8)
    guard unsafe _fastPath(op.pointee.flags & slowAddress == 0 && operand.hits && top.hits) else {
        return unsafe cengine_run(cpu, op, callMemorySlowly)
    }
    let target = unsafe operand.pointer.loadUnaligned(as: UInt64.self)
    guard _fastPath(isCanonical(target)) else {
        return unsafe cengine_run(cpu, op, callMemorySlowly)
    }
    return unsafe call(cpu, op, target, rsp, top)
}

@inline(__always)
private func call(_ cpu: CPU, _ op: Op, _ target: UInt64, _ rsp: UInt64, _ top: Probe) -> Next {
    unsafe top.pointer.storeBytes(
        of: cpu.linearAddress(behind: op), as: UInt64.self)
    unsafe cpu.setGPR(GPR.rsp, rsp)
    return unsafe jumpLong(cpu, op, to: target)
}

private let jumpRegisterSlowly: InstructionHandler = { cpu, op in
    unsafe branch(cpu, op, to: cpu.read(op.pointee.source, as: UInt64.self))
}

private let jumpMemorySlowly: InstructionHandler = { cpu, op in
    guard let target = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt64.self) else {
        return nil
    }
    return unsafe branch(cpu, op, to: target)
}

private let callRegisterSlowly: InstructionHandler = { cpu, op in
    unsafe callLong(cpu, op, cpu.read(op.pointee.source, as: UInt64.self))
}

private let callMemorySlowly: InstructionHandler = { cpu, op in
    guard let target = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt64.self) else {
        return nil
    }
    return unsafe callLong(cpu, op, target)
}

@inline(__always)
func isCanonical(_ address: UInt64) -> Bool {
    let top = Int64(bitPattern: address) &>> 47
    return top == 0 || top == -1
}

/// Near indirect branch with the checks of the target.
@inline(__always)
private func branch(_ cpu: CPU, _ op: Op, to target: UInt64) -> Next {
    if unsafe _fastPath(cpu.isLongCode) {
        if _slowPath(!isCanonical(target)) {
            return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
        }
    } else if unsafe target > UInt64(cpu.segment(Segment.cs).limit) {
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    return unsafe jump(cpu, to: target)
}

@inline(__always)
private func callLong(_ cpu: CPU, _ op: Op, _ target: UInt64) -> Next {
    let rsp = unsafe cpu.gpr(GPR.rsp) &- 8
    if _slowPath(!isCanonical(target)) {
        // The stack has to be writable first.
        if unsafe !probeStore(cpu, op, rsp, 8, stack: true) { return nil }
        return unsafe raise(cpu, op, vector: Vector.generalProtection, errorCode: 0)
    }
    if unsafe !storeStack(cpu, op, rsp, cpu.linearAddress(behind: op)) {
        return nil
    }
    unsafe cpu.setGPR(GPR.rsp, rsp)
    return unsafe jump(cpu, to: target)
}

/// Target of an indirect near branch with 16- or 32-bit operand.
private func legacyTarget(_ cpu: CPU, _ op: Op) -> UInt64? {
    let wide = unsafe op.pointee.auxiliary == 4
    if unsafe op.pointee.source != Layout.zero {
        let value = unsafe cpu.read(op.pointee.source, as: UInt64.self)
        return wide ? value & 0xffff_ffff : value & 0xffff
    }
    let address = unsafe effectiveAddress(cpu, op)
    if wide { return unsafe load(cpu, op, address, as: UInt32.self).map { UInt64($0) } }
    return unsafe load(cpu, op, address, as: UInt16.self).map { UInt64($0) }
}

/// Pushes with operand size `op.auxiliary` of 2 or 4 (8 in 64-bit code).
func pushLegacy(_ cpu: CPU, _ op: Op, _ value: UInt64) -> Bool {
    let size = unsafe UInt64(op.pointee.auxiliary)
    let pointer = unsafe cpu.gpr(GPR.rsp) &- size
    let address = unsafe stackAddress(cpu, pointer)
    let done =
        switch size {
        case 8: unsafe storeStack(cpu, op, address, value)
        case 4: unsafe storeStack(cpu, op, address, UInt32(truncatingIfNeeded: value))
        default: unsafe storeStack(cpu, op, address, UInt16(truncatingIfNeeded: value))
        }
    if done { unsafe setStackPointer(cpu, pointer) }
    return done
}

/// Reads `displacement` bytes above the stack pointer with operand size `op.auxiliary`.
func popLegacy(_ cpu: CPU, _ op: Op, _ displacement: UInt64) -> UInt64? {
    let address = unsafe stackAddress(cpu, cpu.gpr(GPR.rsp) &+ displacement)
    switch unsafe op.pointee.auxiliary {
    case 8: return unsafe loadStack(cpu, op, address, as: UInt64.self)
    case 4: return unsafe loadStack(cpu, op, address, as: UInt32.self).map { UInt64($0) }
    default: return unsafe loadStack(cpu, op, address, as: UInt16.self).map { UInt64($0) }
    }
}
