import Foundation
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Disks

/// Every change of a file in the order in which it was asked for, so that the power can be cut anywhere.
final class Recorder: HostFileObserver {
    enum Event: Sendable {
        case writeBegins(Int, UInt64, [UInt8])
        case writeEnds(Int)
        case syncBegins(Int)
        case syncEnds(Int)
    }

    private let events = Mutex<[Event]>([])

    var all: [Event] { events.withLock { $0 } }
    var count: Int { events.withLock { $0.count } }

    func writeBegins(_ offset: UInt64, _ bytes: [UInt8]) -> Swift.Result<Int, HostErrno> {
        events.withLock { list in
            list.append(.writeBegins(list.count, offset, bytes))
            return .success(list.count - 1)
        }
    }
    func writeEnds(_ number: Int) { events.withLock { $0.append(.writeEnds(number)) } }
    func syncBegins() -> Swift.Result<Int, HostErrno> {
        events.withLock { list in
            list.append(.syncBegins(list.count))
            return .success(list.count - 1)
        }
    }
    func syncEnds(_ number: Int) { events.withLock { $0.append(.syncEnds(number)) } }

    /// The file after a cut behind the first `cut` events: what was synced is there, of each sector of
    /// the rest some writes are, some are not.
    static func afterCut(
        _ initial: [UInt8], _ events: ArraySlice<Event>, syncsHold: Bool, _ random: inout Random
    ) -> [UInt8] {
        var ended: Set<Int> = []
        var endedAt: [Int: Set<Int>] = [:]
        var durable: Set<Int> = []
        for event in events {
            switch event {
            case .writeEnds(let number): ended.insert(number)
            case .syncBegins(let number): endedAt[number] = ended
            case .syncEnds(let number): durable.formUnion(syncsHold ? endedAt[number] ?? [] : [])
            case .writeBegins: break
            }
        }
        var file = initial
        let style = random.below(4)
        for case .writeBegins(let number, let offset, let bytes) in events {
            let start = Int(offset)
            let isDurable = durable.contains(number)
            let keepsAll = style == 0 || random.below(2) == 0
            if file.count < start + bytes.count, isDurable || keepsAll {
                file += [UInt8](repeating: 0, count: start + bytes.count - file.count)
            }
            var position = 0
            while position < bytes.count {
                let count = min(512 - (start + position) % 512, bytes.count - position)
                let isThere = isDurable || (keepsAll && (style != 3 || random.below(2) == 0))
                if isThere {
                    file.replaceSubrange(
                        start + position..<start + position + count,
                        with: bytes[position..<position + count])
                }
                position += count
            }
        }
        return file
    }
}

@Suite struct CrashTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        var clusterSize: Int
        var order = 4
        var version: UInt32 = 3
        var hasBacking = false
        /// The image is made so much smaller and grown, so that its refcount table must grow.
        var isGrown = false
        var testDescription: String {
            "\(clusterSize) \(order) \(version) \(hasBacking) \(isGrown)"
        }
    }

    static let shapes = [
        Shape(clusterSize: 512), Shape(clusterSize: 4096, hasBacking: true),
        Shape(clusterSize: 512, order: 6, isGrown: true), Shape(clusterSize: 1024, order: 3),
        Shape(clusterSize: 4096, version: 2), Shape(clusterSize: 65536, hasBacking: true),
    ]

    /// What was asked of the disk when: sectors are filled with tags.
    struct History {
        struct Flush {
            var completed: Int
            var firstChange: Int
            var tags: [UInt64]
            var unknown: Set<Int>
        }
        var tags: [UInt64]
        var unknown: Set<Int> = []
        var changes: [(event: Int, sector: Int, tag: UInt64?)] = []
        var flushes: [Flush] = []
    }

    static func bytes(_ tags: [UInt64]) -> [UInt8] {
        let memory = IOBuffer(byteCount: tags.count * 512)
        for (sector, tag) in tags.enumerated() {
            for word in 0..<64 { memory.store64(sector * 512 + word * 8, tag.byteSwapped) }
        }
        return memory.array(0, tags.count * 512)
    }

    /// Some requests at once that do not overlap, and now and then a flush when they are done.
    static func load(
        _ disk: Disk, _ recorder: Recorder, _ history: inout History, _ random: inout Random,
        rounds: Int, clusterSectors: Int
    ) throws {
        let sectors = history.tags.count
        for _ in 0..<rounds {
            var used: Set<Int> = []
            var answers: [Answer<HostErrno?>] = []
            for _ in 0..<(1 + random.below(6)) {
                let start = random.below(sectors)
                let most = random.below(3) == 0 ? clusterSectors * 3 : 6
                let count = min(1 + random.below(most), sectors - start)
                let range = start..<start + count
                guard used.isDisjoint(with: range) else { continue }
                used.formUnion(range)
                let answer = Answer<HostErrno?>()
                answers.append(answer)
                let kind = random.below(8)
                let event = recorder.count
                var request = DiskRequest(
                    kind == 7 ? .discard : .writeZeroes, offset: UInt64(start * 512),
                    byteCount: UInt64(count * 512))
                if kind < 6 {
                    let tags = range.map { _ in random.next() | 1 }
                    let memory = IOBuffer(byteCount: count * 512)
                    memory.fill(bytes(tags))
                    request = unsafe DiskRequest(
                        .write, offset: UInt64(start * 512), segments: [memory.bytes])
                    for (sector, tag) in zip(range, tags) {
                        history.changes.append((event, sector, tag))
                        history.tags[sector] = tag
                        history.unknown.remove(sector)
                    }
                    disk.submit(request) { error in
                        withExtendedLifetime(memory) { answer.give(error) }
                    }
                    continue
                }
                for sector in range {
                    history.changes.append((event, sector, kind == 7 ? nil : 0))
                    if kind == 7 {
                        history.unknown.insert(sector)
                    } else {
                        history.tags[sector] = 0
                        history.unknown.remove(sector)
                    }
                }
                disk.submit(request) { answer.give($0) }
            }
            if random.below(6) == 0 { disk.submit(.flush) { _ in } }
            for answer in answers {
                if let error = answer.wait() { throw RequestFailed(errno: error) }
            }
            if random.below(4) == 0 {
                let first = history.changes.count
                try disk.flush()
                history.flushes.append(
                    History.Flush(
                        completed: recorder.count, firstChange: first, tags: history.tags,
                        unknown: history.unknown))
            }
        }
    }

    /// Nil, or what is wrong with an image after a cut.
    static func fault(
        _ path: String, _ history: History, cut: Int
    ) throws -> String? {
        let report = try DiskImage.check(path: path, format: .qcow2)
        if report.corruptions != 0 { return "\(report.problems)" }
        guard let flush = history.flushes.last(where: { $0.completed <= cut }) else {
            return "no flush"
        }
        var allowed: [Int: Set<UInt64>] = [:]
        var unknown = flush.unknown
        for change in history.changes[flush.firstChange...] where change.event <= cut {
            if let tag = change.tag {
                allowed[change.sector, default: []].insert(tag)
            } else {
                unknown.insert(change.sector)
            }
        }
        let disk = try Disk(path, .qcow2, readOnly: true)
        defer { try? disk.close() }
        let all = try disk.read(0, flush.tags.count * 512)
        let memory = IOBuffer(byteCount: all.count)
        memory.fill(all)
        for sector in 0..<flush.tags.count where !unknown.contains(sector) {
            let tag = memory.load64(sector * 512).byteSwapped
            let isOne = (0..<64).allSatisfy {
                memory.load64(sector * 512 + $0 * 8).byteSwapped == tag
            }
            guard isOne, tag == flush.tags[sector] || allowed[sector]?.contains(tag) == true else {
                return "sector \(sector) lost what was flushed"
            }
        }
        return nil
    }

    /// Runs a load, cuts it in many places, and tells what is wrong.
    static func faults(
        _ shape: Shape, seed: UInt64, cuts: Int, syncsHold: Bool = true
    ) throws -> [String] {
        let folder = try Folder()
        var random = Random(seed)
        let sectors = shape.isGrown ? 9000 : 1200
        var history = History(tags: [UInt64](repeating: 0, count: sectors))
        var options = DiskImage.CreationOptions()
        options.clusterSize = shape.clusterSize
        options.refcountOrder = shape.order
        options.version = shape.version
        if shape.hasBacking {
            history.tags = (0..<sectors).map { _ in random.next() | 1 }
            _ = try folder.file("base", bytes(history.tags))
            options.backingPath = "base"
            options.backingFormat = .raw
        }
        let size = UInt64(sectors * 512)
        try DiskImage.create(
            path: folder("a"), format: .qcow2, byteCount: shape.isGrown ? size / 8 : size,
            options: options)
        if shape.isGrown {
            try DiskImage.resize(path: folder("a"), format: .qcow2, byteCount: size)
        }
        let initial = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("a"))))
        history.flushes.append(
            History.Flush(completed: 0, firstChange: 0, tags: history.tags, unknown: []))
        let recorder = Recorder()
        let disk = try Disk(folder("a"), .qcow2, observer: recorder)
        try load(
            disk, recorder, &history, &random, rounds: shape.isGrown ? 70 : 60,
            clusterSectors: shape.isGrown ? 100 : shape.clusterSize / 512)
        try disk.close()
        if shape.isGrown {
            // The refcount table went to another place on the way.
            let final = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder("a"))))
            #expect(final[48..<56] != initial[48..<56])
        }
        let events = recorder.all
        var result: [String] = []
        for index in 0..<cuts {
            let cut = index == 0 ? events.count : 1 + random.below(events.count)
            let file = Recorder.afterCut(
                initial, events[..<cut], syncsHold: syncsHold, &random)
            _ = try folder.file("cut", file)
            if let fault = try fault(folder("cut"), history, cut: cut) {
                result.append("cut at \(cut) of \(events.count): \(fault)")
            } else if index % 8 == 0 {
                try goOn(folder, random.next())
            }
        }
        return result
    }

    /// An image after a cut is used further.
    static func goOn(_ folder: Folder, _ seed: UInt64) throws {
        if Program.hasQEMU {
            // 3: leaks and nothing else.
            let output = message {
                try Program.run("qemu-img", ["check", "-f", "qcow2", folder("cut")], status: 3)
            }
            #expect(output == "no error" || output.contains("No errors were found"), "\(output)")
        }
        var random = Random(seed)
        let disk = try Disk(folder("cut"), .qcow2)
        for _ in 0..<10 {
            try disk.write(random.below(1100) * 512, random.bytes(512 * (1 + random.below(80))))
        }
        try disk.close()
        let report = try DiskImage.check(path: folder("cut"), format: .qcow2, repairLeaks: true)
        #expect(report.isClean, "\(report)")
        let after = try DiskImage.check(path: folder("cut"), format: .qcow2)
        #expect(after.isClean && after.leakedClusters == 0, "\(after)")
    }

    @Test(arguments: shapes) func nothingFlushedIsLost(_ shape: Shape) throws {
        for seed in 1...2 {
            let faults = try Self.faults(shape, seed: UInt64(seed) &* 7919, cuts: 40)
            #expect(faults.isEmpty, "\(faults.first ?? "") and \(faults.count) in all")
        }
    }

    /// The test sees it if syncs do nothing.
    @Test func aHostThatDoesNotSyncIsFoundOut() throws {
        let faults = try Self.faults(Self.shapes[0], seed: 5, cuts: 20, syncsHold: false)
        #expect(!faults.isEmpty)
    }
}
