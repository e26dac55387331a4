internal import CEngine
internal import GuestMemory
internal import VirtualCPU

// What other vCPUs must not see halves of, or too late.

/// The operand lies in two cache lines, where the host's own locked instructions are not to be used.
@inline(__always)
func isSplit(_ address: UInt64, _ byteCount: Int) -> Bool {
    (address & 63) &+ UInt64(truncatingIfNeeded: byteCount) > 64
}

/// Replaces the value at `address` by what `change` makes of it, where the host's own locked
/// instructions cannot: in two cache lines or pages, in a page with code, in a device. With LOCK, and
/// for XCHG, no other vCPU runs meanwhile. The old value; nil: a fault or an exit is recorded and
/// nothing has changed.
@inline(never)
func modifySlowly<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ change: (T) -> T
) -> T? {
    // It has to be writable before it is read.
    if unsafe modifyPointer(cpu, op, address, MemoryLayout<T>.size) == nil,
        unsafe cpu.pointee.leaveReason != LeaveReason.none
    {
        return nil
    }
    func modify() -> T? {
        guard let old = unsafe load(cpu, op, address, as: T.self),
            unsafe store(cpu, op, address, change(old))
        else { return nil }
        return old
    }
    if unsafe Int(op.pointee.flags) & INSTRUCTION_LOCKED == 0 { return modify() }
    let engine = unsafe context(cpu)
    engine.statistics.busLocks &+= 1
    return engine.memory.busLock.withLock(engine.seat) { modify() }
}

/// The same for an operand of `size` bytes: 1, 2, 4 or 8.
@inline(never)
func modifySlowly(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ size: UInt8, _ change: (UInt64) -> UInt64
) -> UInt64? {
    func modify<T: FixedWidthInteger>(_ type: T.Type) -> UInt64? {
        unsafe modifySlowly(cpu, op, address) { (old: T) in
            T(truncatingIfNeeded: change(UInt64(truncatingIfNeeded: old)))
        }.map { UInt64(truncatingIfNeeded: $0) }
    }
    switch size {
    case 1: return modify(UInt8.self)
    case 2: return modify(UInt16.self)
    case 4: return modify(UInt32.self)
    default: return modify(UInt64.self)
    }
}

/// Stores bytes each of which is written once, and 1, 2, 4, 8 or 16 of them at a time where there
/// are so many: a copy of the C library may write some twice, the second time over what another
/// vCPU has put there since.
func storeOnce(
    _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ byteCount: Int
) {
    switch byteCount {
    case 1: unsafe destination.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
    case 2:
        unsafe destination.storeBytes(of: source.loadUnaligned(as: UInt16.self), as: UInt16.self)
    case 4:
        unsafe destination.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
    case 8:
        unsafe destination.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
    case 16:
        unsafe destination.storeBytes(
            of: source.loadUnaligned(as: SIMD2<UInt64>.self), as: SIMD2<UInt64>.self)
    case ..<16:
        for index in 0..<byteCount {
            unsafe destination.storeBytes(
                of: source.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index,
                as: UInt8.self)
        }
    default: unsafe destination.copyMemory(from: source, byteCount: byteCount)
    }
}

/// Serialising instructions (SDM volume 3, 9.3): the vCPU's stores are seen by all before its next
/// instruction.
@inline(__always)
func serialize() { integer_mfence() }
