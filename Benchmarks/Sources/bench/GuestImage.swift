internal import Boot
internal import Comparison
import Foundation

/// Writes what every side gets: the kernel packed and unpacked, the initramfs, the programs.
enum GuestImage {
    /// Makes everything below `folder`, and says which kernel it is.
    ///
    /// - Parameters:
    ///   - programs: the folder with the built programs.
    ///   - kernelName: a stock kernel's name as `martlet pull` takes it.
    static func prepare(
        martlet: String, programs: String, kernelName: String, in folder: String
    ) throws -> (materials: Materials, release: String) {
        try FileManager.default.createDirectory(
            atPath: folder + "/programs/rows", withIntermediateDirectories: true)
        let materials = Materials(
            martlet: martlet, bzImage: folder + "/vmlinuz", uncompressedKernel: folder + "/vmlinux",
            initramfs: folder + "/initramfs", programs: folder + "/programs")
        let store = try KernelStore()
        let kernel = try store.kernel(kernelName) { say($0) }
        let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: kernel.path)))
        try write(Data(image), to: materials.bzImage)
        try write(
            Data(try KernelDecompression.unpack(try BZImage(image).payload)),
            to: materials.uncompressedKernel)
        // The same files on the host and in the guest, where /bench is the folder of programs.
        let busybox = try store.busybox { say($0) }
        try copy(busybox.path, to: materials.programs + "/busybox")
        for name in try FileManager.default.contentsOfDirectory(atPath: programs) {
            try copy(programs + "/" + name, to: materials.programs + "/" + name)
        }
        for row in Row.all {
            guard case .program(let script) = row.kind else { continue }
            try write(Data((script + "\n").utf8), to: "\(materials.programs)/rows/\(row.name)")
        }
        try write(Data(Observation.rowsScript.utf8), to: materials.programs + "/rows.sh")
        var tree = Initramfs()
        for path in ["dev", "proc", "tmp", "bin"] { try tree.addDirectory(path) }
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addFile("init", Array(Observation.initScript.utf8), permissions: 0o755)
        try tree.addHost(materials.programs, as: "bench")
        for name in ["sh", "busybox"] {
            try tree.addSymbolicLink("bin/" + name, to: "/bench/busybox")
        }
        try write(Data(try tree.bytes()), to: materials.initramfs)
        return (materials, kernel.release)
    }

    private static func write(_ data: Data, to path: String) throws {
        try data.write(to: URL(fileURLWithPath: path))
    }

    private static func copy(_ from: String, to path: String) throws {
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: from, toPath: path)
    }
}

/// A line of progress on standard error.
func say(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
