import Foundation
import Synchronization
import Testing

@testable import HostIO

@Suite struct RankedLockTests {
    @Test func countsAndExcludes() throws {
        let box = Box()
        let threads = try (0..<4).map { index in
            try HostThread.spawn(name: "locker\(index)") {
                for _ in 0..<20_000 { box.total.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(box.total.withLock { $0 } == 80_000)
        #expect(box.total.statistics.acquisitions == 80_001)
    }

    final class Box: Sendable {
        let total = RankedLock(0, owner: "box", rank: .leaf)
        let entered = Atomic<Bool>(false)
    }

    @Test func aWaiterIsCountedAndGetsTheLock() throws {
        let box = Box()
        let thread = try box.total.withLock { _ in
            let thread = try HostThread.spawn(name: "waiter") {
                box.entered.store(true, ordering: .releasing)
                box.total.withLock { $0 += 1 }
            }
            while !box.entered.load(ordering: .acquiring) {}
            return thread
        }
        thread.join()
        #expect(box.total.withLock { $0 } == 1)
        #expect(box.total.statistics.acquisitions == 3)
        #expect(box.total.statistics.waitNanoseconds >= box.total.statistics.longestWaitNanoseconds)
    }

    /// What taking and releasing costs when nobody else wants it: `MARTLET_MEASURE=1 swift test`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["MARTLET_MEASURE"] != nil))
    func uncontendedCost() {
        let box = Box()
        let clock = ContinuousClock()
        let rounds = 20_000_000
        let best = (0..<5).map { _ in
            clock.measure { for _ in 0..<rounds { box.total.withLock { $0 &+= 1 } } }
        }.min()
        #expect(box.total.withLock { $0 } == rounds * 5)
        print("uncontended lock:", (best ?? .zero) / rounds)
    }

    @Test func anErrorReleases() {
        struct Oops: Error {}
        let lock = RankedLock(1, owner: "thrower", rank: .leaf)
        #expect(throws: Oops.self) { try lock.withLock { _ in throw Oops() } }
        #expect(lock.withLock { $0 } == 1)
    }

    @Test func onlyLowerRanksAreAllowed() {
        var held = HeldRanks()
        #expect(held.allows(.machine))
        held.insert(.device)
        #expect(!held.allows(.machine))
        #expect(!held.allows(.device))
        #expect(held.allows(.ioAPIC))
        held.insert(.ioAPIC)
        #expect(!held.allows(.ioAPIC))
        #expect(held.allows(.leaf))
        #expect(held.ranks == [.ioAPIC, .device])
        held.remove(.ioAPIC)
        held.remove(.device)
        #expect(held == HeldRanks())
    }

    @Test func aWrongOrderEndsTheProgram() async {
        await #expect(processExitsWith: .failure) {
            let inner = LockCore(owner: "inner", rank: .ioAPIC, checksRank: true)
            let outer = LockCore(owner: "outer", rank: .device, checksRank: true)
            inner.acquire()
            outer.acquire()
        }
        await #expect(processExitsWith: .success) {
            let inner = LockCore(owner: "inner", rank: .ioAPIC, checksRank: true)
            let outer = LockCore(owner: "outer", rank: .device, checksRank: true)
            for _ in 0..<2 {
                outer.acquire()
                inner.acquire()
                inner.release()
                outer.release()
            }
        }
    }

    @Test func theRegistryListsWhatLives() {
        let name = "listed once"
        func listed() -> Int { LockRegistry.statistics.count { $0.owner == name } }
        do {
            let lock = RankedLock(0, owner: name, rank: .timerQueue)
            lock.withLock { $0 += 1 }
            let entry = LockRegistry.statistics.first { $0.owner == name }
            #expect(entry?.acquisitions == 1)
            #expect(entry?.rank == "timerQueue")
        }
        #expect(listed() == 0)
    }
}
