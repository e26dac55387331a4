internal import CEngine

// Accesses that no instruction names: descriptor tables, task state, interrupt frames.

/// Implicit accesses are the supervisor's whatever CPL is, and SMAP holds whatever EFLAGS.AC is.
private func implicitMode(_ cpu: CPU) -> UInt64 {
    unsafe cpu.pointee.cr4 & CR4.smap != 0 ? AccessMode.supervisor : AccessMode.supervisorToUser
}

/// Implicit supervisor read of up to 16 bytes.
func readSystem<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type)
    -> T?
{
    unsafe loadPieces(
        cpu, op, address, MemoryLayout<T>.size, mode: implicitMode(cpu), stack: false)?
        .loadUnaligned(as: T.self)
}

/// Implicit supervisor write.
func writeSystem<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T) -> Bool
{
    unsafe withUnsafeBytes(of: value) {
        unsafe storePieces(
            cpu, op, address, $0.baseAddress.unsafelyUnwrapped, MemoryLayout<T>.size,
            mode: implicitMode(cpu), stack: false)
    }
}

/// A push onto the stack of privilege level `privilege` while control goes there: an explicit access
/// with the rights of that level.
func writeFrame<T: FixedWidthInteger>(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T, privilege: UInt32
) -> Bool {
    var mode = AccessMode.user
    if privilege != 3 {
        let guarded =
            unsafe cpu.pointee.cr4 & CR4.smap != 0
            && cpu.pointee.systemFlags & Flags.alignmentCheck == 0
        mode = guarded ? AccessMode.supervisor : AccessMode.supervisorToUser
    }
    return unsafe withUnsafeBytes(of: value) {
        unsafe storePieces(
            cpu, op, address, $0.baseAddress.unsafelyUnwrapped, MemoryLayout<T>.size, mode: mode,
            stack: false)
    }
}
