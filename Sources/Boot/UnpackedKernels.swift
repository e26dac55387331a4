internal import CLZMA
import Glibc
import Vocabulary

/// Kernels that have been unpacked before: unpacking takes longer than some boots.
///
/// They lie in the cache by the SHA-256 digest of the file they came in, each with a checksum of its
/// own, and may be deleted at any time. A cache that cannot be written to is none. Any thread, and
/// any number of processes: what is complete appears by one rename.
public struct UnpackedKernels: Sendable {
    /// So many are kept, those used last.
    static let count = 4
    private static let magic = Array("MARTLET1".utf8)
    /// Behind the image: magic, and a CRC-64 of the image.
    private static let trailerByteCount = 16
    private static let suffix = ".vmlinux"

    private let directory: String

    public init(_ store: KernelStore) { directory = store.cacheDirectory + "/unpacked" }

    /// The ELF image in a kernel's file, or the file as it is when there is none: whoever loads it
    /// says why.
    ///
    /// - Parameter digest: the file's, if somebody has computed it already.
    public func image(of kernel: [UInt8], digest: String? = nil) -> [UInt8] {
        if kernel.starts(with: [0x7f, 0x45, 0x4c, 0x46]) { return kernel }
        guard let payload = try? BZImage(kernel).payload else { return kernel }
        let name = (digest ?? SHA256.hexadecimal(kernel)) + Self.suffix
        if let known = known(name) { return known }
        guard let image = try? KernelDecompression.unpack(payload) else { return kernel }
        keep(image, as: name)
        return image
    }

    private func known(_ name: String) -> [UInt8]? {
        let path = directory + "/" + name
        guard HostFiles.exists(path), var bytes = try? HostFiles.read(path),
            bytes.count > Self.trailerByteCount,
            Self.trailer(of: bytes.dropLast(Self.trailerByteCount))
                == Array(bytes.suffix(Self.trailerByteCount))
        else { return nil }
        // Used last.
        unsafe utimensat(AT_FDCWD, path, nil, 0)
        bytes.removeLast(Self.trailerByteCount)
        return bytes
    }

    static func trailer(of image: ArraySlice<UInt8>) -> [UInt8] {
        let check = unsafe image.withUnsafeBufferPointer {
            unsafe lzma_crc64($0.baseAddress, $0.count, 0)
        }
        return magic + (0..<8).map { UInt8(truncatingIfNeeded: check >> (8 * $0)) }
    }

    private func keep(_ image: [UInt8], as name: String) {
        do {
            try HostFiles.makeDirectories(directory)
            try HostFiles.write(directory + "/" + name, image + Self.trailer(of: image[...]))
            try removeOldest()
        } catch {
            // The next boot unpacks it again.
        }
    }

    private func removeOldest() throws(XError) {
        var files: [(path: String, used: Int)] = []
        // With what a process left behind that was killed while it wrote.
        for name in try Initramfs.names(in: directory) where name.contains(Self.suffix) {
            var information = stat()
            let path = directory + "/" + name
            guard unsafe lstat(path, &information) == 0 else { continue }
            files.append((path, Int(information.st_mtim.tv_sec)))
        }
        files.sort { $0.used > $1.used }
        for file in files.dropFirst(Self.count) { unsafe unlink(file.path) }
    }
}
