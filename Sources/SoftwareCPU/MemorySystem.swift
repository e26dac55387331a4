internal import CEngine

// Accesses that no instruction names: descriptor tables, task state, interrupt frames.

/// Implicit supervisor read of up to 16 bytes.
func readSystem<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, as type: T.Type)
    -> T?
{
    unsafe loadPieces(
        cpu, op, address, MemoryLayout<T>.size, mode: AccessMode.supervisorToUser, stack: false)?
        .loadUnaligned(as: T.self)
}

/// Implicit supervisor write.
func writeSystem<T: FixedWidthInteger>(_ cpu: CPU, _ op: Op, _ address: UInt64, _ value: T) -> Bool
{
    unsafe withUnsafeBytes(of: value) {
        unsafe storePieces(
            cpu, op, address, $0.baseAddress.unsafelyUnwrapped, MemoryLayout<T>.size,
            mode: AccessMode.supervisorToUser, stack: false)
    }
}
