import CLZ4
import CLZMA
import CZlib
import CZstd
import Testing
import Vocabulary

@testable import Boot

/// Payloads packed by the libraries as the kernel's build packs them, in a bzImage around them.
@Suite struct KernelDecompressionTests {
    enum Packing: CaseIterable {
        case none, xz, gzip, zstd, lz4
    }

    /// Starts like an ELF file; machine code and text in it, more than one chunk of output long.
    private static let kernel: [UInt8] = {
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
        var state: UInt32 = 1
        while bytes.count < 9 << 20 {
            state = state &* 1_664_525 &+ 1_013_904_223
            bytes += [0xe8, UInt8(state >> 24), UInt8(state >> 28), 0, 0, 0x48, 0x89, 0xe5]
        }
        return bytes
    }()

    private func pack(_ packing: Packing) throws -> [UInt8] {
        let kernel = Self.kernel
        var room = [UInt8](repeating: 0, count: kernel.count + (1 << 16))
        var count = 0
        switch packing {
        case .none: return kernel
        case .xz:
            let result = unsafe lzma_easy_buffer_encode(
                1, LZMA_CHECK_CRC32, nil, kernel, kernel.count, &room, &count, room.count)
            try #require(result == LZMA_OK)
        case .gzip:
            var stream = unsafe z_stream()
            let size = unsafe Int32(MemoryLayout<z_stream>.size)
            // 31: a window of 32 KiB and gzip's header.
            let begun = unsafe deflateInit2_(
                &stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
            try #require(begun == Z_OK)
            var source = kernel
            let (done, made) = unsafe source.withUnsafeMutableBufferPointer { input in
                unsafe room.withUnsafeMutableBufferPointer { output in
                    unsafe stream.next_in = input.baseAddress
                    unsafe stream.avail_in = UInt32(input.count)
                    unsafe stream.next_out = output.baseAddress
                    unsafe stream.avail_out = UInt32(output.count)
                    let done = unsafe deflate(&stream, Z_FINISH)
                    return unsafe (done, output.count - Int(stream.avail_out))
                }
            }
            unsafe deflateEnd(&stream)
            try #require(done == Z_STREAM_END)
            count = made
        case .zstd:
            let length = room.count
            count = unsafe ZSTD_compress(&room, length, kernel, kernel.count, 1)
            try #require(ZSTD_isError(count) == 0)
        case .lz4:
            // The legacy frame, blocks of 8 MiB, and the unpacked length as the kernel appends it.
            var packed: [UInt8] = [0x02, 0x21, 0x4c, 0x18]
            func append(_ number: Int) {
                for shift in [0, 8, 16, 24] { packed.append(UInt8((number >> shift) & 0xff)) }
            }
            for start in stride(from: 0, to: kernel.count, by: 8 << 20) {
                let block = kernel[start..<min(start + (8 << 20), kernel.count)].map {
                    CChar(bitPattern: $0)
                }
                var output = [CChar](
                    repeating: 0, count: Int(LZ4_compressBound(Int32(block.count))))
                let length = Int32(output.count)
                let size = unsafe LZ4_compress_default(block, &output, Int32(block.count), length)
                try #require(size > 0)
                append(Int(size))
                packed += output.prefix(Int(size)).map { UInt8(bitPattern: $0) }
            }
            append(kernel.count)
            return packed
        }
        return Array(room.prefix(count))
    }

    @Test(arguments: Packing.allCases) func everyPackingComesBackWhole(packing: Packing) throws {
        let image = try BZImage(bzImage(try pack(packing)))
        let unpacked = try KernelDecompression.unpack(image.payload)
        #expect(unpacked.count == Self.kernel.count)
        #expect(unpacked == Self.kernel)
    }

    /// A payload that ends early or has a wrong byte is an error of one line that says which.
    @Test(arguments: [Packing.xz, .gzip, .zstd]) func damageIsSeen(packing: Packing) throws {
        let packed = try pack(packing)
        var damaged = packed
        damaged[packed.count / 2] ^= 0x55
        for bytes in [Array(packed.dropLast(packed.count / 3)), Array(packed.prefix(20)), damaged] {
            let error = #expect(throws: XError.self) { try KernelDecompression.unpack(bytes[...]) }
            #expect(error?.message.contains("\(packing) payload is corrupt") == true)
            #expect(error?.message.contains("\n") == false)
        }
    }
}
