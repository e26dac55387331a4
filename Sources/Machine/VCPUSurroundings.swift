import VirtualCPU
import Vocabulary

/// What an INIT or start-up IPI asks of a vCPU.
enum StartUpRequest: Equatable, Sendable {
    case initialize
    case startUp(vector: UInt8)
}

/// What a vCPU asks to be done with its time, by a hypercall.
enum HypercallWish: Equatable, Sendable {
    /// This one is to have the rest of the slice.
    case yield(to: VCPUIndex)
    /// It has no use for its slice just now.
    case pass
    /// It waits for an interrupt, or for a kick whether it takes interrupts or not.
    case wait
}

/// What a vCPU does that has touched an absent page.
enum AbsentPageAnswer: Equatable, Sendable {
    /// It runs on: the page is there.
    case goOn
    /// It waits for `PendingEvents.pageReady`, or for an interrupt that it can take.
    case wait
    /// The guest takes #PF with this in CR2, and runs something else.
    case notPresent(token: UInt32)
}

/// What the runner of one vCPU asks of the machine: the buses, the registers outside the engine and
/// the vCPU's local APIC. The machine's own is `MachineSurroundings`; tests have a scripted one.
///
/// Called on the vCPU's worker only.
protocol VCPUSurroundings: AnyObject {
    func readPort(_ port: PortNumber, width: Int) -> UInt64
    func writePort(_ port: PortNumber, width: Int, value: UInt32)
    func readMemory(at address: GuestPhysicalAddress, width: Int) -> UInt64
    func writeMemory(at address: GuestPhysicalAddress, width: Int, value: UInt64)

    /// Nil: nobody has this register, the guest gets #GP.
    func readMSR(_ index: UInt32) -> UInt64?
    /// False: nobody has this register, or it refuses the value.
    func writeMSR(_ index: UInt32, value: UInt64) -> Bool
    /// The vCPU's time-stamp counter shows `adjustment` more than the machine's, modulo 2^64.
    func counterAdjusted(by adjustment: UInt64)
    /// CR8.
    var taskPriority: UInt8 { get set }
    /// RAX of the answer, after what it asks for has been done.
    ///
    /// - Parameter space: where the arguments that are addresses are looked up.
    func hypercall(_ frame: HypercallFrame, in space: any LinearAddressSpace) -> UInt64

    /// The vCPU has touched a page that is absent; from now on it is on its way.
    func pageIsAbsent(_ address: GuestPhysicalAddress, _ engine: any CPUEngine) -> AbsentPageAnswer
    /// `PendingEvents.pageReady` was raised: an interrupt may be due for that.
    func takeReadyPages()

    /// The vector to deliver now, taken off the local APIC's request register; nil if none is
    /// deliverable.
    func acknowledgeInterrupt() -> UInt8?
    /// The INIT and start-up requests since the last call, oldest first.
    func takeStartUpRequests() -> [StartUpRequest]
    /// This vCPU has lately sent an interrupt to that one.
    func hasInterrupted(_ other: VCPUIndex) -> Bool
    /// What the last hypercall wants done with the vCPU's time.
    func takeWish() -> HypercallWish?

    /// Another vCPU kicked this one since the last call, so it does not halt or halts no more.
    func takeKick() -> Bool
    /// The vCPU stops running guest code. `preempted`: it could go on; only between two instructions.
    func scheduledOut(preempted: Bool)
    /// It is about to run guest code again. True: its TLB has to be flushed first.
    /// - Parameter stolenNanoseconds: it could have run and did not, since the last call.
    func scheduledIn(stolenNanoseconds: UInt64) -> Bool
}
