internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Memory for host code: one memory file, mapped once to be written and once to be executed, so that
/// no page is ever writable and executable by one address.
///
/// Owner: `Translator`; the vCPU's worker only.
@safe
final class CodeMemory {
    /// Bytes of one engine's code. Takes host memory as it is written.
    static let byteCount = 20 << 20

    private let writing: MemoryMapping
    private let executing: MemoryMapping
    /// The first byte, to be written. Valid as long as this object.
    let writable: UnsafeMutablePointer<UInt8>
    /// The same byte, to be executed. Valid as long as this object.
    let executable: UInt64

    /// Throws when the host forbids memory files or executable memory.
    init() throws(XError) {
        let number = unsafe chost_memfd_create("martlet-code", chost_MFD_CLOEXEC)
        guard number >= 0 else {
            throw XError(
                .hostCall, "cannot make a memory file for code: error \(chost_errno())")
        }
        let file = HostIO.Descriptor(owning: number)
        guard ftruncate(file.rawValue, off_t(Self.byteCount)) == 0 else {
            throw XError(
                .hostCall, "cannot size the memory file for code: error \(chost_errno())")
        }
        writing = try MemoryMapping(
            descriptor: file.rawValue, offset: 0, byteCount: Self.byteCount,
            access: [.read, .write])
        executing = try MemoryMapping(
            descriptor: file.rawValue, offset: 0, byteCount: Self.byteCount,
            access: [.read, .execute])
        unsafe writable = writing.base.assumingMemoryBound(to: UInt8.self)
        unsafe executable = UInt64(UInt(bitPattern: executing.base))
    }

    /// The address at which the byte at `offset` is executed.
    func address(of offset: Int) -> UInt64 { executable &+ UInt64(offset) }
}
