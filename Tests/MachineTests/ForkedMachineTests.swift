import Disks
import Foundation
import Glibc
import GuestMemory
import TestSupport
import Testing
import Vocabulary

@testable import Machine

/// What one process gives another of a machine that is forked.
@Suite struct ForkedMachineTests {
    private func fork() throws -> ForkedMachine {
        let memory = try GuestMemory(byteCount: 16 << 20)
        memory.write(.init(0x1000), integer: UInt64(7))
        memory.write(.init(9 << 20), integer: UInt64(8))
        var disk = DiskSpecification(path: "/some/disk", format: .qcow2)
        disk.isReadOnly = true
        return ForkedMachine(
            manifest: Array("manifest".utf8), image: try memory.share(), disks: [disk])
    }

    private func copies(_ fork: ForkedMachine) -> [CInt] {
        fork.descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
    }

    @Test func itArrivesAsItWas() throws {
        let fork = try fork()
        let other = try ForkedMachine(decoding: fork.encoded, owning: copies(fork))
        #expect(other.manifest == fork.manifest && other.disks == fork.disks)
        #expect(other.image.runs == fork.image.runs)
        let memory = try GuestMemory(
            regions: MemoryRegion.pc(byteCount: 16 << 20), image: other.image)
        #expect(memory.read(.init(0x1000), as: UInt64.self) == 7)
        #expect(memory.read(.init(9 << 20), as: UInt64.self) == 8)
    }

    @Test func whatIsDamagedIsAnErrorOrAnotherMachineButNothingElse() throws {
        let fork = try fork()
        let good = fork.encoded
        for count in 0..<good.count - fork.manifest.count {
            #expect(throws: (any Error).self) {
                try ForkedMachine(decoding: Array(good[..<count]), owning: copies(fork))
            }
        }
        var random = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0...2 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            guard let other = try? ForkedMachine(decoding: bytes, owning: copies(fork)) else {
                continue
            }
            _ = try? GuestMemory(
                regions: MemoryRegion.pc(byteCount: 16 << 20), image: other.image)
        }
    }
}
