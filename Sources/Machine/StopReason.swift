public import Vocabulary

/// Why a machine no longer runs.
public enum StopReason: Sendable, Equatable {
    /// The guest switched the power off.
    case poweredOff
    /// The guest asked for a reset; Martlet does not start it again by itself.
    case reset
    /// The guest's kernel told Xen that it has crashed.
    case crashed
    /// It stands still in a file.
    case suspended
    /// `Machine.stop()` was called.
    case requested
    /// A fault while delivering a double fault.
    case tripleFault(VCPUIndex)
    /// Every vCPU waits in HLT with interrupts off: nothing can wake them.
    case haltedForEver(VCPUIndex)
    /// Memory of the guest cannot be had any more, for this reason.
    case memoryLost(String)
    /// The instruction pointer left the guest's RAM.
    case fetchOutsideMemory(VCPUIndex, GuestPhysicalAddress)

    /// The guest ended by an accident rather than by somebody's wish.
    public var isAccident: Bool {
        switch self {
        case .poweredOff, .reset, .suspended, .requested: false
        case .crashed, .tripleFault, .haltedForEver, .fetchOutsideMemory, .memoryLost: true
        }
    }
}

extension StopReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .poweredOff: "the guest powered off"
        case .reset: "the guest asked for a reset"
        case .crashed: "the guest's kernel crashed; its log says why"
        case .suspended: "the machine was suspended"
        case .requested: "the machine was stopped"
        case .memoryLost(let reason): "the guest's memory: \(reason)"
        case .tripleFault(let index):
            "vCPU \(index.rawValue): triple fault"
        case .haltedForEver(let index):
            "vCPU \(index.rawValue): HLT with interrupts off, nothing can wake the guest"
        case .fetchOutsideMemory(let index, let address):
            "vCPU \(index.rawValue): jumped to \(hexadecimal(address.rawValue)), where there is no memory"
        }
    }
}

/// Where a machine is in its life. It only moves forward.
public enum Lifecycle: Sendable, Equatable {
    case created
    case running
    case stopped(StopReason)
}

func hexadecimal(_ value: UInt64, digits: Int = 1) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
}
