import Foundation
import Testing

/// Guests whose interrupts are completed in threads, or inline, and whose life is traced.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct InterruptGuestTests {
    struct Statistics: Decodable {
        struct Latency: Decodable {
            var count: UInt64
            var p50: UInt64
            var max: UInt64
        }
        struct Lock: Decodable {
            var owner: String
            var acquisitions: UInt64
            var contended: UInt64
        }
        var interruptLatencies: [String: Latency]
        var locks: [Lock]
        var parts: [String: [String: UInt64]]
    }

    private static let script = """
        i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i + 1)); done; cat | wc -c; sleep 0.2
        """

    @Test(arguments: ["threaded", "inline"])
    func interruptsAreMeasuredBySource(mode: String) throws {
        let input = String(repeating: "0123456789abcdef", count: 1000)
        let result = try Martlet.run(
            [
                "run", "--platform", "kvm", "--cpus", "2", "--timeout", "120", "--stats",
                "--interrupts", mode,
                "--interrupt-priority", "uart1=10", "--", "sh", "-c", Self.script,
            ], input: input)
        #expect(result.status == 0)
        let said = String(decoding: result.output, as: UTF8.self)
        #expect(said.hasPrefix("line 0\nline 1\n"))
        #expect(said.hasSuffix("line 299\n16000\n"))
        let statistics = try JSONDecoder().decode(Statistics.self, from: Data(result.errors))
        for source in ["timer", "uart1", "processor"] {
            let latency = try #require(statistics.interruptLatencies[source], "\(source)")
            #expect(latency.count > 0)
            #expect(latency.p50 > 0 && latency.p50 <= latency.max)
        }
        #expect(statistics.locks.contains { $0.owner == "uart1" && $0.acquisitions > 0 })
        #expect(statistics.parts.keys.contains("irq/timer") == (mode == "threaded"))
    }

    @Test func aTraceHasARowForEachProcessorAndThread() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-trace-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try Martlet.run([
            "run", "--platform", "kvm", "--cpus", "2", "--timeout", "120", "--trace", path, "--",
            "nproc",
        ])
        #expect(result.status == 0)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let events = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        let rows = events.filter { $0["name"] as? String == "thread_name" }
            .compactMap { ($0["args"] as? [String: String])?["name"] }
        for row in ["vcpu0", "vcpu1", "irq/timer", "irq/uart0-tx", "irq/uart1-rx"] {
            #expect(rows.contains(row))
        }
        let categories = Set(events.compactMap { $0["cat"] as? String })
        #expect(categories.isSuperset(of: ["exit", "interrupt"]))
        #expect(events.contains { $0["name"] as? String == "portWrite" })
        #expect(events.allSatisfy { $0["ph"] != nil && $0["pid"] != nil && $0["tid"] != nil })
    }

    /// Killed at any time, a trace parses: nobody closed it.
    @Test func aTraceOfAMachineThatIsKilledParses() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-trace-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        for seconds in [1.0, 1.5, 2.3] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Martlet.path ?? "martlet")
            process.arguments = ["run", "--trace", path, "--", "sleep", "100"]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            Thread.sleep(forTimeInterval: seconds)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: data) }
        }
    }
}
