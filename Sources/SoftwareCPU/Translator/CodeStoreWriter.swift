internal import HostIO
internal import Synchronization
internal import Vocabulary

/// Collects translations and has a thread write them to a file.
///
/// Who brings one never waits: if the thread does not keep up, or cannot write, it is not kept.
final class CodeStoreWriter: Sendable {
    /// Bytes that wait for the thread at most.
    static let mostWaiting = 1 << 20
    /// Bytes that the thread is woken for.
    private static let wakesAt = 128 << 10
    /// Of one run: a guest that makes code all the time fills no disk.
    static let mostBytes = 64 << 20
    private static let mostEntries = 64 << 10

    private struct Contents: Sendable {
        var waiting: [UInt8] = []
        /// As in the file's index.
        var index: [UInt64] = []
        /// Where the next one goes.
        var offset = CodeFileFormat.headerByteCount
        /// Checksums of those that were taken in: code that is dropped comes again.
        var known: Set<UInt64> = []
        var hasFailed = false
        var isEnding = false
        var isGivenUp = false
        var thread: HostThread?
        var failure: XError?
    }

    private let directory: PrivateDirectory
    private let contents = RankedLock(Contents(), owner: "code-writer", rank: .leaf)
    private let word = SleepWord()

    init(_ directory: PrivateDirectory) { self.directory = directory }

    /// Translations taken in.
    var count: UInt64 { contents.withLock { UInt64($0.index.count) } }

    func append(_ bytes: [UInt8], _ tag: UInt32) {
        let content = LittleEndianReader(bytes).integer(8, as: UInt64.self)
        let isFull = contents.withLock { contents in
            guard !contents.hasFailed, !contents.isEnding,
                contents.waiting.count + bytes.count <= Self.mostWaiting,
                contents.offset + bytes.count <= Self.mostBytes,
                contents.index.count < Self.mostEntries,
                contents.known.insert(content).inserted
            else { return false }
            contents.index.append(
                CodeFileFormat.indexEntry(tag: tag, offset: contents.offset))
            contents.waiting += bytes
            contents.offset += bytes.count
            if contents.thread == nil { start(&contents) }
            return contents.waiting.count >= Self.wakesAt
        }
        if isFull { word.ring() }
    }

    private func start(_ contents: inout Contents) {
        do {
            contents.thread = try HostThread.spawn(name: "code-store", priority: .nice(5)) {
                [self] in run()
            }
        } catch {
            contents.hasFailed = true
            contents.failure = error
        }
    }

    // MARK: The thread

    private func run() {
        do throws(XError) { try write() } catch {
            contents.withLock {
                $0.hasFailed = true
                $0.failure = error
                $0.waiting = []
            }
        }
    }

    private func write() throws(XError) {
        let file = try NewCodeFile(directory)
        while true {
            let rings = word.rings
            let (piece, isLast, isGivenUp) = contents.withLock { contents in
                let isReady = contents.isEnding || contents.waiting.count >= Self.wakesAt
                var piece: [UInt8] = []
                if isReady { swap(&piece, &contents.waiting) }
                return (piece, contents.isEnding, contents.isGivenUp)
            }
            if isGivenUp { return }
            if !piece.isEmpty { try file.append(piece) }
            if isLast {
                try file.publish(contents.withLock { $0.index })
                return
            }
            if piece.isEmpty { word.wait(after: rings) }
        }
    }

    /// Completes the file, if there is anything in it.
    func finish() throws(XError) {
        let thread = contents.withLock { contents in
            contents.isEnding = true
            return contents.thread.take()
        }
        word.ring()
        thread?.join()
        if let failure = contents.withLock({ $0.failure }) { throw failure }
    }

    /// Ends without a file, sooner or later.
    func giveUp() {
        contents.withLock {
            $0.isEnding = true
            $0.isGivenUp = true
        }
        word.ring()
    }
}

/// Several files of translations as one.
enum JoinedCodeFile {
    private static let pieceByteCount = 256 << 10

    /// Writes the entries of `sources`, each once, those of the first files first and of the others as many as there is
    /// room for. Entries that are damaged are left out.
    static func write(
        _ sources: [CodeStoreFile], into directory: PrivateDirectory, mostBytes: Int
    ) throws(XError) {
        let file = try NewCodeFile(directory)
        var known: Set<UInt64> = []
        var index: [UInt64] = []
        var piece: [UInt8] = []
        let limit = min(mostBytes, CodeFileFormat.mostBytes)
        for source in sources {
            for entry in source.index {
                let bytes = source.entry(at: Int(entry >> 32) * 16)
                let offset = file.byteCount + piece.count
                guard index.count < CodeStoreIndex.mostEntries, offset + bytes.count <= limit,
                    StoredTranslation(bytes) != nil,
                    known.insert(LittleEndianReader(bytes).integer(8, as: UInt64.self)).inserted
                else { continue }
                index.append(
                    CodeFileFormat.indexEntry(
                        tag: UInt32(truncatingIfNeeded: entry), offset: offset))
                piece += bytes
                if piece.count >= pieceByteCount {
                    try file.append(piece)
                    piece.removeAll(keepingCapacity: true)
                }
            }
        }
        if index.isEmpty { return }
        try file.append(piece)
        try file.publish(index)
    }
}
