import Glibc
internal import HostIO
import Vocabulary

/// Where the bytes of the kernel's console go: a stream, a file, or memory of which the end is kept.
///
/// Any thread.
final class ConsoleLog: Sendable {
    private struct Kept {
        var bytes: [UInt8] = []
        /// All that there ever were.
        var total = 0
    }

    private let kept = RankedLock(Kept(), owner: "console-log", rank: .leaf)
    private let capacity: Int
    /// The stream or file, or -1.
    private let descriptor: Int32
    private let closesDescriptor: Bool

    /// - Parameters:
    ///   - choice: what `--console` says, or nil for a log kept in memory.
    ///   - stream: what `stdio` means: standard error beside a command, which has standard output.
    ///   - capacity: how many of the last bytes are kept in every case.
    init(
        _ choice: ConsoleChoice?, stream: Int32 = STDERR_FILENO, capacity: Int = 64 << 10
    ) throws {
        self.capacity = capacity
        switch choice {
        case nil, .some(.none):
            descriptor = -1
            closesDescriptor = false
        case .some(.stdio):
            descriptor = stream
            closesDescriptor = false
        case .some(.file(let path)):
            let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard file >= 0 else {
                throw XError(
                    .hostCall,
                    "cannot write the console to \(path): \(errnoText()); choose another file")
            }
            descriptor = file
            closesDescriptor = true
        }
    }

    deinit {
        if closesDescriptor { close(descriptor) }
    }

    func append(_ bytes: [UInt8]) {
        if descriptor >= 0 { DescriptorOutput.write(bytes, to: descriptor) }
        kept.withLock { kept in
            kept.bytes.append(contentsOf: bytes)
            kept.total += bytes.count
            if kept.bytes.count > capacity * 2 {
                kept.bytes.removeFirst(kept.bytes.count - capacity)
            }
        }
    }

    /// The last lines of the log as text.
    func tail(lines count: Int) -> String {
        let bytes = kept.withLock { $0.bytes }
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(omittingEmptySubsequences: true) { $0.isNewline }
        return lines.suffix(count).joined(separator: "\n")
    }

    /// Bytes so far.
    var byteCount: Int { kept.withLock { $0.total } }

    /// What has come after so many bytes, as far as it is kept.
    func text(after count: Int = 0) -> String {
        let bytes = kept.withLock { $0.bytes.suffix(max(0, $0.total - count)) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
