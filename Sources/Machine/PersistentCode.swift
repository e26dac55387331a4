internal import SoftwareCPU
public import Vocabulary

/// Translations in a directory, from one run to the next ([design note
/// 6](../../Documentation/Designs/0006-persistent-code.md)).
///
/// Owner: who configures the machine, and closes it after the machine's end. Any thread.
public final class PersistentCode: Sendable {
    let store: CodeStore

    /// - Parameter directory: made if its parent is there. May be deleted, or used by other machines, at
    ///   any time.
    /// - Throws: others may write to it, or it cannot be made or opened.
    public init(directory: String) throws(XError) {
        store = try CodeStore(directory: directory)
    }

    /// Writes down what the machine has translated. Throws what went wrong with the directory since it was
    /// opened; the guest has not noticed any of it.
    public func close() throws(XError) { try store.close() }
}
