internal import CZstd

/// Compresses and expands chunks.
///
/// Owner: one reader or writer, on one thread.
@safe final class ChunkCodec {
    /// Fast: a checkpoint holds its guest up.
    private static let level: CInt = 1

    // SAFETY: made in `init`, freed in `deinit`, used in calls only.
    private let compression: OpaquePointer
    private let expansion: OpaquePointer
    private var room: [UInt8]

    init() {
        guard let compression = unsafe ZSTD_createCCtx(),
            let expansion = unsafe ZSTD_createDCtx()
        else { preconditionFailure("there is no memory for a compressor") }
        unsafe self.compression = unsafe compression
        unsafe self.expansion = unsafe expansion
        room = [UInt8](
            repeating: 0, count: ZSTD_compressBound(SnapshotFormat.chunkByteCount))
    }

    deinit {
        unsafe ZSTD_freeCCtx(compression)
        unsafe ZSTD_freeDCtx(expansion)
    }

    /// The chunk as it is to be stored: compressed, or as it is where that is not smaller.
    func store(_ chunk: UnsafeRawBufferPointer) -> [UInt8] {
        let count = unsafe room.withUnsafeMutableBytes { room in
            unsafe ZSTD_compressCCtx(
                compression, room.baseAddress, room.count, chunk.baseAddress, chunk.count,
                Self.level)
        }
        guard ZSTD_isError(count) == 0, count < chunk.count else { return unsafe [UInt8](chunk) }
        return Array(room[..<count])
    }

    /// Fills a chunk with what was stored. False: it is damaged.
    func expand(_ stored: [UInt8], into chunk: UnsafeMutableRawBufferPointer) -> Bool {
        if stored.count == chunk.count {
            unsafe chunk.copyBytes(from: stored)
            return true
        }
        let count = unsafe stored.withUnsafeBytes { stored in
            unsafe ZSTD_decompressDCtx(
                expansion, chunk.baseAddress, chunk.count, stored.baseAddress, stored.count)
        }
        return count == chunk.count
    }
}
