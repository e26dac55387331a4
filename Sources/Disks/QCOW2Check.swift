internal import HostIO
internal import Vocabulary

/// How often clusters of a file are referred to; memory only for stretches with any reference.
struct ClusterCounts: Sendable {
    private static let chunk: UInt64 = 4096
    private var chunks: [UInt64: [UInt32]] = [:]

    func count(_ cluster: UInt64) -> UInt64 {
        guard let counts = chunks[cluster / Self.chunk] else { return 0 }
        return UInt64(counts[Int(cluster % Self.chunk)])
    }

    mutating func add(_ cluster: UInt64) {
        chunks[
            cluster / Self.chunk, default: [UInt32](repeating: 0, count: Int(Self.chunk))
        ][Int(cluster % Self.chunk)] &+= 1
    }

    /// Clusters with references, in order.
    func forEach(_ body: (UInt64, UInt64) -> Void) {
        for key in chunks.keys.sorted() {
            for (index, count) in (chunks[key] ?? []).enumerated() where count > 0 {
                body(key &* Self.chunk &+ UInt64(index), UInt64(count))
            }
        }
    }
}

/// What a check found.
public struct DiskCheckReport: Sendable, Equatable, Codable {
    /// Places where the image contradicts itself: data may be lost. `problems` says where.
    public var corruptions = 0
    /// Clusters that nothing refers to and that are not free: space lost, nothing else.
    public var leakedClusters = 0
    /// Leaks that the check gave back.
    public var repairedLeaks = 0
    /// Counts that a writer had left for later were made first.
    public var isRebuilt = false
    /// The image is still marked: its writer did not end as it should, or found it broken.
    public var isMarkedDirty = false
    public var isMarkedCorrupt = false
    /// Clusters of the guest that the image holds.
    public var allocatedClusters = 0
    /// Those of them that are packed.
    public var compressedClusters = 0
    /// Clusters of the guest in all.
    public var totalClusters = 0
    /// The first byte of the file behind all clusters in use.
    public var endOffset: UInt64 = 0
    /// One line each, the first 20.
    public var problems: [String] = []

    public init() {}

    /// Nothing is wrong, or nothing is any more.
    public var isClean: Bool { corruptions == 0 && leakedClusters == repairedLeaks }

    mutating func corrupt(_ problem: @autoclosure () -> String) {
        corruptions += 1
        if problems.count < 20 { problems.append(problem()) }
    }
}

/// Comparing what an image refers to with what it counts. On an image that nobody uses.
extension QCOW2Image {
    /// Every reference of the image, and what is wrong with them.
    func countReferences(
        _ report: inout DiskCheckReport
    ) async throws(HostErrno) -> ClusterCounts {
        var counts = ClusterCounts()
        let size = UInt64(header.clusterSize)
        let fileEnd = ((highWater &+ size &- 1) & ~(size &- 1)) &+ size
        func add(_ offset: UInt64, _ byteCount: UInt64, _ what: @autoclosure () -> String) -> Bool {
            guard offset <= fileEnd, byteCount <= fileEnd &- offset else {
                report.corrupt("\(what()) at byte \(offset) is behind the end of the file")
                return false
            }
            if byteCount == 0 { return true }
            for cluster in clusterIndex(offset)...clusterIndex(offset &+ byteCount &- 1) {
                counts.add(cluster)
                report.endOffset = max(report.endOffset, clusterOffset(cluster &+ 1))
            }
            return true
        }
        _ = add(0, size, "header")
        _ = add(header.l1Offset, UInt64(l1.count * 8), "L1 table")
        _ = add(
            header.refcountTableOffset, UInt64(header.refcountTableClusters) &* size,
            "refcount table")
        var tables: Set<UInt64> = []
        for (index, entry) in refcountTable.enumerated() where entry != 0 {
            if entry & ~QCOW2Header.offsetMask != 0 || !header.isTable(entry)
                || !tables.insert(entry).inserted
            {
                report.corrupt("refcount block \(index) cannot be at byte \(entry)")
            } else {
                _ = add(entry, size, "refcount block \(index)")
            }
        }
        for (index, entry) in l1.enumerated() {
            let offset = entry & QCOW2Header.offsetMask
            if offset == 0 { continue }
            guard header.isTable(offset), tables.insert(offset).inserted else {
                report.corrupt("L2 table \(index) cannot be at byte \(offset)")
                continue
            }
            guard add(offset, size, "L2 table \(index)") else { continue }
            let buffer = try await file.load(offset, header.clusterSize)
            for place in 0..<header.l2Entries {
                let entry = buffer.load64(place &* 8)
                if entry == 0 { continue }
                let name = { "cluster \(index &* self.header.l2Entries &+ place) of the guest" }
                switch ClusterMapping(entry, header) {
                case .absent, .zero(0): break
                case .broken: report.corrupt("\(name()) has the entry \(entry)")
                case .zero(let offset):
                    _ = add(offset, size, name())
                case .data(let offset, _):
                    report.allocatedClusters += 1
                    _ = add(offset, size, name())
                case .compressed(let offset, let byteCount):
                    report.allocatedClusters += 1
                    report.compressedClusters += 1
                    _ = add(offset, UInt64(byteCount), name())
                }
            }
        }
        report.totalClusters = Int(
            clamping: header.virtualSize / size + (header.virtualSize % size == 0 ? 0 : 1))
        return counts
    }

    /// Calls `body` with each cluster whose count differs: what is counted and what is right.
    private func differences(
        _ counts: ClusterCounts,
        _ body: (_ cluster: UInt64, _ counted: UInt64, _ right: UInt64) -> Void
    ) async throws(HostErrno) {
        let perBlock = UInt64(header.refcountsPerBlock)
        var seen: Set<UInt64> = []
        var readable: Set<UInt64> = []
        for (index, entry) in refcountTable.enumerated() where entry != 0 {
            guard header.isTable(entry), entry < highWater, seen.insert(entry).inserted else {
                continue
            }
            readable.insert(UInt64(index))
            let table = QCOW2Table(
                offset: entry, buffer: try await file.load(entry, header.clusterSize),
                unit: header.tableUnit)
            let first = UInt64(index) &* perBlock
            for place in 0..<header.refcountsPerBlock {
                let counted = table.refcount(place, order: header.refcountOrder)
                let right = counts.count(first &+ UInt64(place))
                if counted != right { body(first &+ UInt64(place), counted, right) }
            }
        }
        counts.forEach { cluster, right in
            if !readable.contains(cluster / perBlock) { body(cluster, 0, right) }
        }
    }

    /// Counts that are put right at once, so that a broken image does not take all memory.
    private static let mostCorrections = 1 << 20

    /// Checks the image, which was opened for that, and gives leaked clusters back if asked to and if
    /// nothing else is wrong.
    func check(repairLeaks: Bool) async throws(HostErrno) -> DiskCheckReport {
        var report = DiskCheckReport()
        let counts = try await countReferences(&report)
        var leaks: [(cluster: UInt64, right: UInt64)] = []
        try await differences(counts) { cluster, counted, right in
            if counted > right {
                report.leakedClusters += 1
                if leaks.count < Self.mostCorrections { leaks.append((cluster, right)) }
            } else {
                report.corrupt(
                    "cluster \(cluster) of the file is referred to \(right) times and counted "
                        + "\(counted) times")
            }
        }
        try await checkOwnership(counts, &report)
        if repairLeaks, report.corruptions == 0, !leaks.isEmpty {
            await lockTables()
            defer { unlockTables() }
            for leak in leaks { try await setRefcount(leak.cluster, leak.right) }
            try await commit()
            report.repairedLeaks = leaks.count
        }
        if repairLeaks, report.isClean, header.isDirty || header.isCorrupt {
            header.incompatible &= ~(QCOW2Header.dirtyBit | QCOW2Header.corruptBit)
            try await writeHeader()
        }
        report.isMarkedDirty = header.isDirty
        report.isMarkedCorrupt = header.isCorrupt
        return report
    }

    /// Makes the counts of an image right that is marked for that. False if it is not, or contradicts
    /// itself where counts are not to blame: the check says where.
    func settleRefcounts() async throws(HostErrno) -> Bool {
        guard header.isDirty, let first = refcountTable.first, header.isTable(first) else {
            return false
        }
        var report = DiskCheckReport()
        _ = try await countReferences(&report)
        guard report.corruptions == 0 else { return false }
        await lockTables()
        defer { unlockTables() }
        try await rebuildRefcounts()
        return true
    }

    /// An entry that says nobody else refers to its cluster must be right.
    private func checkOwnership(
        _ counts: ClusterCounts, _ report: inout DiskCheckReport
    ) async throws(HostErrno) {
        var seen: Set<UInt64> = []
        for (index, entry) in l1.enumerated() {
            let offset = entry & QCOW2Header.offsetMask
            guard header.isTable(offset), offset < highWater, seen.insert(offset).inserted else {
                continue
            }
            if entry & ClusterMapping.copied != 0, counts.count(clusterIndex(offset)) != 1 {
                report.corrupt("L2 table \(index) is said to be referred to once and is not")
            }
            let buffer = try await file.load(offset, header.clusterSize)
            for place in 0..<header.l2Entries {
                guard
                    case .data(let target, isOwned: true) = ClusterMapping(
                        buffer.load64(place &* 8), header)
                else { continue }
                if counts.count(clusterIndex(target)) > 1 {
                    report.corrupt(
                        "cluster \(index &* header.l2Entries &+ place) of the guest is said to be "
                            + "referred to once and is not")
                }
            }
        }
    }

    /// Makes the refcounts right, after a writer that left them for later (lazy refcounts) ended before
    /// it came to that. With the tables locked.
    func rebuildRefcounts() async throws(HostErrno) {
        var report = DiskCheckReport()
        let counts = try await countReferences(&report)
        guard report.corruptions == 0 else { throw .ioError }
        inUse = counts
        defer { inUse = nil }
        var wrong: [(cluster: UInt64, right: UInt64)] = []
        var isMore = true
        while isMore {
            isMore = false
            wrong = []
            try await differences(counts) { cluster, _, right in
                if wrong.count < Self.mostCorrections {
                    wrong.append((cluster, right))
                } else {
                    isMore = true
                }
            }
            for (cluster, right) in wrong { try await setRefcount(cluster, right) }
            try await commit()
        }
    }
}
