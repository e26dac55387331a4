internal import Boot
internal import Glibc
internal import HostIO
public import Vocabulary

/// Tells the host's `perf` what translated code is: lines `START SIZE NAME` in `/tmp/perf-PID.map`, which
/// it reads for the code of just-in-time compilers (tools/perf/Documentation/jit-interface.txt of the
/// kernel's source).
///
/// Lines are written as translations are made, so that a process that is killed has them too. A
/// translation that others use is named by where it was first run. Owner: who configures the machine.
/// Any thread.
public final class PerfMap: Sendable {
    /// Bytes in one write.
    private static let pieceByteCount = 16 << 10

    private struct State {
        var symbols = KernelSymbols()
        var piece: [UInt8] = []
        var failure: XError?
    }

    private let path: String
    private let descriptor: Descriptor
    private let state = RankedLock(State(), owner: "perf-map", rank: .leaf)

    /// Makes the file of this process.
    ///
    /// - Throws: `XError` if the host lets us write no such file.
    public init() throws(XError) {
        path = "/tmp/perf-\(getpid()).map"
        // Everybody may make files there: what has the name is not followed and not used.
        unsafe unlink(path)
        do {
            descriptor = try Descriptor(
                path: path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        } catch {
            throw XError(
                .hostCall, "cannot write the map for perf: \(error.message)", cause: error)
        }
    }

    /// What addresses of the guest's kernel are called from now on.
    func use(_ symbols: KernelSymbols) { state.withLock { $0.symbols = symbols } }

    /// Names `byteCount` bytes of code at the host's address `host`. `guest`: nil for what all
    /// translations share.
    func add(host: UInt64, byteCount: Int, guest: UInt64?) {
        state.withLock { state in
            let name =
                switch guest {
                case nil: "martlet:routines"
                case let address?: "guest:" + (state.symbols.text(address) ?? hexadecimal(address))
                }
            state.piece += Self.line(host, byteCount, name)
            if state.piece.count >= Self.pieceByteCount { write(&state) }
        }
    }

    static func line(_ host: UInt64, _ byteCount: Int, _ name: String) -> [UInt8] {
        let text = String(host, radix: 16) + " " + String(byteCount, radix: 16) + " " + name
        return text.utf8.map { $0 < 0x20 ? UInt8(ascii: " ") : $0 } + [UInt8(ascii: "\n")]
    }

    private func write(_ state: inout State) {
        defer { state.piece.removeAll(keepingCapacity: true) }
        guard state.failure == nil else { return }
        do { try writeAll(descriptor.rawValue, state.piece) } catch {
            state.failure = XError(
                .hostCall, "the map for perf ends early: cannot write to \(path): \(error.message)",
                cause: error)
        }
    }

    /// Writes what was added. Once, after the machine's end.
    ///
    /// - Throws: why the file is not complete.
    public func close() throws(XError) {
        let failure = state.withLock { state in
            write(&state)
            return state.failure
        }
        if let failure { throw failure }
    }
}
