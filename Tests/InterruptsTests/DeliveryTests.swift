import Glibc
import HostIO
import Synchronization
import Testing
import VirtualCPU

@testable import Interrupts

/// Who gets an interrupt, and what happens when many send at once.
@Suite struct DeliveryTests {
    private func received(_ apics: ScriptedAPICs) -> [Int] {
        apics.controller.localAPICs.indices.filter { apics[$0].acknowledge() != nil }
    }

    @Test func clusterModel() {
        let apics = ScriptedAPICs(count: 6)
        for index in 0..<6 {
            apics.write(index, 0x0e0, 0x0fff_ffff)
            // Two clusters of three.
            apics.write(index, 0x0d0, UInt32(index / 3) << 28 | 1 << (24 + UInt32(index % 3)))
        }
        func send(_ destination: UInt32, _ vector: UInt32) -> [Int] {
            apics.write(0, 0x310, destination << 24)
            apics.write(0, 0x300, 0x4800 | vector)
            return received(apics)
        }
        #expect(send(0x15, 0x31) == [3, 5])
        #expect(send(0x02, 0x42) == [1])
        #expect(send(0xf1, 0x53) == [0, 3], "all clusters")
        #expect(send(0xff, 0x64) == [0, 1, 2, 3, 4, 5])
        #expect(send(0x28, 0x75) == [])
    }

    @Test func wideDestinationsAreNotNarrowBroadcasts() {
        let apics = ScriptedAPICs(count: 3)
        #expect(apics[0].setBase(apics[0].base | 0x400))
        func send(_ value: UInt64) {
            guard let effect = apics[0].writeX2(0x830, value) else { return }
            apics.controller.perform(effect)
        }
        send(0xff << 32 | 0x4031)
        #expect(received(apics) == [])
        send(2 << 32 | 0x4041)
        #expect(received(apics) == [2])
        send(0xffff_ffff << 32 | 0x4051)
        #expect(received(apics) == [0, 1, 2])
    }

    @Test func lowestPriorityChoosesOne() {
        let apics = ScriptedAPICs(count: 4)
        for index in 0..<4 { apics.write(index, 0x0d0, 1 << (24 + UInt32(index))) }
        for index in [0, 1, 3] { apics[index].taskPriority = 7 }
        apics.write(0, 0x310, 0x0f00_0000)
        apics.write(0, 0x300, 0x4990)
        #expect(received(apics) == [2])
        // Its handler runs: the others do less.
        apics.write(0, 0x300, 0x4991)
        #expect(received(apics).count == 1)
        #expect(apics[2].acknowledge() == nil)
        // Equal priorities: not always the first.
        let spread = ScriptedAPICs(count: 4)
        var chosen: Set<Int> = []
        for vector in 0x30..<0x40 as Range<UInt32> {
            spread.write(0, 0x310, 0xff00_0000)
            spread.write(0, 0x300, 0x4100 | vector)
            for index in 0..<4 where spread[index].acknowledge() != nil {
                chosen.insert(index)
                spread.write(index, 0x0b0, 0)
            }
        }
        #expect(chosen == [0, 1, 2, 3])
    }

    @Test func initAndStartUpAreLatched() {
        let apics = ScriptedAPICs(count: 2)
        apics.write(0, 0x310, 1 << 24)
        // A start-up before INIT is void; of two after it the first counts.
        apics.write(0, 0x300, 0x4611)
        apics.write(0, 0x300, 0xc500)
        apics.write(0, 0x300, 0x4622)
        apics.write(0, 0x300, 0x4633)
        #expect(apics[1].takeStartUpRequests() == [.initialize, .startUp(vector: 0x22)])
        // INIT without level and trigger bits is one; only the de-assert is not.
        apics.write(0, 0x300, 0x0500)
        #expect(apics[1].takeStartUpRequests() == [.initialize])
        apics.write(0, 0x300, 0x8500)
        #expect(apics[1].takeStartUpRequests().isEmpty)
    }

    /// What comes after an INIT finds a processor that waits for start-up, even if its vCPU has not
    /// got round to the INIT yet.
    @Test func nothingIsAcceptedBehindAnINIT() {
        let apics = ScriptedAPICs(count: 2)
        apics[1].request(vector: 0x40, level: false)
        apics.write(0, 0x310, 0x0100_0000)
        apics.write(0, 0x300, 0x4500)
        #expect(!apics[1].request(vector: 0x50, level: false))
        #expect(apics[1].takeStartUpRequests() == [.initialize])
        #expect(!apics[1].request(vector: 0x50, level: false))
        apics.write(1, 0x0f0, 0x1ff)
        #expect(!apics[1].hasDeliverable)
        #expect(apics[1].request(vector: 0x50, level: false))
    }

    @Test func taskAndServicePriorityMakeTheProcessors() {
        let apics = ScriptedAPICs(count: 1)
        apics.write(0, 0x080, 0x35)
        #expect(apics[0].read(0x0a0) == 0x35)
        apics[0].request(vector: 0x61, level: false)
        #expect(apics[0].acknowledge() == 0x61)
        #expect(apics[0].read(0x0a0) == 0x60)
        apics.write(0, 0x080, 0x6f)
        #expect(apics[0].read(0x0a0) == 0x6f)
        #expect(apics[0].taskPriority == 6)
    }

    /// Senders on their own threads, each waiting for its interrupt to be taken: one that is lost
    /// would be waited for for ever.
    @Test(.timeLimit(.minutes(2))) func nothingIsLostBetweenThreads() throws {
        let apics = ScriptedAPICs(count: 2)
        let taken = (0..<4).map { _ in Counter() }
        let rounds = 3000
        let senders = try (0..<4).map { sender in
            try HostThread.spawn(name: "sender\(sender)") { [apics, taken] in
                for round in 1...rounds {
                    apics[1].request(vector: UInt8(0x40 + sender * 0x20), level: round % 2 == 0)
                    while taken[sender].value < round { sched_yield() }
                }
            }
        }
        let processor = try HostThread.spawn(name: "processor") { [apics, taken] in
            var total = 0
            while total < 4 * rounds {
                guard apics.pending[1].current.contains(.interrupt) else {
                    sched_yield()
                    continue
                }
                apics.pending[1].clear(.interrupt)
                while let vector = apics[1].acknowledge() {
                    taken[(Int(vector) - 0x40) / 0x20].add()
                    total += 1
                    // The priority goes up and down again while others send.
                    apics[1].taskPriority = 15
                    apics.write(1, 0x0b0, 0)
                    apics[1].taskPriority = 0
                }
            }
        }
        for thread in senders + [processor] { thread.join() }
        #expect(taken.map(\.value) == [rounds, rounds, rounds, rounds])
        #expect(!apics[1].hasDeliverable)
    }

    final class Counter: Sendable {
        private let word = Atomic<Int>(0)
        var value: Int { word.load(ordering: .acquiring) }
        func add() { word.wrappingAdd(1, ordering: .releasing) }
    }
}
