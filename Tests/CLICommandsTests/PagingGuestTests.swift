import Foundation
import Testing

/// Stock guests with memory that is elsewhere.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct PagingGuestTests {
    private struct Statistics: Decodable {
        var parts: [String: [String: UInt64]]
    }

    private func statistics(_ errors: [UInt8]) throws -> Statistics {
        let line = String(decoding: errors, as: UTF8.self).split(separator: "\n").last {
            $0.hasPrefix("{")
        }
        return try JSONDecoder().decode(Statistics.self, from: Data((line ?? "").utf8))
    }

    /// Two copies of random bytes, more than the host keeps of the guest, are the same again and again.
    private static let copies = """
        dd if=/dev/urandom of=/tmp/a bs=1M count=30 2>/dev/null; cp /tmp/a /tmp/b
        for i in 1 2; do cmp /tmp/a /tmp/b && md5sum </tmp/b; done | sort -u | wc -l
        awk '$1 == "HYP:" { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' \
          /proc/interrupts
        """

    @Test(arguments: ["xen", "kvm"])
    func memoryBeyondTheHostsIsRight(platform: String) throws {
        let result = try Martlet.run([
            "run", "--quiet", "--platform", platform, "--cpus", "2", "--memory", "256M",
            "--resident", "48M", "--swap", FileManager.default.temporaryDirectory.path, "--stats",
            "--timeout", "240", "--", "sh", "-c", Self.copies,
        ])
        let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
        let errors = String(decoding: result.errors, as: UTF8.self)
        #expect(result.status == 0 && lines.first == "1", "\(lines) \(errors)")
        let parts = try statistics(result.errors).parts
        let pager = try #require(parts["pager"])
        #expect(pager["swappedIn", default: 0] > 1000)
        #expect(pager["residentBytes", default: 0] <= 48 << 20)
        guard platform == "kvm", let face = parts["kvm-face"] else { return }
        #expect(face["asyncFaultsInjected", default: 0] > 100)
        #expect(face["asyncFaultsInjected"] == face["asyncFaultsReady"])
        #expect(UInt64(lines.last ?? "") ?? 0 > 100)
    }

    private var file: String {
        FileManager.default.temporaryDirectory.appendingPathComponent(
            "martlet-paged-\(UUID().uuidString)"
        ).path
    }

    private func name() -> String { "p\(UInt32.random(in: 0...UInt32.max))" }

    /// Suspends a guest that has a digest of its files, and says it again whenever it is told.
    private func suspended(_ name: String, _ file: String) throws -> String {
        let guest = try BackgroundGuest([
            "run", "--quiet", "--platform", "xen", "--memory", "128M", "--name", name, "--timeout",
            "240", "--", "sh", "-c",
            """
            dd if=/dev/urandom of=/tmp/a bs=1M count=24 2>/dev/null; md5sum </tmp/a; echo up
            n=0; while [ $n -lt 40 ]; do n=$((n+1)); echo turn $n; sleep 0.1; done; md5sum </tmp/a; exit 7
            """,
        ])
        #expect(guest.wait(for: "turn 2\n"), "\(guest.text)")
        let result = try Martlet.run(["suspend", name, file])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        _ = guest.wait(for: "never")
        #expect(guest.end().status == 0)
        return String(guest.text.prefix { $0 != "\n" })
    }

    @Test func aSnapshotIsReadAsItIsTouched() throws {
        let (name, file) = (name(), file)
        let again = file + "-again"
        defer { for path in [file, again] { try? FileManager.default.removeItem(atPath: path) } }
        let digest = try suspended(name, file)
        // What is suspended before it was read has all of its memory all the same.
        let lazy = try BackgroundGuest([
            "restore", "--lazy", "--quiet", "--name", name, "--timeout", "240", file,
        ])
        #expect(lazy.wait(for: "turn 10\n"), "\(lazy.text) \(lazy.end().errors)")
        let result = try Martlet.run(["suspend", name, again])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        _ = lazy.wait(for: "never")
        #expect(lazy.end().status == 0)
        for arguments in [["--lazy"], []] {
            let guest = try BackgroundGuest(
                ["restore", "--quiet", "--timeout", "240"] + arguments + [again])
            _ = guest.wait(for: "never")
            #expect(guest.end().status == 7)
            #expect(guest.text.contains(digest), "\(guest.text)")
        }
    }

    private func restored(_ file: String, _ arguments: String...) throws -> (
        text: String, errors: String, pager: [String: UInt64]
    ) {
        let guest = try BackgroundGuest(
            ["restore", "--lazy", "--quiet", "--stats", "--timeout", "240"] + arguments + [file])
        _ = guest.wait(for: "never")
        let (status, errors) = guest.end()
        #expect(status == 7, "\(errors)")
        return (guest.text, errors, try statistics(Array(errors.utf8)).parts["pager"] ?? [:])
    }

    /// What a run touched is there before the next one touches it; a file that is not right is of no use, and
    /// does no harm.
    @Test func whatWasTouchedIsReadAhead() throws {
        let (name, file) = (name(), file)
        let list = file + ".workingset"
        defer { for path in [file, list] { try? FileManager.default.removeItem(atPath: path) } }
        let digest = try suspended(name, file)
        let first = try restored(file, "--record")
        #expect(first.text.contains(digest))
        let touched = first.pager["fromSource", default: 0]
        #expect(touched > 300 && first.pager["prefetchedChunks"] == 0)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: list))
        let second = try restored(file)
        #expect(second.text.contains(digest))
        #expect(second.pager["prefetchedChunks", default: 0] > touched * 3 / 4)
        #expect(second.pager["fromSource", default: 0] < touched / 4)
        #expect(second.pager["prefetchedPagesUsed", default: 0] > 4000)
        #expect(!second.errors.contains("working set"))
        for damaged in [bytes.dropLast(9), bytes.dropFirst(4) + bytes.prefix(4), Data()] {
            try damaged.write(to: URL(fileURLWithPath: list))
            let third = try restored(file)
            #expect(third.text.contains(digest))
            #expect(third.pager["prefetchedChunks"] == 0)
            let lines = third.errors.split(separator: "\n").filter { !$0.hasPrefix("{") }
            #expect(lines.count == 1 && lines.first?.contains(list) == true, "\(lines)")
        }
    }

    /// Not one wrong byte reaches the guest: it ends, and why is said.
    @Test(arguments: [true, false])
    func aDamagedSnapshotEndsTheGuest(isCut: Bool) throws {
        let (name, file) = (name(), file)
        defer { try? FileManager.default.removeItem(atPath: file) }
        _ = try suspended(name, file)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
        let end = try handle.seekToEnd()
        // Every run of the memory has its byte; the table and the manifest stay whole.
        for offset in stride(from: UInt64(1 << 20), to: end - (2 << 20), by: 60_000) {
            try handle.seek(toOffset: offset)
            let byte = try #require(try handle.read(upToCount: 1)?.first)
            try handle.seek(toOffset: offset)
            if !isCut { try handle.write(contentsOf: [byte ^ 0x10]) }
        }
        let guest = try BackgroundGuest([
            "restore", "--lazy", "--quiet", "--timeout", "240", file,
        ])
        if isCut { try handle.truncate(atOffset: 1 << 20) }
        try handle.close()
        _ = guest.wait(for: "never")
        let (status, errors) = guest.end()
        #expect(status == 125, "\(guest.text)")
        #expect(errors.contains(file), "\(errors)")
        let words = isCut ? ["cut", "truncated"] : ["damaged"]
        #expect(words.contains { errors.contains($0) }, "\(errors)")
    }
}
