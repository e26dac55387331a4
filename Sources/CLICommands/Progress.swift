import Glibc
internal import HostIO
import Vocabulary

/// One line on a terminal that says what takes its time; silent elsewhere and with `--quiet`.
///
/// Any thread may update it. The line is drawn only once a step has lasted a second, and is wiped
/// before anything else is written.
final class Progress: Sendable {
    private struct Line {
        var text = ""
        var started: UInt64 = 0
        var shown = 0
    }

    private let enabled: Bool
    private let line = RankedLock(Line(), owner: "progress", rank: .leaf)

    /// - Parameter quiet: never draws.
    init(quiet: Bool) {
        enabled = !quiet && isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
    }

    /// Starts or continues a step: draws if a second of this step has gone by.
    func step(_ text: String) {
        guard enabled else { return }
        let now = Self.milliseconds()
        line.withLock { line in
            if line.started == 0 { line.started = now }
            line.text = text
            if line.shown > 0 || now &- line.started >= 1000 { Self.draw(&line) }
        }
    }

    /// Draws the line now if the step has lasted a second; called from a timer.
    func tick() {
        guard enabled else { return }
        let now = Self.milliseconds()
        line.withLock { line in
            guard !line.text.isEmpty, now &- line.started >= 1000 else { return }
            Self.draw(&line)
        }
    }

    /// Wipes the line; the next step starts anew.
    func done() {
        guard enabled else { return }
        line.withLock { line in
            if line.shown > 0 { StandardError.write("\r\u{1b}[K") }
            line = Line()
        }
    }

    private static func draw(_ line: inout Line) {
        StandardError.write("\r\u{1b}[K\(line.text)")
        line.shown = line.text.count
    }

    private static func milliseconds() -> UInt64 {
        HostThread.monotonicNow.nanoseconds / 1_000_000
    }
}
