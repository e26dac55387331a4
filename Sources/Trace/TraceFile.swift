internal import Glibc
internal import HostIO
internal import Vocabulary

/// A JSON array in a file that is whole after every write: each batch overwrites the closing bracket
/// and brings its own, in one call, so that whoever dies leaves a file that parses.
///
/// Owner: `TraceRecorder`. The writer's thread only, but for `failure` once that has ended.
final class TraceFile: @unchecked Sendable {
    private static let closing: [UInt8] = Array("\n]\n".utf8)
    /// Bytes in one write: few enough that a process killed in the middle of one is hard to make.
    private static let pieceByteCount = 4096

    private let path: String
    private let descriptor: Descriptor
    /// Where the closing bracket is.
    private var end = 0
    private var piece: [UInt8] = []
    /// Why writing ended; nothing more is written.
    private(set) var failure: XError?

    /// Makes the file, with an empty array.
    init(path: String) throws(XError) {
        self.path = path
        do {
            descriptor = try Descriptor(path: path, flags: O_WRONLY | O_CREAT | O_TRUNC)
        } catch {
            throw XError(
                .hostCall, "cannot write the trace to \(path): \(error.message)", cause: error)
        }
        piece = [UInt8(ascii: "[")]
        write()
        if let failure { throw failure }
    }

    /// Adds one JSON object. It may not be in the file before `flush`.
    func append(_ object: [UInt8]) {
        if piece.count + object.count > Self.pieceByteCount { write() }
        if end + piece.count > 1 { piece.append(UInt8(ascii: ",")) }
        piece.append(UInt8(ascii: "\n"))
        piece += object
    }

    /// Brings all that was added into the file.
    func flush() { if !piece.isEmpty { write() } }

    private func write() {
        let bytes = piece + Self.closing
        let count = piece.count
        piece.removeAll(keepingCapacity: true)
        guard failure == nil else { return }
        do {
            try writeAll(descriptor.rawValue, bytes, at: end)
            end += count
        } catch {
            failure = XError(
                .hostCall,
                "the trace ends early: cannot write to \(path): \(error.message); "
                    + "give --trace a file with more room", cause: error)
            // What there was before is whole again, if the host lets us.
            try? writeAll(descriptor.rawValue, Self.closing, at: end)
            _ = ftruncate(descriptor.rawValue, off_t(end + Self.closing.count))
        }
    }
}
