internal import CEngine
internal import CHost
internal import Glibc
internal import HostIO
internal import Vocabulary

/// Memory for host code: one memory file, mapped once to be written and once to be executed, so that
/// no page is ever writable and executable by one address.
///
/// For the host's tools it is no file, whose names for code they would take, but shared pages mapped
/// twice, and no address is used for a second generation.
///
/// Owner: `Translator`. Written while the lock of `CodeCache` is held.
@safe
final class CodeMemory {
    /// Takes host memory as it is written.
    let byteCount: Int

    private let writing: MemoryMapping
    private var executing: MemoryMapping?
    /// Whether the addresses are used again.
    private let keepsAddresses: Bool
    /// The first byte, to be written. Valid as long as this object.
    let writable: UnsafeMutablePointer<UInt8>
    /// The same byte, to be executed. Valid as long as this object.
    let executable: UInt64

    /// Throws when the host forbids memory files or executable memory.
    ///
    /// - Parameter isNamed: the host's tools are told what the code is.
    init(byteCount: Int, isNamed: Bool = false) throws(XError) {
        self.byteCount = byteCount
        keepsAddresses = isNamed
        if isNamed {
            writing = try MemoryMapping(shared: byteCount)
            let pages = try writing.again(access: [.read, .execute])
            unsafe executable = UInt64(UInt(bitPattern: pages.base))
            executing = consume pages
        } else {
            let file = try Self.file(byteCount)
            writing = try MemoryMapping(
                descriptor: file.rawValue, offset: 0, byteCount: byteCount,
                access: [.read, .write])
            let pages = try MemoryMapping(
                descriptor: file.rawValue, offset: 0, byteCount: byteCount,
                access: [.read, .execute])
            unsafe executable = UInt64(UInt(bitPattern: pages.base))
            executing = consume pages
        }
        unsafe writable = writing.base.assumingMemoryBound(to: UInt8.self)
    }

    deinit {
        if keepsAddresses { executing.take()?.retireAddresses() }
    }

    private static func file(_ byteCount: Int) throws(XError) -> HostIO.Descriptor {
        let number = unsafe chost_memfd_create("martlet-code", chost_MFD_CLOEXEC)
        guard number >= 0 else {
            throw XError(
                .hostCall, "cannot make a memory file for code: error \(chost_errno())")
        }
        let file = HostIO.Descriptor(owning: number)
        guard ftruncate(file.rawValue, off_t(byteCount)) == 0 else {
            throw XError(
                .hostCall, "cannot size the memory file for code: error \(chost_errno())")
        }
        return file
    }

    /// The address at which the byte at `offset` is executed.
    func address(of offset: Int) -> UInt64 { executable &+ UInt64(offset) }

    /// Replaces `count` bytes of code that others may be executing, by one store: they all lie in the
    /// same eight aligned ones, and begin and end with an instruction or are its displacement. A
    /// processor then executes what was there or what is (AMD64 APM volume 2, 7.6.1).
    func replace(at offset: Int, count: Int, with bytes: UInt64) {
        let shift = UInt64(offset & 7) &* 8
        precondition(
            offset >= 0 && offset < byteCount && offset & 7 + count <= 8,
            "\(count) bytes of code at \(offset) cannot be replaced at once")
        let mask = (UInt64.max &>> UInt64(64 &- count &* 8)) &<< shift
        let word = unsafe UnsafeMutableRawPointer(writable + (offset & ~7))
            .assumingMemoryBound(to: UInt64.self)
        unsafe cengine_store64(word, word.pointee & ~mask | (bytes &<< shift) & mask)
    }

    /// The same: from now on the instruction at `offset`, five bytes long or longer, leads to `target`.
    func lead(from offset: Int, to target: Int) {
        let distance = UInt32(truncatingIfNeeded: target &- (offset &+ 5))
        replace(at: offset, count: 5, with: 0xe9 | UInt64(distance) &<< 8)
    }
}
