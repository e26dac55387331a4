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
    ///   - hasPrograms: false if nothing will be run but the boot.
    static func prepare(
        martlet: String, programs: String, kernelName: String, hasPrograms: Bool, in folder: String
    ) throws -> (materials: Materials, release: String) {
        let materials = Materials(martlet: martlet, folder: folder)
        for path in [materials.programs + "/rows", materials.scratch] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }
        let store = try KernelStore()
        let kernel = try store.kernel(kernelName) { say($0) }
        let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: kernel.path)))
        try write(image, to: materials.bzImage)
        try write(
            try KernelDecompression.unpack(try BZImage(image).payload),
            to: materials.uncompressedKernel)
        // The same files on the host and in the guest, where /bench is the folder of programs.
        try copy(try store.busybox { say($0) }.path, to: materials.programs + "/busybox")
        for name in try FileManager.default.contentsOfDirectory(atPath: programs) {
            try copy(programs + "/" + name, to: materials.programs + "/" + name)
        }
        try write(Array(Scripts.rows.utf8), to: materials.programs + "/rows.sh")
        var boot = try base()
        for name in ["busybox", "timed", "rows.sh"] {
            try boot.addHost(materials.programs + "/" + name, as: "bench/" + name)
        }
        try write(try boot.bytes(), to: materials.bootInitramfs)
        if hasPrograms {
            try prepareRows(materials)
            var full = try base()
            try full.addHost(materials.programs, as: "bench")
            for path in try HostPrograms.files() {
                // A link's target is what the programs want, under the link's name.
                try full.addFile(
                    path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))),
                    permissions: 0o755)
            }
            try write(try full.bytes(), to: materials.initramfs)
        }
        return (materials, kernel.release)
    }

    /// The rows' scripts and what they read.
    private static func prepareRows(_ materials: Materials) throws {
        for row in Row.all {
            guard case .program(let script) = row.kind else { continue }
            try write(Array((script + "\n").utf8), to: "\(materials.programs)/rows/\(row.name)")
        }
        let text = SampleText.bytes(256 << 10)
        try write(text, to: materials.programs + "/text")
        let long = materials.programs + "/long-text"
        try write(Array(repeatElement(text, count: 16).joined()), to: long)
        // By another program than the one that is measured.
        let digest = try HostCommand.output([materials.programs + "/busybox", "sha256sum", long])
        try write(
            Array("\(digest.prefix { $0 != " " })  long-text\n".utf8), to: long + ".sum")
    }

    /// `/init` and what it needs.
    private static func base() throws -> Initramfs {
        var tree = Initramfs()
        for path in ["dev", "proc", "tmp", "bin"] { try tree.addDirectory(path) }
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addFile("init", Array(Scripts.initial.utf8), permissions: 0o755)
        for name in ["sh", "busybox"] {
            try tree.addSymbolicLink("bin/" + name, to: "/bench/busybox")
        }
        return tree
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
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
