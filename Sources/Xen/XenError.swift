/// Why a hypercall fails (xen/include/public/errno.h). RAX has it negated.
public enum XenError: Int64, Sendable, Equatable {
    case notPermitted = 1
    case noEntry = 2
    case exists = 17
    case invalidArgument = 22
    case noSpace = 28
    case noHypercall = 38
    case fault = 14
    case noDomain = 3
    case timeIsOver = 62

    /// As RAX has it.
    public var result: UInt64 { UInt64(bitPattern: -rawValue) }
}
