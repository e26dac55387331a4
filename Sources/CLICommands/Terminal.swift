import Glibc
import Synchronization
import Vocabulary

/// The settings to restore, where a signal handler finds them.
///
/// Owner: the process. Written by `Terminal` only while no raw mode is on; read by anyone.
private nonisolated(unsafe) var savedSettings = termios()
/// The descriptor in raw mode, or -1.
private let rawDescriptor = Atomic<Int32>(-1)
/// Set when the window changed.
private let windowChanged = Atomic<Bool>(false)

/// Puts the terminal back as it was. Async-signal-safe.
private func restoreTerminal() {
    let descriptor = rawDescriptor.exchange(-1, ordering: .acquiringAndReleasing)
    if descriptor >= 0 {
        // SAFETY: the settings were saved before the descriptor was published.
        _ = unsafe tcsetattr(descriptor, TCSANOW, &savedSettings)
    }
}

/// A signal that ends the program: restore, then die of it as if nobody had caught it.
private let dieOfSignal: @convention(c) (Int32) -> Void = { number in
    restoreTerminal()
    signal(number, SIG_DFL)
    raise(number)
}

/// The terminal on standard input in raw mode, for as long as a guest has it.
///
/// Restored by `leaveRawMode`, at exit, and on every signal that ends the program.
enum Terminal {
    /// Rows and columns.
    struct WindowSize: Equatable {
        var rows: UInt16
        var columns: UInt16
    }

    /// True if standard input and output are both a terminal.
    static var isInteractive: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
    }

    /// Switches standard input to raw mode.
    static func enterRawMode() throws {
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else {
            throw XError(.hostCall, "cannot read the terminal's settings: \(errnoText())")
        }
        unsafe savedSettings = settings
        rawDescriptor.store(STDIN_FILENO, ordering: .releasing)
        atexit { restoreTerminal() }
        for number in [
            SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
            SIGTRAP,
        ] {
            signal(number, dieOfSignal)
        }
        signal(SIGWINCH) { _ in windowChanged.store(true, ordering: .releasing) }
        unsafe cfmakeraw(&settings)
        guard unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 else {
            rawDescriptor.store(-1, ordering: .releasing)
            throw XError(.hostCall, "cannot put the terminal into raw mode: \(errnoText())")
        }
    }

    /// Puts the terminal back as it was; harmless when it already is.
    static func leaveRawMode() {
        restoreTerminal()
    }

    /// True in raw mode.
    static var isRaw: Bool { rawDescriptor.load(ordering: .acquiring) >= 0 }

    /// True once after each change of the window.
    static func takeWindowChange() -> Bool {
        windowChanged.exchange(false, ordering: .acquiringAndReleasing)
    }

    /// The size of the terminal's window, or nil if there is none.
    static var windowSize: WindowSize? {
        var size = winsize()
        let result = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size)
        guard result == 0, size.ws_row > 0, size.ws_col > 0 else { return nil }
        return WindowSize(rows: size.ws_row, columns: size.ws_col)
    }
}

extension Terminal {
    /// Columns for a line on standard output, as `xenstore-ls` counts them.
    static var outputWidth: Int { windowSize.map { Int($0.columns) - 2 } ?? 80 }
}

/// The text of this thread's errno.
func errnoText() -> String {
    unsafe String(cString: strerror(errno))
}
