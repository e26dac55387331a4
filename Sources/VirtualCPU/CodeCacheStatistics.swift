/// What the decoded and translated code of a machine comes to.
public struct CodeCacheStatistics: Codable, Sendable, Equatable {
    /// Blocks that became host code.
    public var translations: UInt64 = 0
    public var translatedInstructions: UInt64 = 0
    /// Instructions in them that the interpreter runs.
    public var handlerInstructions: UInt64 = 0
    /// Bytes of host code made so far.
    public var codeByteCount: UInt64 = 0
    /// Time spent in making it.
    public var translationNanoseconds: UInt64 = 0
    /// Bytes of host code held now.
    public var codeByteCountInUse: UInt64 = 0
    /// Bytes of decoded instructions held now.
    public var instructionByteCount: UInt64 = 0
    /// Times that everything was dropped because there was no room.
    public var generations: UInt64 = 0

    public init() {}
}
