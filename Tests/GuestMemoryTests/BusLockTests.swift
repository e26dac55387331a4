import Foundation
import Synchronization
import Testing

@testable import GuestMemory

/// Several engines' worth of threads at one bus lock.
@Suite struct BusLockTests {
    /// What the threads share.
    private final class Scene: Sendable {
        let lock = BusLock()
        let asked = (0..<4).map { _ in Counter() }
        /// A holder is at work.
        let held = Atomic<Bool>(false)
        let heldAmidst = Atomic<Int>(0)
        let together = Atomic<Int>(0)
        let turns = (0..<4).map { _ in Counter() }
        let sum = Atomic<Int>(0)
    }
    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    /// While one holds the lock none of the others is in guest code; all of them get on.
    @Test(arguments: [1, 2, 4]) func holderIsAlone(holders: Int) {
        let scene = Scene()
        let rounds = 500
        let seats = (0..<4).map { n in
            scene.lock.makeSeat { scene.asked[n].value.add(1, ordering: .relaxed) }
        }
        let group = DispatchGroup()
        for n in 0..<4 {
            group.enter()
            Thread.detachNewThread {
                let seat = seats[n]
                for round in 0..<rounds {
                    scene.lock.sitDown(seat)
                    for block in 0..<8 {
                        scene.lock.pauseIfAsked(seat)
                        if scene.held.load(ordering: .sequentiallyConsistent) {
                            scene.heldAmidst.add(1, ordering: .relaxed)
                        }
                        scene.turns[n].value.add(1, ordering: .relaxed)
                        guard n < holders, block == round & 7 else { continue }
                        scene.lock.withLock(seat) {
                            if scene.held.exchange(true, ordering: .sequentiallyConsistent) {
                                scene.together.add(1, ordering: .relaxed)
                            }
                            let sum = scene.sum.load(ordering: .relaxed)
                            scene.sum.store(sum + 1, ordering: .relaxed)
                            scene.held.store(false, ordering: .sequentiallyConsistent)
                        }
                    }
                    scene.lock.getUp(seat)
                }
                group.leave()
            }
        }
        group.wait()
        #expect(scene.sum.load(ordering: .relaxed) == holders * rounds)
        #expect(scene.together.load(ordering: .relaxed) == 0)
        #expect(scene.heldAmidst.load(ordering: .relaxed) == 0)
        for turns in scene.turns { #expect(turns.value.load(ordering: .relaxed) == rounds * 8) }
    }

    /// Nobody is asked who does not run, and nobody is waited for.
    @Test func whoIsAwayIsNotAsked() {
        let lock = BusLock()
        let asked = Atomic<Int>(0)
        let seat = lock.makeSeat {}
        _ = lock.makeSeat { asked.add(1, ordering: .relaxed) }
        lock.sitDown(seat)
        #expect(lock.withLock(seat) { 7 } == 7)
        lock.getUp(seat)
        #expect(asked.load(ordering: .relaxed) == 0)
    }
}
