internal import CLZ4
internal import CLZMA
internal import CZlib
internal import CZstd
public import Vocabulary

/// Unpacks what the kernel's build packed: xz with the x86 filter, gzip, zstd, legacy lz4, or nothing.
public enum KernelDecompression {
    /// No kernel is larger than this; a payload that says so is broken.
    public static let largestImage = 512 << 20

    public static func unpack(_ payload: ArraySlice<UInt8>) throws(XError) -> [UInt8] {
        let head = Array(payload.prefix(6))
        if head.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) { return try xz(payload) }
        if head.starts(with: [0x1f, 0x8b]) { return try gzip(payload) }
        if head.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return try zstd(payload) }
        if head.starts(with: [0x02, 0x21, 0x4c, 0x18]) { return try lz4(payload) }
        if head.starts(with: [0x7f, 0x45, 0x4c, 0x46]) { return Array(payload) }
        throw XError(
            .unsupported,
            "the kernel is packed in a way that starts with \(head.map { String($0, radix: 16) }): "
                + "xz, gzip, zstd and lz4 are understood")
    }

    private static func broken(_ format: String, _ detail: String) -> XError {
        XError(
            .invalidFormat,
            "the kernel's \(format) payload is corrupt (\(detail)): fetch the kernel again")
    }

    private static func tooLarge(_ format: String) -> XError {
        broken(format, "it unpacks to more than \(largestImage >> 20) MiB")
    }

    private static let chunk = 4 << 20

    private static func xz(_ payload: ArraySlice<UInt8>) throws(XError) -> [UInt8] {
        var stream = unsafe lzma_stream()
        guard unsafe lzma_stream_decoder(&stream, UInt64(1) << 30, 0) == LZMA_OK else {
            throw XError(.outOfMemory, "no memory to unpack the kernel")
        }
        defer { unsafe lzma_end(&stream) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: chunk)
        var status = LZMA_OK
        unsafe payload.withUnsafeBufferPointer { input in
            unsafe stream.next_in = input.baseAddress
            unsafe stream.avail_in = input.count
            while status == LZMA_OK, output.count <= largestImage {
                unsafe buffer.withUnsafeMutableBufferPointer { room in
                    unsafe stream.next_out = room.baseAddress
                    unsafe stream.avail_out = room.count
                    status = unsafe lzma_code(&stream, LZMA_FINISH)
                    let made = unsafe room.count - stream.avail_out
                    unsafe output.append(contentsOf: room[0..<made])
                    if made == 0, status == LZMA_OK { status = LZMA_BUF_ERROR }
                }
            }
        }
        if output.count > largestImage { throw tooLarge("xz") }
        if status != LZMA_STREAM_END { throw broken("xz", "liblzma error \(status.rawValue)") }
        return output
    }

    private static func gzip(_ payload: ArraySlice<UInt8>) throws(XError) -> [UInt8] {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(&stream, 31, ZLIB_VERSION, size) == Z_OK else {
            throw XError(.outOfMemory, "no memory to unpack the kernel")
        }
        defer { unsafe inflateEnd(&stream) }
        var output: [UInt8] = []
        var input = Array(payload)
        var buffer = [UInt8](repeating: 0, count: chunk)
        var status = Z_OK
        unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe stream.next_in = source.baseAddress
            unsafe stream.avail_in = UInt32(source.count)
            while status == Z_OK, output.count <= largestImage {
                unsafe buffer.withUnsafeMutableBufferPointer { room in
                    unsafe stream.next_out = room.baseAddress
                    unsafe stream.avail_out = UInt32(room.count)
                    status = unsafe inflate(&stream, Z_NO_FLUSH)
                    let made = unsafe room.count - Int(stream.avail_out)
                    unsafe output.append(contentsOf: room[0..<made])
                }
            }
        }
        if output.count > largestImage { throw tooLarge("gzip") }
        if status != Z_STREAM_END { throw broken("gzip", "zlib error \(status)") }
        return output
    }

    private static func zstd(_ payload: ArraySlice<UInt8>) throws(XError) -> [UInt8] {
        guard let stream = unsafe ZSTD_createDStream() else {
            throw XError(.outOfMemory, "no memory to unpack the kernel")
        }
        defer { unsafe ZSTD_freeDStream(stream) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: chunk)
        var result = 1
        var position = 0
        unsafe payload.withUnsafeBytes { input in
            while result != 0, ZSTD_isError(result) == 0, output.count <= largestImage {
                unsafe buffer.withUnsafeMutableBytes { room in
                    var source = unsafe ZSTD_inBuffer(
                        src: input.baseAddress, size: input.count, pos: position)
                    var target = unsafe ZSTD_outBuffer(
                        dst: room.baseAddress, size: room.count, pos: 0)
                    result = unsafe ZSTD_decompressStream(stream, &target, &source)
                    unsafe output.append(contentsOf: room[0..<target.pos])
                    let stuck = unsafe source.pos == position && target.pos == 0
                    position = unsafe source.pos
                    // No progress: the input ends within the frame.
                    if stuck, result != 0 { result = -1 }
                }
            }
        }
        if output.count > largestImage { throw tooLarge("zstd") }
        if result != 0 { throw broken("zstd", "libzstd error") }
        return output
    }

    /// The legacy frame: a magic number, then blocks of 8 MiB with their packed size before them.
    private static func lz4(_ payload: ArraySlice<UInt8>) throws(XError) -> [UInt8] {
        let reader = ByteReader(payload)
        let blockSize = 8 << 20
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: blockSize)
        var offset = 4
        while let size = reader.integer(offset, as: UInt32.self) {
            if size == 0x184c_2102 {
                offset += 4
                continue
            }
            // The unpacked length follows the last block.
            guard size > 0, let block = reader.slice(offset + 4, Int(size)) else { break }
            let made = unsafe block.withUnsafeBytes { source in
                unsafe buffer.withUnsafeMutableBytes { room in
                    unsafe LZ4_decompress_safe(
                        source.baseAddress?.assumingMemoryBound(to: CChar.self),
                        room.baseAddress?.assumingMemoryBound(to: CChar.self),
                        Int32(truncatingIfNeeded: source.count), Int32(room.count))
                }
            }
            guard made >= 0 else { throw broken("lz4", "a block does not unpack") }
            output.append(contentsOf: buffer[0..<Int(made)])
            if output.count > largestImage { throw tooLarge("lz4") }
            offset += 4 + Int(size)
        }
        if output.isEmpty { throw broken("lz4", "no block in it") }
        return output
    }
}
