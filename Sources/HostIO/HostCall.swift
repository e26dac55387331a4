internal import CHost
import Glibc
public import Vocabulary

/// The errno of a host call that failed: the `cause` of an `XError`.
public struct HostErrno: Error, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: CInt

    public init(rawValue: CInt) { self.rawValue = rawValue }

    public static let interrupted = HostErrno(rawValue: EINTR)
    public static let wouldBlock = HostErrno(rawValue: EAGAIN)
    public static let noSpace = HostErrno(rawValue: ENOSPC)
    public static let brokenPipe = HostErrno(rawValue: EPIPE)
    public static let notPermitted = HostErrno(rawValue: EPERM)

    public var description: String {
        // SAFETY: the text of a number the host gave is constant; it is copied at once.
        guard let text = unsafe strerror(rawValue) else { return "error \(rawValue)" }
        return unsafe String(cString: text)
    }
}

/// Runs a host call that returns -1 on failure, again if a signal interrupted it.
///
/// `what` completes the sentence "cannot …" of the error.
@inline(never)
func hostCall(_ what: @autoclosure () -> String, _ call: () -> Int) throws(XError) -> Int {
    while true {
        let result = call()
        // Nothing runs between the call and this: errno is the call's.
        let error = chost_errno()
        if result >= 0 { return result }
        if error == EINTR { continue }
        throw hostError(what(), HostErrno(rawValue: error))
    }
}

func hostError(_ what: String, _ errno: HostErrno) -> XError {
    XError(.hostCall, "cannot \(what): \(errno)", cause: errno)
}

extension XError {
    /// The errno that caused this, if a host call did.
    public var hostErrno: HostErrno? { cause as? HostErrno }
}
