internal import CEngine

/// Goes on with the instruction behind `op`, as the last thing a handler does.
///
/// The compiler makes a jump of it, so that a block costs one call and each handler has an indirect
/// jump of its own for the host to predict. Where it makes a call, the block's length bounds the
/// depth: what ends a block returns to the run loop.
@inline(__always)
func following(_ cpu: CPU, _ op: Op) -> Next {
    let next = unsafe op + 1
    return unsafe next.pointee.handler(cpu, next)
}

/// Behind a branch that is not taken: where the end of the block leads, without a stop there.
@inline(__always)
func fallThrough(_ op: Op) -> Next {
    let end = unsafe op + 1
    return unsafe end.pointee.target ?? end
}

/// What `blockHeader` does, where the run loop does it without a call. The result is the first
/// instruction of the block; `op` itself if it is no header, or one that has to be called.
@inline(__always)
func enter(_ cpu: CPU, _ op: Op, headers: UInt) -> Op {
    // The handler is read each time: a block that was dropped has another.
    guard unsafe unsafeBitCast(op.pointee.handler, to: UInt.self) == headers else {
        return unsafe op
    }
    let budget = unsafe cpu.pointee.budget
    let pending = unsafe cengine_load32(cpu.pointee.pendingWord) & cpu.pointee.pendingMask
    if _slowPath(budget <= 0 || pending != 0) { return unsafe op }
    unsafe cpu.pointee.block = unsafe op
    unsafe cpu.pointee.budget = unsafe budget &- Int64(bitPattern: op.pointee.immediate)
    return unsafe op + 1
}

/// Gives back what the header of the running block took for instructions that did not run: the one
/// at the instruction pointer and those behind it. None if all of them did.
func refundBudget(_ cpu: CPU) {
    guard let header = unsafe cpu.pointee.block else { return }
    unsafe cpu.pointee.block = nil
    let paid = unsafe Int(truncatingIfNeeded: header.pointee.immediate)
    let rip = unsafe cpu.pointee.rip
    for index in 0..<min(paid, CodeArena.longestBlock)
    where unsafe cpu.instructionPointer(of: header + (index &+ 1)) == rip {
        unsafe cpu.pointee.budget &+= Int64(paid &- index)
        return
    }
    // What has left the block before it failed is the block's last instruction.
    unsafe cpu.pointee.budget &+= 1
}
