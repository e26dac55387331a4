import Foundation
import GuestMemory
import Networks
import Synchronization
import Testing
import Vocabulary

@testable import XenBackends

/// Whatever a frontend does, nothing traps, and no page is written that the guest has not granted for it.
struct NetworkFrontendFuzzTests {
    private static let operationCount = FuzzLength.operations(50_000)

    @Test(arguments: FuzzLength.seeds)
    func randomFrontendsHarmNobody(seed: UInt64) throws {
        let hostile = try HostileNetworkFrontend(seed: seed)
        for operation in 0..<Self.operationCount {
            try hostile.act()
            if operation % 5_000 == 0 {
                #expect(hostile.harmedPages.isEmpty, "seed \(seed), before \(operation)")
            }
        }
        #expect(hostile.harmedPages.isEmpty, "seed \(seed)")
        // It got somewhere.
        #expect(hostile.connections > 20, "seed \(seed)")
        #expect(hostile.sentCount > 1_000, "seed \(seed)")
        #expect(hostile.receivedCount > 1_000, "seed \(seed)")
        try expectUsable(hostile.frontend, "seed \(seed)")
    }

    /// The next frontend finds an interface as new.
    private func expectUsable(_ frontend: ScriptedNetworkFrontend, _ comment: Comment) throws {
        try frontend.leave()
        #expect(frontend.guest.usedReferences.isEmpty, comment)
        for reference in ScriptedGuest.references { frontend.guest.grant(reference) }
        frontend.network.setRoom(nil)
        _ = frontend.network.takeSent()
        #expect(try frontend.connect() == "4", comment)
        let frame = ScriptedFrame().bytes
        frontend.send(frame)
        #expect(frontend.network.takeSent().map(\.bytes) == [frame], comment)
        frontend.post([200])
        #expect(frontend.network.deliver(frame), comment)
        #expect(frontend.takeReceived().map(\.bytes) == [frame], comment)
    }

    /// Another processor of the guest, which changes entries, grants and headers while they are read.
    private final class OtherProcessor: Sendable {
        private let memory: GuestMemory
        private let isStopping = Atomic<Bool>(false)
        private let hasEnded = Atomic<Bool>(false)
        let changes = Atomic<UInt64>(0)

        init(_ guest: ScriptedGuest) {
            memory = guest.memory
            let pages = [16, 17, ScriptedNetworkFrontend.data].map { guest.page($0) }
            let grant = ScriptedGuest.entry(ScriptedNetworkFrontend.data)
            Thread.detachNewThread { self.run(pages, grant) }
        }

        private func run(_ pages: [GuestPhysicalAddress], _ grant: GuestPhysicalAddress) {
            while !isStopping.load(ordering: .relaxed) {
                for page in pages {
                    let isRing = page != pages[2]
                    let at = UInt64.random(in: isRing ? 64...4080 : 12...60)
                    memory.write(page.advanced(by: at), integer: UInt16.random(in: 0...UInt16.max))
                }
                memory.write(grant, integer: UInt16.random(in: 0...1))
                changes.wrappingAdd(1, ordering: .relaxed)
            }
            hasEnded.store(true, ordering: .releasing)
        }

        func stop() {
            isStopping.store(true, ordering: .relaxed)
            while !hasEnded.load(ordering: .acquiring) { usleep(100) }
        }
    }

    @Test func whatChangesMeanwhileHarmsNobody() throws {
        let hostile = try HostileNetworkFrontend(seed: 1)
        let frontend = hostile.frontend
        let other = OtherProcessor(frontend.guest)
        defer { other.stop() }
        let frame = ScriptedFrame(payloadByteCount: 1000).bytes
        var (sent, received) = (0, 0)
        for _ in 0..<10_000 {
            if frontend.ofBackend("state") != "4" {
                try frontend.leave()
                for reference in [16, 17] as [UInt32] { frontend.guest.grant(reference) }
                try frontend.connect()
            }
            frontend.send(
                frame, parts: [500, frame.count - 500], flags: 1,
                extras: [ScriptedNetworkFrontend.segmentation(byteCount: 500)])
            frontend.post([ScriptedNetworkFrontend.data, 200])
            frontend.network.deliver(frame)
            sent += frontend.network.takeSent().count
            _ = frontend.takeResponses()
            received += frontend.takeReceived().count
        }
        #expect(sent > 100 && received > 100 && other.changes.load(ordering: .relaxed) > 100)
        #expect(hostile.harmedPages.isEmpty)
    }
}
