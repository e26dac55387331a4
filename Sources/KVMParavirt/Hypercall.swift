public import VirtualCPU
public import Vocabulary

/// A hypercall as KVM takes it (Linux Documentation/virt/kvm/x86/hypercalls.rst): number in RAX, then
/// RBX, RCX, RDX, RSI.
public struct Hypercall: Sendable, Equatable {
    public var number: UInt64
    public var a0: UInt64
    public var a1: UInt64
    public var a2: UInt64
    public var a3: UInt64
    /// CPL of the caller.
    public var privilegeLevel: UInt8
    /// The caller is 64-bit code.
    public var is64Bit: Bool

    /// Of a caller that is not 64-bit code the low halves count.
    public init(_ frame: HypercallFrame) {
        let mask: UInt64 = frame.is64Bit ? .max : 0xffff_ffff
        number = frame.rax & mask
        a0 = frame.rbx & mask
        a1 = frame.rcx & mask
        a2 = frame.rdx & mask
        a3 = frame.rsi & mask
        privilegeLevel = frame.privilegeLevel
        is64Bit = frame.is64Bit
    }
}

/// What a hypercall asks of the rest of the machine. Every index in it is that of a vCPU there is.
public enum HypercallEffect: Sendable, Equatable {
    case none
    /// The vCPU leaves HLT, even with interrupts off: the face has noted it for `takeKick`, its worker
    /// has to be woken. Then as `yield`.
    case kick(VCPUIndex)
    /// The caller waits for this vCPU: if it is preempted, it has better use for the time.
    case yield(to: VCPUIndex)
    /// RAX is the number of local APICs that accepted.
    case interprocessorInterrupts(InterprocessorInterrupts)
}

/// One interrupt for many processors.
public struct InterprocessorInterrupts: Sendable, Equatable {
    /// The local APIC identifier that bit 0 of `targets` stands for.
    public var first: UInt32
    public var targets: UInt128
    /// Vector, delivery mode, level and trigger mode as in the interrupt command register; no
    /// shorthand, physical destination.
    public var command: UInt32

    public init(first: UInt32, targets: UInt128, command: UInt32) {
        self.first = first
        self.targets = targets
        self.command = command
    }
}

/// The answer to a hypercall.
public struct HypercallOutcome: Sendable, Equatable {
    /// For RAX.
    public var result: UInt64
    public var effect: HypercallEffect

    public init(_ result: UInt64, _ effect: HypercallEffect = .none) {
        self.result = result
        self.effect = effect
    }
}
