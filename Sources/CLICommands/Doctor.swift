/// What one check found.
struct DoctorFinding: Equatable {
    /// How it stands.
    enum Verdict: String {
        case good = "ok"
        case degraded = "note"
        case broken = "FAIL"
    }

    var subject: String
    var verdict: Verdict
    /// What was found.
    var detail: String
    /// What to do about it; nil when there is nothing to do.
    var remedy: String?

    /// One line for a person.
    var line: String {
        let head =
            verdict.rawValue.padded(to: 5) + subject.padded(to: 19) + detail
        return remedy.map { head + "; " + $0 } ?? head
    }
}

extension String {
    /// The text with spaces after it up to `width`, and one at least.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}

/// The checks of `martlet doctor`: each looks at the host as it is now.
enum Doctor {
    static func examine() -> [DoctorFinding] {
        [
            hostProcessor(), kvm(), executableMemory(), realTimeThreads(), userNamespaces(),
            memory(),
        ] + packages()
    }
}
