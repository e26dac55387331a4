import Synchronization
import VirtualCPU
import Vocabulary

@testable import Machine

/// An engine that returns exits from a list and writes down what is done to it.
final class ScriptedEngine: CPUEngine, @unchecked Sendable {
    /// What `run` returns next; when it is empty, `.budgetSpent` for ever.
    var script: [VMExit]
    var calls: [String] = []
    var interruptsEnabled = true
    /// Called at each `run` with the number of runs so far.
    var onRun: ((Int) -> Void)?
    private var runs = 0

    init(_ script: [VMExit]) { self.script = script }

    func run(budget: Int) -> VMExit {
        runs += 1
        calls.append("run")
        onRun?(runs)
        return script.isEmpty ? .budgetSpent : script.removeFirst()
    }

    func complete(read value: UInt64) { calls.append("read \(value)") }
    func complete(msr value: UInt64) { calls.append("msr \(value)") }
    func completeMSRWrite() { calls.append("msrWrite") }
    func completeMSRFault() { calls.append("msrFault") }
    func complete(hypercall result: UInt64) { calls.append("hypercall \(result)") }
    var canTakeInterrupt: Bool { interruptsEnabled }
    var privilegeLevel: UInt8 = 0
    var isDelivering = false
    private(set) var pageFaults: [UInt64] = []
    func injectPageFault(address: UInt64, errorCode: UInt16) { pageFaults.append(address) }
    var keptSpinning: Bool { false }
    var firstUserEntry: Instant?
    func inject(interrupt vector: UInt8) { calls.append("inject \(vector)") }
    func injectNonMaskableInterrupt() { calls.append("nmi") }
    func flushTLB() { calls.append("flush") }
    var hypercallFrame = HypercallFrame()
    var state = ArchitecturalState()
    var statistics = EngineStatistics()
    func reset() { calls.append("reset") }
    func startUp(vector: UInt8) { calls.append("startUp \(vector)") }
    func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress? { GuestPhysicalAddress(address.rawValue) }
}

/// Another vCPU's kick: the kicker may be another thread.
final class Kick: Sendable {
    let isSet = Atomic<Bool>(false)
    func set() { isSet.store(true, ordering: .sequentiallyConsistent) }
}

/// A machine of two ports, one memory word and one MSR.
final class ScriptedSurroundings: VCPUSurroundings, @unchecked Sendable {
    var writes: [String] = []
    var interrupts: [UInt8] = []
    var absentPage = AbsentPageAnswer.goOn
    var readyPages = 0
    func pageIsAbsent(_ address: GuestPhysicalAddress, _ engine: any CPUEngine) -> AbsentPageAnswer
    {
        writes.append("absent \(address.rawValue)")
        return absentPage
    }
    /// Called when the vCPU looks for pages that are there.
    var onReadyPages: () -> Void = {}
    func takeReadyPages() {
        readyPages += 1
        onReadyPages()
    }
    var startUps: [StartUpRequest] = []
    var taskPriority: UInt8 = 3
    let kick = Kick()
    /// What `scheduledIn` says, one by one; then false.
    var flushes: [Bool] = []
    var schedule: [String] = []

    func readPort(_ port: PortNumber, width: Int) -> UInt64 { UInt64(port.rawValue) + 1 }
    func writePort(_ port: PortNumber, width: Int, value: UInt32) {
        writes.append("port \(port.rawValue) \(width) \(value)")
    }
    func readMemory(at address: GuestPhysicalAddress, width: Int) -> UInt64 { address.rawValue + 2 }
    func writeMemory(at address: GuestPhysicalAddress, width: Int, value: UInt64) {
        writes.append("memory \(address.rawValue) \(width) \(value)")
    }
    func readMSR(_ index: UInt32) -> UInt64? { index == 0x1b ? 77 : nil }
    func writeMSR(_ index: UInt32, value: UInt64) -> Bool { index == 0x1b }
    func counterAdjusted(by adjustment: UInt64) { writes.append("counter \(adjustment)") }
    func hypercall(_ frame: HypercallFrame, in space: any LinearAddressSpace) -> UInt64 {
        frame.rax + 5
    }
    func hasInterrupted(_ other: VCPUIndex) -> Bool { false }
    /// What `takeWish` says, once.
    var wish: HypercallWish?
    func takeWish() -> HypercallWish? {
        defer { wish = nil }
        return wish
    }
    /// Called when an interrupt is taken.
    var onInterrupt: ((ScriptedSurroundings) -> Void)?
    func acknowledgeInterrupt() -> UInt8? {
        if !interrupts.isEmpty { onInterrupt?(self) }
        return interrupts.isEmpty ? nil : interrupts.removeFirst()
    }
    func takeStartUpRequests() -> [StartUpRequest] {
        defer { startUps = [] }
        return startUps
    }
    func takeKick() -> Bool { kick.isSet.exchange(false, ordering: .sequentiallyConsistent) }
    func scheduledOut(preempted: Bool) { schedule.append(preempted ? "preempted" : "out") }
    func scheduledIn(stolenNanoseconds: UInt64) -> Bool {
        schedule.append("in")
        return flushes.isEmpty ? false : flushes.removeFirst()
    }
}
