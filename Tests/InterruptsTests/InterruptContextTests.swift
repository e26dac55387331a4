import HostIO
import Interrupts
import Synchronization
import Testing

@Suite struct InterruptContextTests {
    final class Work: Sendable {
        let names = Mutex<[String]>([])
        let todo = Atomic<Int>(0)
        let done = Atomic<Int>(0)
        func run() {
            names.withLock { $0.append(HostThread.currentName) }
            done.wrappingAdd(todo.exchange(0, ordering: .acquiring), ordering: .releasing)
        }
    }

    let work = Work()

    private func context(
        _ policy: InterruptContext.Policy, gathering: UInt64 = 0
    ) -> InterruptContext {
        InterruptContext(policy, device: "uart0", queue: "uart0-rx", gathering: gathering) {
            [work] in work.run()
        }
    }

    @Test func inlineRunsOnWhoSignals() throws {
        let inline = context(.inline)
        try inline.start()
        try HostThread.spawn(name: "submitter") { inline.signal() }.join()
        #expect(work.names.withLock { $0 } == ["submitter"])
        #expect(inline.isInline && inline.isIdleForEver)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [0, 200_000])
    func aThreadDoesAllThatIsSignalled(gathering: UInt64) throws {
        let asked = Mutex("")
        let threaded = context(
            InterruptContext.Policy(priority: { device in
                asked.withLock { $0 = device }
                return .inherited
            }), gathering: gathering)
        let device = asked.withLock { $0 }
        #expect(device == "uart0")
        try threaded.start()
        let signallers = try (0..<3).map { number in
            try HostThread.spawn(name: "signaller\(number)") { [work] in
                for _ in 0..<1000 {
                    work.todo.wrappingAdd(1, ordering: .releasing)
                    threaded.signal()
                }
            }
        }
        for thread in signallers { thread.join() }
        threaded.stop()
        while !threaded.isIdleForEver { HostThread.sleep(nanoseconds: 100_000) }
        let done = work.done.load(ordering: .acquiring)
        #expect(done == 3000)
        let names = work.names.withLock { $0 }
        #expect(Set(names) == ["irq/uart0-rx"])
        #expect(names.count <= 3000)
        #expect(threaded.metrics["runs"] == UInt64(names.count))
    }

    @Test func aRealTimePriorityIsWhatTheHostAllows() throws {
        let refusal = HostThread.realTimeRefusal(at: 30)
        let seen = Atomic<Int>(-1)
        try HostThread.spawn(name: "irq/test", priority: .realTime(30)) {
            seen.store(HostThread.currentRealTimePriority, ordering: .releasing)
        }.join()
        let priority = seen.load(ordering: .acquiring)
        #expect(priority == (refusal == nil ? 30 : 0))
        if let refusal { #expect(refusal == .notPermitted) }
        // Only that thread: this one is as it was.
        #expect(HostThread.currentRealTimePriority == 0)
    }
}
