import Foundation
import Testing

/// Stock guests whose memory is on an NBD server, which stalls, is killed and comes back.
@Suite(.serialized, .enabled(if: Martlet.path != nil && SnapshotServer.program != nil))
final class RemoteGuestTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("martlet-remote-\(UUID().uuidString)")
    private var file: String { folder.appendingPathComponent("machine").path }

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Suspends a guest with 24 MiB in its files, which it reads piece by piece when it goes on. Their digest,
    /// which it says again at the end.
    private func suspended(_ arguments: [String] = []) throws -> String {
        let name = "r\(UInt32.random(in: 0...UInt32.max))"
        let script = """
            dd if=/dev/urandom of=/tmp/a bs=1M count=24 2>/dev/null; sha256sum </tmp/a; echo up
            n=0; while [ $n -lt 24 ]; do
              dd if=/tmp/a of=/dev/null bs=1M count=1 skip=$n 2>/dev/null
              n=$((n+1)); sleep 0.2; echo turn $n
            done; sha256sum </tmp/a; exit 7
            """
        let guest = try BackgroundGuest(
            [
                "run", "--quiet", "--platform", "xen", "--memory", "128M", "--name", name,
                "--timeout", "240",
            ] + arguments + ["--", "sh", "-c", script])
        #expect(guest.wait(for: "turn 1\n"), "\(guest.text)")
        let result = try Martlet.run(["suspend", name, file])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 0)
        return String(guest.text.prefix { $0 != "\n" })
    }

    @Test func aGuestGoesOnWhenItsServerIsKilledAndComesBack() throws {
        let digest = try suspended()
        var server = try SnapshotServer(file, in: folder)
        let guest = try BackgroundGuest([
            "restore", "--lazy", "--quiet", "--timeout", "240", server.address,
        ])
        for turn in ["turn 4\n", "turn 9\n"] {
            #expect(guest.wait(for: turn), "\(guest.text)")
            server.end()
            sleep(2)
            server = try SnapshotServer(file, in: folder)
        }
        // Nobody is told that a server stalls.
        #expect(guest.wait(for: "turn 14\n"), "\(guest.text)")
        server.signal(SIGSTOP)
        sleep(5)
        server.signal(SIGCONT)
        _ = guest.wait(for: "never")
        let (status, errors) = guest.end()
        #expect(status == 7, "\(guest.text) \(errors)")
        #expect(guest.text.components(separatedBy: digest).count == 2, "\(digest) \(guest.text)")
    }

    @Test func aServerThatStaysAwayEndsTheGuest() throws {
        _ = try suspended()
        let server = try SnapshotServer(file, in: folder)
        let address = server.address + "&patience=2"
        let guest = try BackgroundGuest([
            "restore", "--lazy", "--quiet", "--timeout", "240", address,
        ])
        #expect(guest.wait(for: "turn 3\n"), "\(guest.text)")
        server.end()
        let start = Date()
        _ = guest.wait(for: "never")
        let (status, errors) = guest.end()
        #expect(status == 125, "\(guest.text) \(errors)")
        #expect(errors.contains("the guest's memory: the server of the snapshot '\(address)'"))
        #expect(errors.contains("has been away for 2 s"), "\(errors)")
        #expect(Date().timeIntervalSince(start) < 30)
    }

    /// A machine that is told to end does not wait for its server.
    @Test(arguments: ["halt", "block"])
    func aMachineEndsBehindADeadServer(policy: String) throws {
        _ = try suspended(["--page-faults", policy])
        let server = try SnapshotServer(file, in: folder)
        let name = "r\(UInt32.random(in: 0...UInt32.max))"
        let guest = try BackgroundGuest([
            "restore", "--lazy", "--quiet", "--name", name, "--timeout", "240", server.address,
        ])
        #expect(guest.wait(for: "turn 3\n"), "\(guest.text)")
        server.end()
        sleep(2)
        let start = Date()
        _ = try Martlet.run(["stop", name, "--acknowledge", "1", "--end", "1"])
        _ = guest.wait(for: "never")
        let (_, errors) = guest.end()
        #expect(Date().timeIntervalSince(start) < 10)
        #expect(!errors.contains("away"), "\(errors)")
    }

    /// All of it at the start, and what the other commands say of it.
    @Test func allCommandsTakeAnAddress() throws {
        let digest = try suspended()
        // One client at a time has to do.
        let server = try SnapshotServer(file, in: folder, clientCount: 1)
        for arguments in [["inspect"], ["inspect", "--json"], ["verify"]] {
            let local = try Martlet.run(["snapshot"] + arguments + [file])
            let remote = try Martlet.run(["snapshot"] + arguments + [server.address])
            #expect(local.status == 0 && remote.status == 0)
            let text = String(decoding: local.output, as: UTF8.self)
            #expect(
                String(decoding: remote.output, as: UTF8.self)
                    == text.replacingOccurrences(of: file, with: server.address))
        }
        let guest = try BackgroundGuest([
            "restore", "--quiet", "--timeout", "240", server.address,
        ])
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 7)
        #expect(guest.text.contains(digest), "\(guest.text)")
    }
}

/// `qemu-nbd` with a snapshot, at a socket in a folder, which ends with its object.
private final class SnapshotServer {
    static let program = ["/usr/bin/qemu-nbd", "/usr/local/bin/qemu-nbd"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let address: String
    private let process = Process()

    init(_ file: String, in folder: URL, clientCount: Int = 8) throws {
        let socket = folder.appendingPathComponent("socket").path
        // One that was killed leaves it.
        try? FileManager.default.removeItem(atPath: socket)
        address = "nbd+unix:///?socket=\(socket)"
        process.executableURL = URL(fileURLWithPath: Self.program ?? "")
        process.arguments = [
            "-r", "-t", "-f", "raw", "-e", "\(clientCount)", "-k", socket, file,
        ]
        process.standardInput = FileHandle.nullDevice
        try Martlet.start(process)
        for _ in 0..<1000 where !FileManager.default.fileExists(atPath: socket) { usleep(10_000) }
    }

    deinit { end() }

    func signal(_ number: CInt) { kill(process.processIdentifier, number) }

    func end() {
        guard process.isRunning else { return }
        signal(SIGKILL)
        process.waitUntilExit()
    }
}
