internal import CEngine
internal import Synchronization

/// Goes on with the instruction behind `op`, as the last thing a handler does.
///
/// The compiler makes a jump of it, so that each handler has an indirect jump of its own for the host
/// to predict. Where it makes a call the host's stack grows with each instruction, without end:
/// handlers that need a frame at this place return `op + 1` to the run loop. `ChainTests` runs them.
@inline(__always)
func following(_ cpu: CPU, _ op: Op) -> Next {
    let next = unsafe op + 1
    return unsafe next.pointee.handler(cpu, next)
}

/// Goes on with the block that begins at `next`, as the last thing a handler does.
///
/// Blocks that ask for more than `begin` does are left to the run loop, translations above all: one
/// that was entered from a handler that another has called would be one more on the host's stack each
/// time. So are all of them in a debug build, where jumps to handlers are calls.
@inline(__always)
func proceed(_ cpu: CPU, _ next: Op) -> Next {
    #if DEBUG
        return unsafe next
    #else
        return unsafe begin(cpu, next) ? following(cpu, next) : cengine_return(cpu, next)
    #endif
}

/// Behind a branch that is not taken.
@inline(__always)
func fallThrough(_ cpu: CPU, _ op: Op) -> Next {
    guard let target = unsafe op.fallThroughTarget else {
        return unsafe cengine_run(cpu, op, fallThroughUnlinked)
    }
    return unsafe proceed(cpu, target)
}

private let fallThroughUnlinked: InstructionHandler = { cpu, op in
    let rip = unsafe cpu.nextInstructionPointer(of: op)
    return unsafe jumpAndLink(cpu, op, to: rip, fallsThrough: true)
}

/// What `blockHeader` does, where that can be done without a call. False: `op` is no header, or one
/// that has to be called, and nothing has changed.
@inline(__always)
func begin(_ cpu: CPU, _ op: Op) -> Bool {
    // The handler is read each time: a block that was dropped has another.
    guard
        unsafe unsafeBitCast(op.pointee.handler, to: UInt.self)
            == unsafeBitCast(blockHeader, to: UInt.self)
    else { return false }
    return unsafe pay(cpu, op)
}

/// Takes the instructions of the block from the budget. False: there is none, or an event is pending.
@inline(__always)
func pay(_ cpu: CPU, _ op: Op) -> Bool {
    let budget = unsafe cpu.pointee.budget
    // Not by way of a C function: none is inlined where a handler's own code is in the C function that
    // its pointer points to.
    let word = unsafe UnsafeRawPointer(cpu.pointee.pendingWord)
        .assumingMemoryBound(to: Atomic<UInt32>.self)
    let pending = unsafe word.pointee.load(ordering: .acquiring) & cpu.pointee.pendingMask
    if _slowPath(budget <= 0 || pending != 0) { return false }
    unsafe cpu.pointee.block = unsafe op
    unsafe cpu.pointee.budget = unsafe budget &- Int64(op.pointee.instructionCount)
    return true
}

/// Continues at instruction pointer `rip` of 64-bit code, which is canonical.
@inline(__always)
func jumpLong(_ cpu: CPU, _ op: Op, to rip: UInt64) -> Next {
    if let target = unsafe knownTarget(cpu, rip) { return unsafe proceed(cpu, target) }
    unsafe cpu.pointee.rip = rip
    return unsafe cengine_run(cpu, op, jumpSlowly)
}

private let jumpSlowly: InstructionHandler = { cpu, _ in unsafe jump(cpu, to: cpu.pointee.rip) }

/// What the jump cache has for `rip`: canonical then, for it was run. The code page is that of `rip`.
@inline(__always)
func knownTarget(_ cpu: CPU, _ rip: UInt64) -> Next {
    let entry = unsafe jumpCacheEntry(cpu, rip)
    let context = unsafe (cpu.bytes + CPUOffsets.jumpContext).load(
        fromByteOffset: Int(truncatingIfNeeded: rip &>> 63) &* 8, as: UInt64.self)
    guard unsafe _fastPath(entry.pointee.address == rip && entry.pointee.context == context),
        let target = unsafe entry.pointee.instruction
    else { return nil }
    unsafe cpu.pointee.codePage = rip & ~0xfff
    return unsafe target
}

/// Gives back what the header of the running block took for instructions that did not run: the one
/// at the instruction pointer and those behind it. None if all of them did.
func refundBudget(_ cpu: CPU) {
    guard let header = unsafe cpu.pointee.block else { return }
    unsafe cpu.pointee.block = nil
    let paid = unsafe header.pointee.instructionCount
    let rip = unsafe cpu.pointee.rip
    for index in 0..<min(paid, CodeArena.longestBlock)
    where unsafe cpu.instructionPointer(of: header + (index &+ 1)) == rip {
        unsafe cpu.pointee.budget &+= Int64(paid &- index)
        return
    }
    // What has left the block before it failed is the block's last instruction.
    unsafe cpu.pointee.budget &+= 1
}
