import Glibc
import Testing
import X86

@testable import SoftwareCPU

/// Random instructions of the table on the host's own processor and in the engine, from the same
/// random states, in 64-, 32- and 16-bit code, alone and in sequences. The host's exceptions are
/// signals, so this runs in a process of its own:
///
///     MARTLET_ORACLE_SECONDS=60 swift test --filter OracleTests
///
/// MARTLET_ORACLE_EXECUTIONS in place of SECONDS ends it after so many. MARTLET_ORACLE_SEED replays
/// a run, MARTLET_ORACLE_FORM one form of it, MARTLET_ORACLE_ROUND one round.
/// MARTLET_ORACLE_TRACE names every instruction before it runs.
struct OracleTests {
    private static func setting(_ name: String) -> UInt64? {
        guard let text = unsafe getenv("MARTLET_ORACLE_" + name) else { return nil }
        return unsafe UInt64(String(cString: text))
    }

    private static var enabled: Bool {
        setting("SECONDS") != nil || setting("EXECUTIONS") != nil
    }

    @Test(.enabled(if: enabled))
    func everyFormAsOnTheHost() throws {
        let seconds = Self.setting("SECONDS") ?? 3600
        let wanted = Self.setting("EXECUTIONS") ?? .max
        let seed = Self.setting("SEED") ?? UInt64.random(in: 1...(1 << 48))
        let only = Self.setting("FORM")
        print("oracle: MARTLET_ORACLE_SEED=\(seed)")
        guard let machine = try OracleMachine() else {
            Issue.record("the fixed addresses are taken, or there is no modify_ldt")
            return
        }
        let states = OracleStates(seed: seed)
        defer { states.free() }
        var run = OracleRun(machine, states, seed: seed, traces: Self.setting("TRACE") != nil)
        let forms = Form.all.filter {
            OracleCoverage.omission($0) == nil && (only ?? UInt64($0.index)) == UInt64($0.index)
        }
        if only == nil {
            for (name, mode, bytes) in OracleFindings.all { run.finding(name, mode, bytes) }
        }
        let clock = ContinuousClock()
        let start = clock.now
        var round = Self.setting("ROUND") ?? 0
        while clock.now - start < .seconds(seconds), run.total < wanted {
            for form in forms { run.single(form, round) }
            if only == nil {
                for number in 0..<128 as Range<UInt64> { run.sequence(number, round) }
            }
            round += 1
            if Self.setting("ROUND") != nil { break }
        }
        let spent = (clock.now - start).components
        print(
            "oracle: \(run.total) executions, \(run.sequences) of them sequences, in",
            "\(spent.seconds) s, \(round) rounds")
        if only == nil { print(OracleCoverage.report(run.executions)) }
        for failure in run.failures.sorted(by: { $0.key < $1.key }) {
            Issue.record(
                "\(failure.key): \(failure.value.count) times, first \(failure.value.first)")
        }
        #expect(run.total > 0)
    }
}
