import Foundation
import HostIO
import Testing
import Vocabulary

@testable import Trace

@Suite struct TraceTests {
    /// A file that is gone with the test.
    final class Scratch: Sendable {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-trace-\(UUID().uuidString).json").path
        deinit { try? FileManager.default.removeItem(atPath: path) }

        /// Parses the file: an array of objects.
        func events() throws -> [[String: Any]] {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            return try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        }
    }

    let scratch = Scratch()

    @Test func everyKindOfEventIsWritten() throws {
        let recorder = try TraceRecorder(path: scratch.path)
        let vcpu = recorder.makeTrack(.vcpus, name: "vcpu0")
        let thread = recorder.makeTrack(.threads, name: "irq/\"odd\\name\"\n")
        let label = recorder.makeLabel("uart0")
        let now = vcpu.now
        #expect(now > 0)
        vcpu.record(
            .slice(
                "portWrite", .exit, from: now + 1_500, to: now + 4_001,
                TraceArgument("port", 0x3f8),
                TraceArgument("value", .max)))
        vcpu.record(.instant("interrupt", .interrupt, at: now, TraceArgument("source", label)))
        thread.record(.slice("complete", .interrupt, from: now + 5, to: now))
        try recorder.close()
        let events = try scratch.events()
        let slice = try #require(events.first { $0["name"] as? String == "portWrite" })
        #expect(slice["ph"] as? String == "X")
        #expect(slice["cat"] as? String == "exit")
        #expect(slice["dur"] as? Double == 2.501)
        #expect((slice["args"] as? [String: UInt64]) == ["port": 0x3f8, "value": .max])
        let instant = try #require(events.first { $0["name"] as? String == "interrupt" })
        #expect(instant["ph"] as? String == "i")
        #expect((instant["args"] as? [String: String]) == ["source": "uart0"])
        #expect(instant["tid"] as? Int == slice["tid"] as? Int)
        let between = try #require(slice["ts"] as? Double) - (instant["ts"] as? Double ?? 0)
        #expect(abs(between - 1.5) < 0.0001)
        let backwards = try #require(events.first { $0["name"] as? String == "complete" })
        #expect(backwards["dur"] as? Double == 0)
        let names = events.filter { $0["name"] as? String == "thread_name" }
            .compactMap { ($0["args"] as? [String: String])?["name"] }
        #expect(names == ["vcpu0", "irq/\"odd\\name\" "])
    }

    @Test func aTrackThatIsOffRecordsNothing() {
        var made = 0
        func event() -> TraceEvent {
            made += 1
            return .instant("never", .exit, at: 0)
        }
        let off = TraceTrack.off
        off.record(event())
        #expect(made == 0 && !off.isOn && off.now == 0)
    }

    /// The file parses whenever somebody looks, also while it is written and when nobody closes it.
    @Test func theFileIsWholeAtAnyTime() throws {
        let recorder = try TraceRecorder(path: scratch.path)
        let tracks = (0..<3).map { recorder.makeTrack(.vcpus, name: "vcpu\($0)") }
        #expect(try scratch.events().count >= 0)
        var seen = 0
        for round in 0..<2_000 as Range<UInt64> {
            for track in tracks {
                track.record(.instant("tick", .exit, at: track.now, TraceArgument("n", round)))
            }
            // A look in the middle of a write may find the next bytes, not what was before.
            if round % 200 == 0 {
                let data = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
                if let found = try? JSONSerialization.jsonObject(with: data) as? [Any] {
                    #expect(found.count >= seen)
                    seen = found.count
                }
                Thread.sleep(forTimeInterval: 0.03)
            }
        }
        Thread.sleep(forTimeInterval: 0.2)
        // Not closed yet: everything is there.
        let ticks = try scratch.events().filter { $0["name"] as? String == "tick" }
        #expect(ticks.count == 6_000)
        try recorder.close()
    }

    /// Threads that record faster than the writer writes lose events, and the trace says how many.
    @Test func whatDoesNotFitIsCounted() throws {
        let recorder = try TraceRecorder(path: scratch.path)
        let track = recorder.makeTrack(.vcpus, name: "vcpu0")
        let total = 100_000
        let threads = try (0..<4).map { number in
            try HostThread.spawn(name: "recorder\(number)") {
                for _ in 0..<total / 4 {
                    track.record(.slice("exit", .exit, from: 1, to: 2))
                }
            }
        }
        for thread in threads { thread.join() }
        try recorder.close()
        let events = try scratch.events()
        let written = events.count { $0["name"] as? String == "exit" }
        let lost = events.filter { $0["name"] as? String == "events lost" }
            .compactMap { ($0["args"] as? [String: Int])?["count"] }.reduce(0, +)
        #expect(written + lost == total)
    }

    @Test func aRingDropsTheNewest() {
        let ring = TraceRing {}
        for index in 0..<UInt64(TraceRing.capacity) + 3 {
            ring.record(.instant("n", .exit, at: index))
        }
        #expect(ring.takeDropped() == 3)
        #expect(ring.takeDropped() == 0)
        for index in 0..<UInt64(TraceRing.capacity) { #expect(ring.take()?.start == index) }
        #expect(ring.take() == nil)
        ring.record(.instant("again", .exit, at: 7))
        #expect(ring.take()?.start == 7)
    }

    @Test func aPathThatCannotBeWrittenIsSaid() {
        let error = #expect(throws: XError.self) {
            _ = try TraceRecorder(path: "/no/such/folder/trace.json")
        }
        #expect(error?.message.contains("/no/such/folder/trace.json") == true)
        #expect(throws: XError.self) { _ = try TraceRecorder(path: "/dev/full") }
    }

    /// What the process may write stands for what the disk holds.
    @Test func aFullDiskEndsTheTraceAndLeavesItWhole() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let scratch = Scratch()
            let file = try TraceFile(path: scratch.path)
            for _ in 0..<100 { file.append(Array("{\"a\":1}".utf8)) }
            file.flush()
            #expect(file.failure == nil)
            var limit = rlimit(rlim_cur: 2000, rlim_max: 2000)
            try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            for _ in 0..<200 { file.append(Array("{\"a\":2}".utf8)) }
            file.flush()
            #expect(file.failure?.message.contains("the trace ends early") == true)
            for _ in 0..<100 { file.append(Array("{\"a\":3}".utf8)) }
            file.flush()
            #expect(try scratch.events().count == 100)
            if file.failure == nil { exit(1) }
        }
    }
}
