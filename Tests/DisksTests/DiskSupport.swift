import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

/// A folder for the files of one test, removed at its end.
final class Folder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "martlet-disks-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { path + "/" + name }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: self(name)))
        return self(name)
    }
}

/// The failure of a request, as a test throws it.
struct RequestFailed: Error, Equatable { var errno: HostErrno }

extension Disk {
    convenience init(
        _ path: String, _ format: DiskFormat = .raw, readOnly: Bool = false,
        engine: DiskEngine = .automatic, observer: (any HostFileObserver)? = nil
    ) throws {
        var specification = DiskSpecification(path: path, format: format)
        specification.isReadOnly = readOnly
        try self.init(
            opening: specification, name: "test", engine: engine,
            options: HostFile.Options(observer: observer))
    }

    func wait(_ request: DiskRequest) throws {
        let answer = Answer<HostErrno?>()
        submit(request) { answer.give($0) }
        if let errno = answer.wait() { throw RequestFailed(errno: errno) }
    }

    /// Reads into pieces of 1536 bytes.
    func read(_ offset: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        try unsafe bytes.withUnsafeMutableBytes { buffer in
            var pieces: [UnsafeMutableRawBufferPointer] = unsafe []
            var position = 0
            while position < count {
                let end = min(position + 1536, count)
                unsafe pieces.append(.init(rebasing: buffer[position..<end]))
                position = end
            }
            try wait(unsafe DiskRequest(.read, offset: UInt64(offset), segments: pieces))
        }
        return bytes
    }

    func write(_ offset: Int, _ bytes: [UInt8], isForced: Bool = false) throws {
        var bytes = bytes
        try unsafe bytes.withUnsafeMutableBytes { buffer in
            try wait(
                unsafe DiskRequest(
                    .write, offset: UInt64(offset), segments: [buffer], isForced: isForced))
        }
    }

    func flush() throws { try wait(.flush) }

    func zero(_ offset: Int, _ count: Int, mayUnmap: Bool = true) throws {
        try wait(
            DiskRequest(
                .writeZeroes, offset: UInt64(offset), byteCount: UInt64(count),
                mayUnmap: mayUnmap))
    }

    func discard(_ offset: Int, _ count: Int) throws {
        try wait(DiskRequest(.discard, offset: UInt64(offset), byteCount: UInt64(count)))
    }
}

/// SplitMix64 by Sebastiano Vigna, for tests that can be repeated.
struct Random: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count {
            let word = next()
            for shift in 0..<8 {
                result.append(UInt8(truncatingIfNeeded: word >> UInt64(shift * 8)))
            }
        }
        return Array(result.prefix(count))
    }
}

/// QEMU's and nbdkit's programs, where they are installed.
enum Program {
    static func path(_ name: String) -> String? {
        ["/usr/bin/", "/usr/local/bin/", "/usr/sbin/"].map { $0 + name }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static let hasQEMU = path("qemu-img") != nil && path("qemu-io") != nil

    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// What it prints; throws unless it ends with `status`.
    @discardableResult
    static func run(_ name: String, _ arguments: [String], status: Int32 = 0) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path(name) ?? "/usr/bin/" + name)
        process.arguments = arguments
        let pipe = Foundation.Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == status else {
            throw Failed(
                description: "\(name) \(arguments): \(process.terminationStatus), \(output)")
        }
        return output
    }
}

/// The message of the error that `body` throws.
func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
}

let bothEngines: [DiskEngine] = [.uring, .threads]

/// Whether the host lets this process use io_uring.
let hasRing: Bool = (try? IOLoop(name: "probe", choice: .uring).stop()) != nil

/// The engines there are.
let engines: [DiskEngine] = hasRing ? bothEngines : [.threads]
