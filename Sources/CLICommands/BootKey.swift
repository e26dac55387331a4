import Boot
internal import CHost
import Disks
import Foundation
import Glibc
import Machine
import Vocabulary

/// All that a guest which has booted, and waits for its program, depends on.
///
/// Files of the host are told by what the host knows of them, not by their bytes: those would take longer to
/// read than the guest to go on.
struct BootKey: Codable, Equatable {
    /// Of Martlet, with its agent.
    var build: String
    var kernel: [String]
    var busybox: [String]
    var modules: [String]
    var files: [String]
    var commandLine: String
    var platform: String
    var processor: String
    var engine: String
    var processorCount: Int
    var memoryByteCount: UInt64
    var disks: [String]
    var networks: [String]

    /// - Parameter kernel: of the store; nil: the options name a file.
    /// - Throws: `XError`: a disk cannot be read.
    init(
        _ options: RunCommand, _ configuration: MachineConfiguration,
        kernel: KernelStore.Kernel?, busybox: KernelStore.Busybox
    ) throws {
        var identity = [UInt8](repeating: 0, count: Int(CHOST_BUILD_IDENTITY_SIZE))
        unsafe chost_build_identity(&identity)
        build = identity.map { String($0, radix: 16) }.joined(separator: ".")
        if let kernel {
            self.kernel = [kernel.digest] + Self.identity(of: kernel.path)
        } else if case .file(let path) = options.kernel {
            self.kernel = Self.identity(of: path)
        } else {
            self.kernel = []
        }
        self.busybox = Self.identity(of: busybox.path)
        modules = options.module
        files = options.file.flatMap { ["", $0.guestPath] + Self.identity(of: $0.hostPath) }
        commandLine = configuration.commandLine
        platform = options.platform.rawValue
        processor = configuration.processor.rawValue
        engine = configuration.engine.rawValue
        processorCount = configuration.processorCount
        memoryByteCount = configuration.memoryByteCount
        disks = try zip(options.attachments.disk, configuration.disks).flatMap { text, disk in
            [text] + (try Self.content(of: disk.specification))
        }
        networks =
            options.attachments.net
            + configuration.networks.map { $0.specification.isUser ? "user" : "other" }
    }

    /// Bytes that name a file.
    var name: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // FNV-1a: who has the name by chance is found out, for the key is kept with the boot.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in (try? encoder.encode(self)) ?? Data() {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return String(hash, radix: 16)
    }

    /// What the host knows of a file, or of all in a folder.
    private static func identity(of path: String) -> [String] {
        let below = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return ([path] + below.sorted().map { path + "/" + $0 }).map { path in
            var status = stat()
            guard unsafe lstat(path, &status) == 0 else { return path }
            var words = [describe(status)]
            if status.st_mode & S_IFMT == S_IFLNK, unsafe stat(path, &status) == 0 {
                words.append(describe(status))
            }
            return ([path] + words).joined(separator: " ")
        }
    }

    private static func describe(_ status: stat) -> String {
        "\(status.st_dev) \(status.st_ino) \(status.st_mode) \(status.st_uid) \(status.st_gid) "
            + "\(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
            + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)"
    }

    /// What a kernel that has not mounted a disk knows of it: how large it is and how it is divided.
    private static func content(of specification: DiskSpecification) throws -> [String] {
        var readable = specification
        readable.isReadOnly = true
        let disk = try Disk(opening: readable, name: "key")
        defer { try? disk.close() }
        let count = Int(min(disk.byteCount, 64 << 10))
        var words = ["\(disk.byteCount) \(disk.sectorSize)"]
        for offset in [0, disk.byteCount - UInt64(count)] where count > 0 {
            let bytes = try disk.read(offset, count)
            words.append(bytes.base64EncodedString())
        }
        return words
    }
}

extension Disk {
    /// Reads bytes, and waits for them.
    fileprivate func read(_ offset: UInt64, _ count: Int) throws -> Data {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        let done = DispatchSemaphore(value: 0)
        // SAFETY: written before the signal, read after it.
        nonisolated(unsafe) var failure: String?
        unsafe submit(DiskRequest(.read, offset: offset, segments: [buffer])) { error in
            unsafe failure = error.map { "\($0)" }
            done.signal()
        }
        done.wait()
        if let failure = unsafe failure {
            throw XError(
                .hostCall, "the disk '\(specification.path)' cannot be read: \(failure)")
        }
        return unsafe Data(bytes: buffer.baseAddress.unsafelyUnwrapped, count: count)
    }
}
