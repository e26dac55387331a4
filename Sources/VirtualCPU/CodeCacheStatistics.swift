/// What the decoded and translated code of a machine comes to.
public struct CodeCacheStatistics: Codable, Sendable, Equatable {
    /// Blocks that became host code.
    public var translations: UInt64 = 0
    public var translatedInstructions: UInt64 = 0
    /// Instructions in them that the interpreter runs.
    public var handlerInstructions: UInt64 = 0
    /// Bytes of host code made so far.
    public var codeByteCount: UInt64 = 0
    /// Time spent in making it, and in taking it from the persistent code cache.
    public var translationNanoseconds: UInt64 = 0
    /// Bytes of host code held now.
    public var codeByteCountInUse: UInt64 = 0
    /// Bytes of decoded instructions held now.
    public var instructionByteCount: UInt64 = 0
    /// Times that everything was dropped because there was no room.
    public var generations: UInt64 = 0
    /// Blocks that became host code of an earlier run: not among `translations`.
    public var reusedTranslations: UInt64 = 0
    /// Blocks that the persistent code cache seemed to have translations for, but none of their bytes.
    public var refusedEntries: UInt64 = 0
    /// Entries of it that were not what had been written.
    public var damagedEntries: UInt64 = 0
    /// Translations that are kept for later runs.
    public var keptTranslations: UInt64 = 0
    /// Bytes of the files that translations were taken from.
    public var storedByteCount: UInt64 = 0
    /// Bytes of memory that say what is where in them.
    public var storeIndexByteCount: UInt64 = 0

    public init() {}
}
