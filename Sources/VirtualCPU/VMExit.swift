public import Vocabulary

/// Why an engine gave control back. A value: it holds no reference and costs no allocation.
public enum VMExit: Sendable, Equatable {
    /// `IN`: answer with `complete(read:)`, then run again.
    case portRead(port: PortNumber, width: Int)
    /// `OUT`, already taken off the guest: carry it out, then run again.
    case portWrite(port: PortNumber, width: Int, value: UInt32)
    /// A load from an address without RAM: answer with `complete(read:)`, then run again.
    case mmioRead(address: GuestPhysicalAddress, width: Int)
    /// A store to an address without RAM: carry it out, then run again.
    case mmioWrite(address: GuestPhysicalAddress, width: Int, value: UInt64)
    /// `RDMSR` of a register the engine does not own: answer with `complete(msr:)`.
    case msrRead(index: UInt32)
    /// `WRMSR` to a register the engine does not own: answer with `completeMSRWrite()` or `completeMSRFault()`.
    case msrWrite(index: UInt32, value: UInt64)
    /// `WRMSR` to the time-stamp counter or IA32_TSC_ADJUST, already carried out: the counter shows
    /// so much more than the machine's, modulo 2^64. Answer with `completeMSRWrite()`.
    case counterAdjusted(UInt64)
    /// `MOV` to CR8: the task-priority register of the local APIC. Reads are `taskPriorityRead`.
    case taskPriorityWrite(UInt8)
    case taskPriorityRead
    /// `VMCALL` or `VMMCALL`: arguments are in `hypercallFrame`; answer with `complete(hypercall:)`.
    case hypercall
    /// `HLT`: wait for an interrupt, or for ever if interrupts are off.
    case halt
    /// A pause loop was seen.
    case pause
    /// `PendingEvents` asks for something and the guest can take it now.
    case eventsPending
    /// The instruction budget is used up.
    case budgetSpent
    /// Triple fault.
    case shutdown
    /// The next instruction lies at an address without RAM: nothing can be run there.
    case fetchOutsideMemory(GuestPhysicalAddress)
    /// The access needs a page that is absent; run again when it is there.
    case pageAbsent(GuestPhysicalAddress)
}

/// The four registers of a CPUID leaf.
public struct CPUIDResult: Sendable, Equatable {
    public var eax: UInt32
    public var ebx: UInt32
    public var ecx: UInt32
    public var edx: UInt32

    public init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}
