import Disks
import Foundation
import GuestMemory
import Testing

@testable import XenBackends

/// Whatever a frontend does, nothing traps, no page is written that the guest has not granted for it, and
/// none is read.
struct BlockFrontendFuzzTests {
    private static let operationCount = FuzzLength.operations(50_000)

    @Test(arguments: FuzzLength.seeds) func randomFrontendsHarmNobody(seed: UInt64) throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-hostile-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try DiskImage.create(path: path, format: .raw, byteCount: 1 << 20)
        let hostile = try HostileBlockFrontend(DiskSpecification(path: path), seed: seed)
        func check(_ operation: Int) throws {
            #expect(hostile.harmedPages.isEmpty, "seed \(seed), before \(operation)")
            let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            #expect(!HostileBlockFrontend.hasSecret(image), "seed \(seed), before \(operation)")
        }
        for operation in 0..<Self.operationCount {
            try hostile.act()
            if operation % 5_000 == 0 { try check(operation) }
        }
        try check(Self.operationCount)
        // It got somewhere.
        #expect(hostile.connections > 20, "seed \(seed)")
        #expect(hostile.okayCount > 2_000, "seed \(seed)")
        try expectUsable(hostile.frontend, "seed \(seed)")
        try hostile.frontend.disk.close()
    }

    /// The next frontend finds a disk as new.
    private func expectUsable(_ frontend: ScriptedFrontend, _ comment: Comment) throws {
        for state in ["5", "6", "1"] { try frontend.write("state", state) }
        #expect(frontend.guest.usedReferences.isEmpty, comment)
        for reference in ScriptedGuest.references { frontend.guest.grant(reference) }
        for name in ["multi-queue-num-queues", "ring-page-order", "ring-ref0"] {
            try frontend.guest.remove(frontend.backend.nodes.frontend + "/" + name)
        }
        #expect(try frontend.connect() == "4", comment)
        frontend.put(ScriptedFrontend.request(0, 7, sector: 3, [(20, 0, 0)]))
        frontend.notify()
        #expect(frontend.responses(1) == [[7, 0, 0]], comment)
    }
}
