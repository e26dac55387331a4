/// What a hypercall instruction finds in the registers: enough for the conventions of KVM (RAX; RBX,
/// RCX, RDX, RSI) and of Xen (RAX; RDI, RSI, RDX, R10, R8, R9). A value, and cheap to take: interrupts
/// between processors are sent this way.
public struct HypercallFrame: Sendable, Equatable {
    public var rax: UInt64 = 0
    public var rbx: UInt64 = 0
    public var rcx: UInt64 = 0
    public var rdx: UInt64 = 0
    public var rsi: UInt64 = 0
    public var rdi: UInt64 = 0
    public var r8: UInt64 = 0
    public var r9: UInt64 = 0
    public var r10: UInt64 = 0
    /// CPL, 0 to 3.
    public var privilegeLevel: UInt8 = 0
    /// The code segment is a 64-bit one. If not, only the low halves of the registers count.
    public var is64Bit = true

    public init() {}
}
