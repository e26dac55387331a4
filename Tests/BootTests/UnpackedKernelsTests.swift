import Glibc
import Testing

@testable import Boot

@Suite struct UnpackedKernelsTests {
    /// Not packed: an ELF file's first bytes, and a number.
    private func image(_ number: UInt8) -> [UInt8] { [0x7f, 0x45, 0x4c, 0x46, number, 1, 1] }

    private func kernel(_ number: UInt8) -> [UInt8] { bzImage(image(number)) }

    private func files(_ folder: Folder) throws -> [String] {
        try Initramfs.names(in: folder.path + "/cache/unpacked").map {
            folder.path + "/cache/unpacked/" + $0
        }
    }

    @Test func theSecondTimeItComesFromTheCache() throws {
        let folder = try Folder()
        let kernels = UnpackedKernels(try folder.store)
        #expect(kernels.image(of: kernel(2)) == image(2))
        let file = try #require(try files(folder).first)
        // Something else of the same name, as it would have been written.
        try HostFiles.write(file, image(9) + UnpackedKernels.trailer(of: image(9)[...]))
        #expect(kernels.image(of: kernel(2)) == image(9))
        #expect(kernels.image(of: kernel(3)) == image(3))
    }

    @Test func damageIsSeenAndMended() throws {
        let folder = try Folder()
        let kernels = UnpackedKernels(try folder.store)
        _ = kernels.image(of: kernel(2))
        let file = try #require(try files(folder).first)
        let whole = try HostFiles.read(file)
        var wrong = whole
        wrong[4] = 7
        for bytes in [wrong, Array(whole.dropLast()), Array(whole.suffix(16)), []] {
            try HostFiles.write(file, bytes)
            #expect(kernels.image(of: kernel(2)) == image(2))
            #expect(try HostFiles.read(file) == whole)
        }
    }

    @Test func theOnesUsedLastAreKept() throws {
        let folder = try Folder()
        let kernels = UnpackedKernels(try folder.store)
        try HostFiles.makeDirectories(folder.path + "/cache/unpacked")
        let left = folder.path + "/cache/unpacked/0.vmlinux.new1"
        try HostFiles.write(left, "half")
        let old = timeval(tv_sec: 1, tv_usec: 0)
        unsafe utimes(left, [old, old])
        for number in 0..<UInt8(6) { _ = kernels.image(of: kernel(number)) }
        #expect(!HostFiles.exists(left))
        #expect(try files(folder).count == UnpackedKernels.count)
    }

    @Test func aCacheThatCannotBeWrittenToIsNone() throws {
        let folder = try Folder()
        try HostFiles.makeDirectories(folder.path + "/cache")
        try HostFiles.write(folder.path + "/cache/unpacked", "no folder")
        #expect(UnpackedKernels(try folder.store).image(of: kernel(2)) == image(2))
    }

    @Test func whatCannotBeUnpackedStaysAsItIs() throws {
        let folder = try Folder()
        let kernels = UnpackedKernels(try folder.store)
        for bytes in [[], [1, 2, 3], image(2), bzImage([1, 2, 3, 4, 5, 6])] as [[UInt8]] {
            #expect(kernels.image(of: bytes) == bytes)
        }
        #expect(!HostFiles.exists(folder.path + "/cache/unpacked"))
    }
}
