/// What an operation is refused with: the names that the protocol sends (`xs_wire.h`, `xsd_errors`).
public enum StoreError: String, Error, Hashable, CaseIterable, Sendable {
    /// An argument, path or payload is not of the right form.
    case invalidArgument = "EINVAL"
    /// The client may not do that, or may not know whether it could be done.
    case accessDenied = "EACCES"
    case exists = "EEXIST"
    case notFound = "ENOENT"
    /// The memory quota of the domain is used up, or the transaction had failed before.
    case outOfMemory = "ENOMEM"
    /// Another quota of the domain is used up.
    case noSpace = "ENOSPC"
    case notSupported = "ENOSYS"
    case busy = "EBUSY"
    /// What the transaction has read or written was changed meanwhile: do it again.
    case tryAgain = "EAGAIN"
    case tooBig = "E2BIG"
    /// Only the host's side may change the owner of a node.
    case notPermitted = "EPERM"
}
