import GuestMemory
import HostIO
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import KVMParavirt

/// A guest that does all of it in any order, and what must hold after each step.
@Suite struct AsyncFaultRandomTests {
    typealias Guest = AsyncFaultGuest

    /// The guest with what the host's side knows of it.
    private struct Scene {
        let bench: KVMFaceTests.Bench
        var guest: Guest
        /// Tokens whose page is not there, those whose page is, in order, and all there ever were.
        var waiting: [UInt32: UInt64] = [:]
        var ready: [UInt32] = []
        var seen: Set<UInt32> = []
        /// Tokens that were in the slot.
        var told: Set<UInt32> = []
        var (injected, dropped, halted) = (0, 0, 0)
        var wakesAll = false
        /// A #PF that the guest has not handled, and an interrupt that it has not taken.
        var pageFault: UInt32?
        var isInterrupted = false
        var localAPICIsEnabled = true

        init() throws {
            bench = try KVMFaceTests.Bench()
            guest = Guest(bench)
        }

        var outstanding: Int { waiting.count + ready.count }

        mutating func forget() {
            dropped += outstanding
            waiting = [:]
            ready = []
            wakesAll = false
        }

        mutating func fault(_ page: UInt64, _ conditions: AsyncFaultConditions, takes: Bool) {
            let isKnown =
                waiting.values.contains(page) || ready.contains { pageOf[$0] == page }
            let may =
                takes && guest.isEnabled && pageFault == nil && guest.flags == 0 && !isKnown
                && outstanding < 64
            switch guest.fault(page, conditions) {
            case .halt:
                halted += 1
                #expect(!may)
            case .notPresent(let token):
                injected += 1
                #expect(may)
                #expect(token != 0 && token != Guest.wakeAll && token & 0xfff == 0)
                let isNew = seen.insert(token).inserted
                #expect(isNew, "a token is given once")
                #expect(guest.flags == 1)
                waiting[token] = page
                pageOf[token] = page
                pageFault = token
            }
        }
        var pageOf: [UInt32: UInt64] = [:]

        mutating func arrive(_ random: UInt64) {
            guard !waiting.isEmpty else { return }
            let tokens = waiting.keys.sorted()
            let token = tokens[Int(random % UInt64(tokens.count))]
            #expect(bench.face.pageIsReady(guest.processor, token: token))
            waiting[token] = nil
            ready.append(token)
        }

        mutating func look() {
            let before = guest.slot
            let vector = bench.face.readyPageVector(
                guest.processor, localAPICIsEnabled: localAPICIsEnabled)
            let may =
                guest.isEnabled && localAPICIsEnabled && before == 0
                && (wakesAll || !ready.isEmpty)
            #expect(vector == (may ? Guest.vector : nil))
            guard may else {
                #expect(guest.slot == before, "never overwritten")
                return
            }
            if wakesAll {
                #expect(guest.slot == Guest.wakeAll)
                wakesAll = false
            } else {
                let next = ready.removeFirst()
                #expect(guest.slot == next)
                let isNew = told.insert(next).inserted
                #expect(isNew, "told once")
            }
            isInterrupted = true
        }

        mutating func takeInterrupt() {
            guard isInterrupted else { return }
            isInterrupted = false
            guest.takeInterrupt()
        }

        mutating func takePageFault() {
            guard let token = pageFault else { return }
            pageFault = nil
            let isOurs = guest.takePageFault(token)
            #expect(isOurs == guest.isEnabled)
        }

        /// As `kvm_guest_cpu_offline`: not between a fault and its handler.
        mutating func turnOff() {
            takePageFault()
            guest.turnOff()
            forget()
        }

        mutating func turnOn() {
            takePageFault()
            guest.turnOn()
            forget()
            wakesAll = true
            isInterrupted = false
        }

        /// INIT: interrupts that wait are lost with the local APIC's state.
        mutating func initialize() {
            takePageFault()
            bench.face.initialize(guest.processor)
            guest.isEnabled = false
            guest.sleeping = []
            forget()
            isInterrupted = false
            localAPICIsEnabled = false
        }

        mutating func restore() throws {
            try handOver(from: bench.face, to: bench.face)
            forget()
            wakesAll = guest.isEnabled
        }

        func check(_ step: Int) {
            let metrics = bench.face.metrics
            #expect(metrics["asyncFaultsInjected"] == UInt64(injected), "step \(step)")
            #expect(metrics["asyncFaultsReady"] == UInt64(told.count), "step \(step)")
            #expect(metrics["asyncFaultsDropped"] == UInt64(dropped), "step \(step)")
            #expect(metrics["asyncFaultsHalted"] == UInt64(halted), "step \(step)")
            #expect(metrics["asyncFaultsOutstanding"] == UInt64(outstanding), "step \(step)")
            #expect(injected == told.count + dropped + outstanding, "step \(step)")
            #expect(outstanding <= 64, "step \(step)")
        }
    }

    @Test func everyTokenIsToldOnceOrDropped() throws {
        var random = Random(seed: 0xa5f_2026)
        var scene = try Scene()
        scene.turnOn()
        var most = 0
        for step in 0..<100_000 {
            // Spells in which pages hardly come, so that there are many outstanding.
            let isSlow = step / 500 % 3 == 0
            switch random.next() % 1000 {
            case 0..<430:
                var conditions = Guest.takes
                let takes = random.next() % 8 != 0
                if !takes {
                    switch random.next() % 4 {
                    case 0: conditions.privilegeLevel = UInt8(random.next() % 3)
                    case 1: conditions.interruptsEnabled = false
                    case 2: conditions.pagingEnabled = false
                    default: conditions.eventPending = true
                    }
                }
                scene.fault(random.next() % 100, conditions, takes: takes)
            case 430..<600: scene.takePageFault()
            case 600..<750:
                if !isSlow || random.next() % 16 == 0 { scene.arrive(random.next()) }
            case 750..<860: scene.look()
            case 860..<960: scene.takeInterrupt()
            case 960..<980: scene.localAPICIsEnabled = random.next() % 4 != 0
            case 980..<985:
                let token = UInt32(truncatingIfNeeded: random.next())
                if scene.waiting[token] == nil {
                    #expect(!scene.bench.face.pageIsReady(scene.guest.processor, token: token))
                }
            case 985..<988:
                for token in scene.told.prefix(3) {
                    #expect(!scene.bench.face.pageIsReady(scene.guest.processor, token: token))
                }
            case 988..<990: scene.turnOff()
            case 990..<996: if !scene.guest.isEnabled { scene.turnOn() }
            case 996: scene.turnOn()
            case 997: scene.initialize()
            default: if step % 4 == 0 { try scene.restore() }
            }
            most = max(most, scene.outstanding)
            scene.check(step)
        }
        #expect(most == 64, "the limit was met")
        #expect(scene.told.count > 2000 && scene.dropped > 1000)
    }

    /// Pages come from other threads while the vCPU faults and delivers.
    @Test(.timeLimit(.minutes(1))) func pagesComeFromManyThreads() throws {
        let bench = try KVMFaceTests.Bench(processors: 1)
        var guest = Guest(bench)
        guest.turnOnAndSettle()
        let coming = Mutex<[UInt32]>([])
        let isDone = Atomic<Bool>(false)
        let refused = Atomic<Int>(0)
        let threads = try (0..<3).map { index in
            try HostThread.spawn(name: "pager\(index)") { [face = bench.face] in
                while true {
                    guard let token = coming.withLock({ $0.popLast() }) else {
                        if isDone.load(ordering: .acquiring) { return }
                        continue
                    }
                    if !face.pageIsReady(VCPUIndex(0), token: token) {
                        refused.wrappingAdd(1, ordering: .relaxed)
                    }
                }
            }
        }
        var given: Set<UInt32> = []
        var page: UInt64 = 0
        while given.count < 50_000 {
            page += 1
            if case .notPresent(let token) = guest.fault(page) {
                let isNew = given.insert(token).inserted
                coming.withLock { $0.append(token) }
                let isOurs = guest.takePageFault(token)
                #expect(isNew && isOurs)
            }
            if page % 3 == 0 { guest.drain() }
        }
        while bench.face.metrics["asyncFaultsOutstanding"] != 0 { guest.drain() }
        isDone.store(true, ordering: .releasing)
        for thread in threads { thread.join() }
        #expect(refused.load(ordering: .relaxed) == 0)
        #expect(guest.woken.count == given.count)
        #expect(Set(guest.woken) == given)
        #expect(guest.sleeping.isEmpty)
    }
}

/// The same numbers every time: SplitMix64.
private struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
