/// A failure of the host or of the configuration: what happened, with which value, and what to do.
///
/// A guest's misdeeds are `Fault`s and never this; a bug of ours is a `preconditionFailure`.
public struct XError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is. More kinds may come; compare, do not switch exhaustively.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public var rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let invalidArgument = Code(rawValue: "invalid-argument")
        public static let invalidFormat = Code(rawValue: "invalid-format")
        public static let notFound = Code(rawValue: "not-found")
        public static let unsupported = Code(rawValue: "unsupported")
        public static let outOfMemory = Code(rawValue: "out-of-memory")
        public static let hostCall = Code(rawValue: "host-call")
        public static let busy = Code(rawValue: "busy")
    }

    public var code: Code
    /// One line for a person, with the value at fault and the remedy.
    public var message: String
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }
}
