import Foundation
import Testing

/// A terminal for a program under test, and what the program wrote on it.
final class PseudoTerminal {
    private let master: Int32
    private let slave: Int32
    let process = Process()
    private(set) var text = ""

    /// - Parameters:
    ///   - rows: of the window.
    ///   - columns: of the window.
    init(rows: UInt16, columns: UInt16) throws {
        var ends: (Int32, Int32) = (-1, -1)
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        try #require(unsafe openpty(&ends.0, &ends.1, nil, nil, &size) == 0)
        (master, slave) = ends
    }

    deinit {
        close(master)
        close(slave)
    }

    func start(_ arguments: [String]) throws {
        let terminal = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
        process.executableURL = URL(fileURLWithPath: try #require(Martlet.path))
        process.arguments = arguments
        process.standardInput = terminal
        process.standardOutput = terminal
        process.standardError = terminal
        try Martlet.start(process)
    }

    /// Reads until `words` have come since the last call, or nothing comes any more.
    ///
    /// - Throws: if the program ends, or is silent for a minute.
    func wait(for words: String) throws {
        let start = text.endIndex
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !text[start...].contains(words) {
            var ready = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
            try #require(unsafe poll(&ready, 1, 60_000) == 1, "'\(words)' did not come: \(text)")
            let count = unsafe read(master, &buffer, buffer.count)
            try #require(count > 0, "'\(words)' did not come: \(text)")
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    func type(_ keys: String) {
        let bytes = Array(keys.utf8)
        _ = unsafe write(master, bytes, bytes.count)
    }

    func resize(rows: UInt16, columns: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = unsafe ioctl(master, UInt(TIOCSWINSZ), &size)
        // Sent by the kernel only to those whose controlling terminal it is.
        kill(process.processIdentifier, SIGWINCH)
    }

    /// Whether lines are edited and echoed, keys make signals, and output is processed.
    var isCooked: Bool {
        var settings = termios()
        guard unsafe tcgetattr(slave, &settings) == 0 else { return false }
        let local = tcflag_t(ICANON | ECHO | ISIG)
        return settings.c_lflag & local == local && settings.c_oflag & tcflag_t(OPOST) != 0
    }
}
