import Foundation
import Testing

/// The bare-metal guests of `Guests/smp`: several processors that start each other, interrupt each
/// other and work on the same bytes. `make test` builds them and sets MARTLET_GUESTS.
@Suite(.serialized, .enabled(if: Martlet.path != nil && BareGuest.folder != nil))
struct ManyProcessorTests {
    /// Memory order: the forbidden outcomes of x86-TSO do not come, the allowed one does.
    /// MARTLET_LITMUS_TRIES, a million if it is not set, of each test.
    @Test func memoryOrderIsThatOfTheProcessor() throws {
        let tries = ProcessInfo.processInfo.environment["MARTLET_LITMUS_TRIES"] ?? "1000000"
        let result = try run("smp-litmus", processors: 4, "tries=\(tries)", seconds: 3000)
        expectGood(result, "smp-litmus", checks: 25)
        let outcomes = result.text.split(separator: "\n").filter { $0.hasPrefix("outcomes ") }
        #expect(outcomes.count == 22)
        if ProcessInfo.processInfo.environment["MARTLET_LITMUS_TRIES"] != nil {
            print(outcomes.joined(separator: "\n"))
        }
    }

    @Test(arguments: [2, 4, 8])
    func lockedInstructionsAreWhole(processors: Int) throws {
        let result = try run("smp-atomics", processors: processors, "rounds=\(2000 / processors)")
        expectGood(result, "smp-atomics", checks: 190)
    }

    @Test(arguments: [2, 3, 8])
    func interruptsBetweenProcessors(processors: Int) throws {
        let result = try run(
            "smp-ipi", processors: processors, "rounds=\(1000 / processors / processors)")
        expectGood(result, "smp-ipi", checks: 130)
    }

    @Test(arguments: [2, 4, 8])
    func translationsAndCodeThatOthersChange(processors: Int) throws {
        // Each round waits for all of them, which have two of the host's processors, say.
        let result = try run(
            "smp-code", processors: processors, "rounds=\(800 / processors / processors)")
        expectGood(result, "smp-code", checks: 8)
    }

    /// Interrupts to everybody and nobody, interrupts that never end, and no interrupts: the guest
    /// is ended from outside like any other.
    @Test(arguments: [0, 1, 2])
    func guestThatMisbehavesIsEnded(mode: Int) throws {
        let result = try run("smp-flood", processors: 4, "mode=\(mode)", seconds: 3)
        #expect(result.status == 125)
        let lines = result.text.split(separator: "\n")
        #expect(lines.contains("bad now"))
        #expect(
            lines.last
                == "martlet: the guest was ended after 3.0 seconds: give it more with --timeout")
        #expect(!result.text.contains("FAIL"))
    }

    // MARK: Running

    private func run(
        _ name: String, processors: Int, _ parameters: String, seconds: Int = 240
    ) throws -> (status: Int32, text: String) {
        try BareGuest.run(
            name,
            [
                "--cpus", "\(processors)", "--append", "cpus=\(processors) \(parameters)",
                "--timeout", "\(seconds)",
            ])
    }

    private func expectGood(
        _ result: (status: Int32, text: String), _ name: String, checks: Int
    ) {
        let lines = result.text.split(separator: "\n")
        let failures = lines.filter { $0.contains("FAIL ") }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
        #expect(lines.last == "end", "\(name) did not come to its end: \(result.text.suffix(500))")
        #expect(lines.filter { $0.contains("ok ") }.count >= checks)
        #expect(result.status == 0)
    }
}
