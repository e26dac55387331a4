internal import CHost
internal import HostIO
internal import Synchronization
public import Vocabulary

/// Translations that are kept in a directory from one run of the program to the next.
///
/// What was there when it was opened is read entry by entry as it is needed; what is made meanwhile goes
/// into one more file, which appears by a rename when the store is closed. So any number of processes use
/// one directory, and whatever is deleted or damaged in it is translated again.
///
/// Owner: who configures the machine. Any thread; `find` and `keep` while the lock of a `CodeCache` is
/// held. What is kept goes to a thread, the index is in memory, and the files are read ahead; where the
/// host has not got that far, who looks for an entry waits for the disk with that lock.
public final class CodeStore: Sendable {
    /// Bytes of all complete files in the directory: the ones used longest ago go first.
    static let mostBytes = 256 << 20
    /// So many files of this build are joined to one.
    static let filesToJoin = 6
    private static let option = "--code-cache"
    /// Bytes that the host is asked to read before they are needed.
    private static let mostBytesAhead = 32 << 20

    private let directory: PrivateDirectory
    private let files: [CodeStoreFile]
    private let index: CodeStoreIndex
    private let writer: CodeStoreWriter
    /// What went wrong first.
    private let trouble: RankedLock<XError?>
    private let isDamaged = Atomic<Bool>(false)
    private let damaged = Atomic<UInt64>(0)
    private let mostBytes: Int

    /// Opens the store.
    ///
    /// - Parameter path: the directory. It is made if its parent is there.
    /// - Throws: others may write to the directory or to a file that would be read, or the directory
    ///   cannot be made or opened.
    public convenience init(directory path: String) throws(XError) {
        try self.init(directory: path, mostBytes: Self.mostBytes)
    }

    init(directory path: String, mostBytes: Int) throws(XError) {
        self.mostBytes = mostBytes
        directory = try PrivateDirectory(path: path, option: Self.option)
        let (files, trouble) = try Self.openFiles(in: directory)
        self.files = files
        self.trouble = RankedLock(trouble, owner: "code-store", rank: .leaf)
        index = CodeStoreIndex(files)
        writer = CodeStoreWriter(directory)
        var left = Self.mostBytesAhead
        for file in files {
            file.touch()
            file.prefetch(min(left, file.byteCount))
            left -= min(left, file.byteCount)
        }
    }

    deinit { writer.giveUp() }

    /// This build's files, the newest first, and what is wrong with one that cannot be used.
    private static func openFiles(
        in directory: PrivateDirectory
    ) throws(XError) -> (files: [CodeStoreFile], trouble: XError?) {
        var files: [CodeStoreFile] = []
        var trouble: XError?
        let names = directory.entries.map(\.name).filter(NewCodeFile.isOwn).sorted(by: >)
        for name in names.prefix(CodeStoreIndex.mostFiles) {
            switch try directory.openFile(name) {
            case .file(let file):
                if let complete = CodeStoreFile(file, name: name) {
                    files.append(complete)
                    continue
                }
                trouble = XError(
                    .invalidFormat,
                    "'\(directory.path)/\(name)' was damaged and has been deleted: its code is made "
                        + "again")
                directory.remove(name)
            case .unreadable:
                trouble = XError(
                    .invalidFormat,
                    "'\(directory.path)/\(name)' is no file that can be read: delete it")
            // Another process has made one file of several.
            case .nothing: break
            }
        }
        return (files, trouble)
    }

    // MARK: Reading

    /// Nothing can be found.
    var isEmpty: Bool { index.isEmpty }

    /// There may be a translation that is looked up by `tag`.
    func mayHave(_ tag: UInt32) -> Bool { index.contains(tag) }

    /// Other ones with the same tag are few.
    private static let mostAttempts = 16

    /// The first translation with `tag` that `fits`.
    func find(_ tag: UInt32, where fits: (StoredTranslation) -> Bool) -> StoredTranslation? {
        var place = index.next(tag, from: nil)
        for _ in 0..<Self.mostAttempts {
            guard let current = place else { return nil }
            let (file, offset) = index.location(at: current)
            if let stored = StoredTranslation(files[file].entry(at: offset)) {
                if fits(stored) { return stored }
            } else {
                noteDamage(files[file])
            }
            place = index.next(tag, from: current)
        }
        return nil
    }

    private func noteDamage(_ file: CodeStoreFile) {
        damaged.wrappingAdd(1, ordering: .relaxed)
        if isDamaged.exchange(true, ordering: .relaxed) { return }
        note(
            XError(
                .invalidFormat,
                "'\(directory.path)/\(file.name)' is damaged: code that cannot be used is made again"
            ))
    }

    private func note(_ error: XError) { trouble.withLock { $0 = $0 ?? error } }

    // MARK: Writing

    /// Takes in a translation that has just been made.
    func keep(_ stored: StoredTranslation, _ tag: UInt32) { writer.append(stored.bytes, tag) }

    /// Writes down what was taken in. Once; nothing is kept any more. Throws what went wrong with the
    /// directory since it was opened, if anything did; the machine has not suffered from it.
    public func close() throws(XError) {
        do { try writer.finish() } catch { note(error) }
        directory.alone {
            join()
            removeOldest()
        }
        if let trouble = trouble.withLock({ $0 }) { throw trouble }
    }

    /// Makes one file of many, or of one that is damaged and what is left of it.
    private func join() {
        let names = directory.entries.map(\.name).filter(NewCodeFile.isOwn).sorted(by: >)
        let isDamaged = isDamaged.load(ordering: .relaxed)
        guard names.count >= Self.filesToJoin || isDamaged else { return }
        do throws(XError) {
            let sources = try Self.openFiles(in: directory).files
            try JoinedCodeFile.write(sources, into: directory, mostBytes: mostBytes / 2)
            for source in sources { directory.remove(source.name) }
        } catch { note(error) }
    }

    /// What was used longest ago, and what somebody who was killed has left.
    private func removeOldest() {
        let entries = directory.entries
        let now = Int(truncatingIfNeeded: chost_wall_clock() / 1_000_000_000)
        for entry in entries
        // One that has just been made may not be held yet.
        where NewCodeFile.isUnfinished(entry.name) && entry.seconds < now - 60 {
            directory.removeLeftover(entry.name)
        }
        let files = entries.filter { NewCodeFile.isComplete($0.name) }
            .sorted { ($0.seconds, $0.name) > ($1.seconds, $1.name) }
        var sum = 0
        for file in files {
            sum += file.byteCount
            if sum > mostBytes { directory.remove(file.name) }
        }
    }

    // MARK: Statistics

    /// Bytes of the files that are read.
    var fileByteCount: UInt64 { files.reduce(0) { $0 + UInt64($1.byteCount) } }
    /// Bytes of memory that say where what is.
    var indexByteCount: UInt64 { UInt64(index.byteCount) }
    /// Entries that were not what was written.
    var damagedCount: UInt64 { damaged.load(ordering: .relaxed) }
    /// Translations taken in.
    var keptCount: UInt64 { writer.count }
}
