import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Snapshot

/// Snapshots on an NBD server, and what becomes of them when it stalls, dies or changes.
struct RemoteSnapshotTests {
    /// A file, and a server that serves it.
    private struct Served {
        let files: SnapshotFiles
        let server: PlayedServer

        init(_ compression: SnapshotCompression = .none) throws {
            files = try SnapshotFiles(compression)
            server = try PlayedServer(files.bytes(), folder: files.folder.path)
        }
    }

    private func options(patience seconds: Double = 10, connect: Double = 5)
        -> RemoteSnapshot.Options
    {
        var options = RemoteSnapshot.Options()
        options.patienceNanoseconds = UInt64(seconds * 1e9)
        options.connectNanoseconds = UInt64(connect * 1e9)
        return options
    }

    private func read(
        _ source: RemoteSnapshot, at offset: UInt64, _ count: Int
    ) throws(XError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xa5, count: count)
        let failure: XError? = unsafe bytes.withUnsafeMutableBytes { buffer in
            do throws(XError) {
                try unsafe source.read(at: offset, into: buffer)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// What an attempt throws, and how many seconds it takes.
    private func failure(_ body: () throws -> Void) -> (message: String, seconds: Double) {
        let start = HostThread.monotonicNow.nanoseconds
        var message = ""
        do { try body() } catch { message = "\(error)" }
        return (message, Double(HostThread.monotonicNow.nanoseconds - start) / 1e9)
    }

    /// Does something on a thread of its own after so many seconds.
    private func later(_ seconds: Double, _ body: @escaping @Sendable () throws -> Void) throws
        -> HostThread
    {
        try HostThread.spawn(name: "later") {
            usleep(UInt32(seconds * 1e6))
            do { try body() } catch { Issue.record(error) }
        }
    }

    @Test(arguments: SnapshotCompression.allCases, [true, false])
    func allOfItIsTheFile(compression: SnapshotCompression, allowsSeveral: Bool) throws {
        let served = try Served(compression)
        served.server.set { $0.allowsSeveral = allowsSeveral }
        let source = try RemoteSnapshot(served.server.address)
        let bytes = try served.files.bytes()
        #expect(source.byteCount == UInt64(bytes.count))
        #expect(try read(source, at: 0, bytes.count) == bytes)
        #expect(try read(source, at: source.byteCount, 0) == [])
        let reader = try SnapshotReader(source)
        #expect(try served.files.restored(reader) == served.files.memory)
        try reader.verify()
        #expect(served.server.clientCount.load(ordering: .relaxed) <= (allowsSeveral ? 4 : 1))
        let past = failure { _ = try read(source, at: source.byteCount - 5, 6) }
        #expect(past.message.contains("truncated"), "\(past.message)")
    }

    /// A server that wants whole blocks gets them.
    @Test func readsBeginWhereTheServerWants() throws {
        let served = try Served(.zstd)
        served.server.set { behaviour in
            behaviour.blockByteCount = 512
            behaviour.bytes += [UInt8](repeating: 0, count: 512 - behaviour.bytes.count % 512)
        }
        let bytes = try served.files.bytes()
        let source = try RemoteSnapshot(served.server.address)
        for (start, count) in [
            (0, 1), (511, 2), (1, 70_000), (65_535, 131_073), (3, bytes.count - 3),
        ] {
            #expect(
                try read(source, at: UInt64(start), count) == Array(bytes[start..<start + count]))
        }
        try SnapshotReader(source).verify()
    }

    @Test func severalThreadsReadAtOnce() throws {
        let served = try Served()
        let reader = try SnapshotReader(RemoteSnapshot(served.server.address, options()))
        let memory = served.files.memory
        let wrong = Atomic<Int>(0)
        let threads = try (0..<8).map { first in
            try HostThread.spawn(name: "reader") {
                let codec = ChunkCodec()
                for turn in 0..<5 * reader.chunkCount {
                    let chunk = (first * 3 + turn) % reader.chunkCount
                    let start = chunk << 16
                    var wanted = Array(memory[start..<min(start + 65_536, memory.count)])
                    wanted += [UInt8](repeating: 0, count: 65_536 - wanted.count)
                    let got = try? reader.chunk(chunk, codec)
                    if got != wanted { wrong.add(1, ordering: .relaxed) }
                }
            }
        }
        // Connections go in the middle of it, again and again.
        for _ in 0..<20 {
            usleep(3000)
            served.server.drop()
        }
        for thread in threads { thread.join() }
        #expect(wrong.load(ordering: .relaxed) == 0)
    }

    /// Longer than a server may be away, as long as the connection is there.
    @Test func aServerThatStallsIsWaitedFor() throws {
        let served = try Served()
        let reader = try SnapshotReader(
            RemoteSnapshot(served.server.address, options(patience: 1, connect: 1)))
        let server = served.server
        server.set { $0.stalls = true }
        let end = try later(5.5) { server.set { $0.stalls = false } }
        let (message, seconds) = failure {
            let got = try reader.chunk(4)
            #expect(got == Array(served.files.memory[4 << 16..<5 << 16]))
        }
        end.join()
        #expect(message == "" && seconds > 4, "\(message) \(seconds)")
    }

    @Test func aServerThatComesBackIsAskedAgain() throws {
        let served = try Served()
        let reader = try SnapshotReader(RemoteSnapshot(served.server.address, options()))
        let server = served.server
        server.set { $0.stalls = true }
        // The request is on its way when the server goes.
        let end = try later(0.3) {
            server.end()
            server.set { $0.stalls = false }
            usleep(1_500_000)
            try server.begin()
        }
        let (message, seconds) = failure {
            let got = try reader.chunk(4)
            #expect(got == Array(served.files.memory[4 << 16..<5 << 16]))
        }
        end.join()
        #expect(message == "" && seconds > 1, "\(message) \(seconds)")
    }

    @Test func aServerThatDropsEachClientSoonIsEnough() throws {
        let served = try Served()
        let source = try RemoteSnapshot(served.server.address, options())
        served.server.set { $0.readsOfClient = 3 }
        try SnapshotReader(source).verify()
    }

    @Test func aServerThatStaysAwayIsGivenUp() throws {
        let served = try Served()
        let address = served.server.address
        let reader = try SnapshotReader(RemoteSnapshot(address + "&patience=2", options()))
        served.server.end()
        let (message, seconds) = failure { _ = try reader.chunk(4) }
        #expect(
            message.contains("has been away for 2 s") && message.contains(address), "\(message)")
        #expect(message.contains("serve the same file again"))
        #expect(!message.contains("\n"))
        #expect((1.9...4).contains(seconds), "\(seconds)")
    }

    /// It accepts clients, and says nothing to them.
    @Test func aServerThatIsMuteIsGivenUp() throws {
        let served = try Served()
        let source = try RemoteSnapshot(served.server.address, options(patience: 1, connect: 0.3))
        served.server.set { $0.isMute = true }
        served.server.drop()
        let later = failure { _ = try read(source, at: 0, 512) }
        #expect(later.message.contains("has been away for 1 s"), "\(later.message)")
        #expect(later.seconds < 3, "\(later.seconds)")
        for (mute, stalls) in [(true, false), (false, true)] {
            served.server.set { ($0.isMute, $0.stalls) = (mute, stalls) }
            let opening = failure {
                _ = try RemoteSnapshot(served.server.address, options(connect: 0.3))
            }
            #expect(opening.message.contains("no answer in time"), "\(opening.message)")
            #expect(opening.message.contains("is its server running"))
            #expect(opening.seconds < 2, "\(opening.seconds)")
        }
    }

    @Test(arguments: [-512, 512])
    func anotherSizeIsAnError(difference: Int) throws {
        let served = try Served()
        let source = try RemoteSnapshot(served.server.address, options())
        let count = Int(source.byteCount)
        served.server.end()
        served.server.set { $0.bytes = [UInt8](repeating: 1, count: count + difference) }
        try served.server.begin()
        let (message, seconds) = failure { _ = try read(source, at: 4096, 512) }
        #expect(message.contains("came back with \(count + difference) bytes"), "\(message)")
        #expect(seconds < 2, "\(seconds)")
    }

    /// Not one wrong byte: another content of the same size has wrong checksums.
    @Test func anotherContentIsDamage() throws {
        let served = try Served()
        let reader = try SnapshotReader(RemoteSnapshot(served.server.address, options()))
        served.server.end()
        served.server.set { for index in 4096..<$0.bytes.count { $0.bytes[index] ^= 0x40 } }
        try served.server.begin()
        reader.forEachStoredChunk { chunk, _ in
            let (message, _) = failure { _ = try reader.chunk(chunk) }
            #expect(message.contains("is damaged"), "\(message)")
        }
    }

    @Test func anErrorOfTheServerIsSaid() throws {
        let served = try Served()
        let source = try RemoteSnapshot(served.server.address, options())
        served.server.set { $0.readError = 5 }
        let (message, seconds) = failure { _ = try read(source, at: 4096, 512) }
        #expect(message.contains("its server says: Input/output error"), "\(message)")
        #expect(seconds < 2)
        // The connection goes on, and is there for others.
        served.server.set { $0.readError = 0 }
        #expect(try read(source, at: 0, 512) == Array(served.files.bytes()[..<512]))
        #expect(served.server.clientCount.load(ordering: .relaxed) == 1)
    }

    /// Behind a server that stalls, behind one that is gone, and in the queue for a connection.
    @Test(arguments: [true, false])
    func waitingIsCancelled(stalls: Bool) throws {
        let served = try Served()
        served.server.set { $0.allowsSeveral = stalls }
        let reader = try SnapshotReader(
            RemoteSnapshot(served.server.address, options(patience: 60)))
        if stalls { served.server.set { $0.stalls = true } } else { served.server.end() }
        let waiting = try (0..<6).map { number in
            try HostThread.spawn(name: "reader") {
                let (message, _) = failure { _ = try reader.chunk(3 + number % 3) }
                #expect(message.contains("is not read any more"), "\(message)")
            }
        }
        usleep(300_000)
        let start = HostThread.monotonicNow.nanoseconds
        reader.stop()
        for thread in waiting { thread.join() }
        #expect(HostThread.monotonicNow.nanoseconds - start < 1_000_000_000)
        let (message, _) = failure { _ = try reader.chunk(4) }
        #expect(message.contains("is not read any more"), "\(message)")
    }

    // MARK: Addresses

    @Test func addressesDependOnNoFolder() throws {
        #expect(
            try SnapshotAddress("nbd+unix:///e?socket=a/s&tls-hostname=h", folder: "/x y/ü").uri
                == "nbd+unix:///e?socket=/x%20y/%C3%BC/a/s&tls-hostname=h")
        let absolute = try SnapshotAddress("nbd+unix:///?patience=7&socket=/s", folder: "/x")
        #expect(absolute.uri == "nbd+unix:///?socket=/s")
        #expect(absolute.patienceNanoseconds == 7_000_000_000)
        #expect(try SnapshotAddress("nbd://h:1/e?patience=7").uri == "nbd://h:1/e")
        #expect(try SnapshotAddress("nbd://h/e").patienceNanoseconds == nil)
        for wrong in ["0", "", "x", "-1", "86401", "99999999999999999999"] {
            let (message, _) = failure { _ = try SnapshotAddress("nbd://h/?patience=\(wrong)") }
            #expect(message.contains("give 1 to 86400 seconds"), "\(message)")
        }
        for text in ["nbd://h", "nbds://h", "nbd+unix:///?socket=s", "nbds+unix:///e?socket=s"] {
            #expect(RemoteSnapshot.isAddress(text))
        }
        for text in ["nbd", "/nbd://h", "./nbd://h", "http://h", "nbd.snapshot", ""] {
            #expect(!RemoteSnapshot.isAddress(text))
        }
    }

    @Test func nobodyIsThere() throws {
        for address in ["nbd+unix:///?socket=/nonexistent/s", "nbd://127.0.0.1:1/", "nbd+unix:///"]
        {
            let (message, seconds) = failure { _ = try SnapshotReader(path: address) }
            #expect(message.contains("cannot connect to the snapshot '\(address)'"), "\(message)")
            #expect(!message.contains("\n"))
            #expect(seconds < 5)
        }
    }
}

/// QEMU's server, a process that is killed.
@Suite(.enabled(if: QEMUServer.path != nil))
struct RemoteSnapshotProcessTests {
    @Test(arguments: [true, false])
    func aServerIsKilledAndStartedAgain(overTCP: Bool) throws {
        let files = try SnapshotFiles(memory: SnapshotFiles.mixture(byteCount: 16 << 20))
        var server = try QEMUServer(files.path, files.folder.path, overTCP: overTCP)
        let reader = try SnapshotReader(path: server.address)
        let memory = files.memory
        let isDone = Atomic<Bool>(false)
        let readCount = Atomic<Int>(0)
        let threads = try (0..<4).map { first in
            try HostThread.spawn(name: "reader") {
                let codec = ChunkCodec()
                var chunk = first * 50
                while !isDone.load(ordering: .relaxed) {
                    chunk = (chunk + 1) % reader.chunkCount
                    do {
                        let got = try reader.chunk(chunk, codec)
                        #expect(got == Array(memory[chunk << 16..<(chunk + 1) << 16]))
                        readCount.add(1, ordering: .relaxed)
                    } catch { Issue.record(error) }
                }
            }
        }
        for _ in 0..<3 {
            usleep(200_000)
            server.kill()
            usleep(500_000)
            server = try server.again()
        }
        let before = readCount.load(ordering: .relaxed)
        usleep(1_500_000)
        #expect(readCount.load(ordering: .relaxed) > before)
        isDone.store(true, ordering: .relaxed)
        for thread in threads { thread.join() }
    }

    /// As it is if it is not told to take several.
    @Test func oneClientIsEnough() throws {
        let files = try SnapshotFiles()
        let server = try QEMUServer(files.path, files.folder.path, overTCP: false, clientCount: 1)
        let reader = try SnapshotReader(path: server.address)
        try reader.verify()
        #expect(try files.restored(reader) == files.memory)
    }
}

/// `qemu-nbd`, which ends with its object.
final class QEMUServer: @unchecked Sendable {
    static let path = ["/usr/bin/qemu-nbd", "/usr/local/bin/qemu-nbd"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let address: String
    private let process = Process()
    private let arguments: [String]
    private let folder: String

    convenience init(_ file: String, _ folder: String, overTCP: Bool, clientCount: Int = 8) throws {
        let port = UInt16.random(in: 20_000..<30_000)
        try self.init(
            ["-r", "-t", "-f", "raw", "-e", "\(clientCount)"]
                + (overTCP ? ["-b", "127.0.0.1", "-p", "\(port)"] : ["-k", folder + "/q"]) + [file],
            overTCP ? "nbd://127.0.0.1:\(port)/" : "nbd+unix:///?socket=\(folder)/q", folder)
    }

    private init(_ arguments: [String], _ address: String, _ folder: String) throws {
        (self.arguments, self.address, self.folder) = (arguments, address, folder)
        process.executableURL = URL(fileURLWithPath: Self.path ?? "")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // What there is of one that was killed is no server.
        for _ in 0..<1000 {
            if (try? RemoteSnapshot(address)) != nil { return }
            usleep(10_000)
        }
        throw XError(.hostCall, "qemu-nbd does not serve at \(address)")
    }

    deinit { kill() }

    /// A new one that serves the same at the same place.
    func again() throws -> QEMUServer { try QEMUServer(arguments, address, folder) }

    func kill() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
