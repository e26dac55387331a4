import Foundation
import Scheduler
import Synchronization
import Testing

@testable import Machine

/// The folder with the bare-metal guests that `make test` builds.
private enum Guests {
    static let folder = ProcessInfo.processInfo.environment["MARTLET_GUESTS"]
}

/// Two machines in one process, one of which behaves badly. `make test` builds the guests.
@Suite(.serialized, .enabled(if: Guests.folder != nil))
struct NeighbourTests {
    /// What a guest said on its first serial port.
    private final class Report: Sendable {
        let text = Mutex<[UInt8]>([])
        var string: String { String(decoding: text.withLock { $0 }, as: UTF8.self) }
    }

    private func machine(
        _ guest: String, processors: Int, _ parameters: String, _ report: Report,
        weight: Int = 100, limit: Double? = nil
    ) throws -> Machine {
        var configuration = MachineConfiguration()
        let path = "\(Guests.folder ?? ".")/\(guest).elf"
        configuration.kernel = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        configuration.processorCount = processors
        configuration.memoryByteCount = 64 << 20
        configuration.scheduling.weight = weight
        configuration.scheduling.limit = limit
        configuration.commandLine += " cpus=\(processors) \(parameters)"
        return try Machine(configuration) { port, bytes in
            if port == 0 { report.text.withLock { $0.append(contentsOf: bytes) } }
        }
    }

    /// Seconds that a quiet machine takes for its work beside a neighbour in `mode`.
    private func work(besideMode mode: Int) throws -> Double {
        let said = Report()
        let neighbourSaid = Report()
        let quiet = try machine("smp-progress", processors: 1, "units=20", said)
        let neighbour = try machine("smp-flood", processors: 4, "mode=\(mode)", neighbourSaid)
        try neighbour.start()
        while !neighbourSaid.string.contains("bad now\n"), neighbour.lifecycle == .running {
            Thread.sleep(forTimeInterval: 0.01)
        }
        let start = ContinuousClock.now
        try quiet.start()
        #expect(quiet.wait() == .poweredOff)
        let seconds = start.duration(to: .now).seconds
        #expect(said.string.hasSuffix(String(repeating: ".", count: 20) + "\nok sum\nend\n"))
        // The neighbour is as bad as ever, and ends when it is told to.
        #expect(neighbour.lifecycle == .running)
        #expect(!neighbourSaid.string.contains("FAIL"))
        neighbour.stop()
        #expect(neighbour.wait(seconds: 30) == .requested)
        let statistics = neighbour.statistics
        if mode < 2 {
            let accepted = statistics.parts.filter { $0.key.hasPrefix("apic") }
                .reduce(0) { $0 + ($1.value["acceptedInterrupts"] ?? 0) }
            #expect(accepted > 10_000, "it has flooded")
        }
        return seconds
    }

    /// Its work is done, however many interrupts the neighbour sends, and whatever it costs: the
    /// times are printed, beside that of a neighbour which computes on as many processors.
    @Test func machineBesideAFlood() throws {
        let computing = try work(besideMode: 2)
        for (mode, name) in [(0, "interrupts to everybody"), (1, "an interrupt that never ends")] {
            let seconds = try work(besideMode: mode)
            print(
                "beside \(name): \(Int(100 * computing / seconds)) % of the speed "
                    + "beside one that computes")
        }
    }

    /// Two guests of eight busy processors each: what the host gives them divides by their weights,
    /// over ten seconds of its processor time.
    @Test(arguments: [100, 300]) func busyMachinesShareByWeight(weight: Int) throws {
        let machines = try [100, weight].map { weight in
            (try machine("smp-flood", processors: 8, "mode=2", Report(), weight: weight))
        }
        for machine in machines { try machine.start() }
        func used() -> [UInt64] {
            machines.map { $0.statistics.scheduling.reduce(0) { $0 + $1.runNanoseconds } }
        }
        // All sixteen have been started by then.
        while used().contains(where: { $0 < 500_000_000 }) {
            Thread.sleep(forTimeInterval: 0.05)
        }
        let before = used()
        var spent = [UInt64(0), 0]
        while spent[0] + spent[1] < 10_000_000_000 {
            Thread.sleep(forTimeInterval: 0.05)
            spent = zip(used(), before).map { $0 - $1 }
        }
        for machine in machines {
            machine.stop()
            #expect(machine.wait(seconds: 30) == .requested)
        }
        let share = Double(spent[1]) / Double(spent[0] + spent[1])
        let wanted = Double(weight) / Double(100 + weight)
        print("weights 100 and \(weight): \(spent[0] / 1_000_000), \(spent[1] / 1_000_000) ms")
        #expect(abs(share / wanted - 1) < 0.03, "\(spent)")
    }

    /// A guest whose four processors never rest gets what `--cpu-limit` allows and no more. On a host
    /// that has other work a stretch may bring it less: one of them is to come out right.
    @Test(arguments: [0.2, 0.6]) func aCapIsKept(limit: Double) throws {
        let machine = try machine("smp-flood", processors: 4, "mode=2", Report(), limit: limit)
        try machine.start()
        func used() -> UInt64 {
            machine.statistics.scheduling.reduce(0) { $0 + $1.runNanoseconds }
        }
        // All four have been started by then.
        while used() < 200_000_000 { Thread.sleep(forTimeInterval: 0.02) }
        var shares: [Double] = []
        while shares.count < 8, !shares.contains(where: { abs($0 / limit - 1) < 0.03 }) {
            let (start, before) = (ContinuousClock.now, used())
            Thread.sleep(forTimeInterval: 2)
            let spent = Double(used() - before) * 1e-9
            shares.append(spent / start.duration(to: .now).seconds)
        }
        machine.stop()
        #expect(machine.wait(seconds: 30) == .requested)
        print("limit \(limit): \(shares)")
        #expect(shares.allSatisfy { $0 < limit * 1.03 })
        #expect(shares.contains { abs($0 / limit - 1) < 0.03 })
    }
}

extension Duration {
    fileprivate var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
