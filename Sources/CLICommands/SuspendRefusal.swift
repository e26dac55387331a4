import Foundation

/// Why a guest's kernel does not suspend itself: it says so in its log only (Linux, drivers/xen/manage.c,
/// kernel/power/process.c, drivers/base/power/main.c).
enum SuspendRefusal {
    /// The kernel's last word on it, and what it said before; nil: it has not refused.
    static func reason(in log: String) -> String? {
        let lines = log.split(whereSeparator: \.isNewline).map(message)
        // Behind a line's end there may be more of it to come.
        guard log.last?.isNewline == true,
            let end = lines.firstIndex(where: { $0.contains("do_suspend:") })
        else { return nil }
        let causes = lines[..<end].filter { line in
            line.contains("refusing to freeze") || line.contains("PM: ")
                || line.hasPrefix("Freezing")
                    && (line.contains("failed") || line.contains("aborted"))
        }
        return (causes.suffix(3) + [lines[end]]).joined(separator: "; ")
    }

    /// Without the time that stands before it.
    private static func message(_ line: Substring) -> String {
        guard line.hasPrefix("["), let end = line.firstIndex(of: "]") else { return String(line) }
        return line[line.index(after: end)...].trimmingCharacters(in: .whitespaces)
    }
}
