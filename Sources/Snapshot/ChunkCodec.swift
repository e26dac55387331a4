internal import CZstd

/// Compresses and expands runs, and has room for one.
///
/// Owner: whoever reads or writes, one thread at a time. Each thread that reads a snapshot has its own.
@safe public final class ChunkCodec {
    /// Fast: a checkpoint holds its guest up.
    private static let level: CInt = 1

    // SAFETY: made when first used, freed in `deinit`, used in calls only.
    private var compression: OpaquePointer?
    private var expansion: OpaquePointer?
    /// A run as it is stored, and its pages.
    var stored = [UInt8](repeating: 0, count: ZSTD_compressBound(SnapshotFormat.chunkByteCount))
    var pages = [UInt8](repeating: 0, count: SnapshotFormat.chunkByteCount)
    /// Several runs that were read at once; empty until then.
    var span: [UInt8] = []

    public init() {}

    deinit {
        unsafe ZSTD_freeCCtx(compression)
        unsafe ZSTD_freeDCtx(expansion)
    }

    /// Compresses into `room`. Nil: that would not be smaller.
    func compress(
        _ pages: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) -> Int? {
        if unsafe compression == nil { unsafe compression = unsafe ZSTD_createCCtx() }
        guard let compression = unsafe compression else { return nil }
        let count = unsafe ZSTD_compressCCtx(
            compression, room.baseAddress, room.count, pages.baseAddress, pages.count, Self.level)
        return ZSTD_isError(count) == 0 && count < pages.count ? count : nil
    }

    /// Fills `pages`. False: what was stored is damaged.
    func expand(
        _ stored: UnsafeRawBufferPointer, into pages: UnsafeMutableRawBufferPointer
    ) -> Bool {
        if unsafe expansion == nil { unsafe expansion = unsafe ZSTD_createDCtx() }
        guard let expansion = unsafe expansion else { return false }
        let count = unsafe ZSTD_decompressDCtx(
            expansion, pages.baseAddress, pages.count, stored.baseAddress, stored.count)
        return ZSTD_isError(count) == 0 && count == pages.count
    }
}
