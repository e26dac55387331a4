import ArgumentParser
import Vocabulary

/// `martlet doctor`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Looks at this host: what runs here, what does not, and what to do.")

    func run() throws {
        let findings = Doctor.examine()
        for finding in findings { print(finding.line) }
        if findings.contains(where: { $0.verdict == .broken }) {
            throw ExitCode(ownFailureStatus)
        }
    }
}
