public import Vocabulary

/// The width of one access on the bus, in bytes: 1, 2, 4 or 8.
public typealias AccessWidth = Int

/// Something with registers on the bus.
///
/// Called from vCPU threads, several at once: a device guards its own state. Values are little
/// endian in the low bytes; a register that is not there reads as all ones and ignores writes.
public protocol Device: MachinePart {
    /// Reads `width` bytes at `offset` from the start of the claimed range.
    func read(offset: UInt64, width: AccessWidth) -> UInt64

    /// Writes the low `width` bytes of `value` at `offset` from the start of the claimed range.
    func write(offset: UInt64, width: AccessWidth, value: UInt64)
}
