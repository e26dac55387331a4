public import Disks
import Foundation
internal import GuestMemory
internal import Paging
internal import Vocabulary

/// A running machine as it stood at one moment, for clones of it: they share its memory until they write.
///
/// Any thread. Its files are open as long as it is there; another process has it by `encoded` and copies of
/// `descriptors`.
public struct ForkedMachine: Sendable {
    private struct Header: Codable {
        var memoryByteCount: UInt64
        var runCount: Int
        var disks: [DiskSpecification]
    }

    let manifest: [UInt8]
    let image: MemoryImage
    /// What each disk was, which nobody writes any more.
    public let disks: [DiskSpecification]

    init(manifest: [UInt8], image: MemoryImage, disks: [DiskSpecification]) {
        self.manifest = manifest
        self.image = image
        self.disks = disks
    }

    /// Files with the memory.
    public var descriptors: [CInt] { image.descriptors }

    private static let runByteCount = 32

    /// All but the memory: the length of the header in four bytes, the header, the memory's runs, the manifest.
    public var encoded: [UInt8] {
        let header = Header(
            memoryByteCount: image.memoryByteCount, runCount: image.runs.count, disks: disks)
        let text = (try? JSONEncoder().encode(header)).map { [UInt8]($0) } ?? []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            4 + text.count + image.runs.count * Self.runByteCount + manifest.count)
        func append<T: FixedWidthInteger>(_ word: T) {
            for shift in stride(from: 0, to: T.bitWidth, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> T(shift)))
            }
        }
        append(UInt32(text.count))
        bytes += text
        for run in image.runs {
            append(run.memory)
            append(run.byteCount)
            append(run.place)
            append(UInt64(run.file))
        }
        return bytes + manifest
    }

    /// - Parameter descriptors: copies of the `descriptors` of which `bytes` were the `encoded`; this value's
    ///   from now on, whatever happens.
    /// - Throws: `XError`: it makes no sense.
    public init(decoding bytes: [UInt8], owning descriptors: [CInt]) throws {
        func word<T: FixedWidthInteger>(_ place: Int) -> T {
            (0..<MemoryLayout<T>.size).reduce(0) { $0 | T(bytes[place + $1]) << T(8 * $1) }
        }
        var header = Header(memoryByteCount: 0, runCount: 0, disks: [])
        var runs: [MemoryImage.Run] = []
        var place = 4
        var isWhole = bytes.count >= 4
        if isWhole {
            let count = Int(word(0) as UInt32)
            isWhole = count <= bytes.count - place
            if isWhole {
                header = try JSONDecoder().decode(
                    Header.self, from: Data(bytes[place..<place + count]))
                place += count
            }
        }
        isWhole =
            isWhole && header.runCount >= 0
            && header.runCount <= (bytes.count - place) / Self.runByteCount
        if isWhole {
            for _ in 0..<header.runCount {
                runs.append(
                    MemoryImage.Run(
                        memory: word(place), byteCount: word(place + 8), place: word(place + 16),
                        file: Int(truncatingIfNeeded: word(place + 24) as UInt64)))
                place += Self.runByteCount
            }
        }
        image = try MemoryImage(
            memoryByteCount: header.memoryByteCount, runs: runs, owning: descriptors)
        disks = header.disks
        manifest = isWhole ? Array(bytes[place...]) : []
        guard isWhole else {
            throw XError(.invalidFormat, "what was forked has come incomplete: fork it again")
        }
    }
}

// Any thread, one at a time.
extension Machine {
    /// Has the guest stand still for a moment, and takes the machine for clones as it stands. Disks that are
    /// written go on in images laid over what they have been so far.
    ///
    /// - Parameters:
    ///   - overlay: where the image goes that is laid over the disk of this number and name, which is made.
    /// - Throws: `XError`: the guest cannot be suspended, a disk cannot have an image laid over it, or the host has
    ///   no room. The guest goes on.
    public func fork(
        _ options: SuspendOptions, overlay: (_ disk: String) -> String,
        _ observer: SuspendObserver = SuspendObserver()
    ) throws -> ForkedMachine {
        guard configuration.residentByteCount == nil else {
            throw XError(
                .unsupported,
                "a machine with --resident cannot be forked: write it down with martlet checkpoint, and "
                    + "restore that")
        }
        for disk in disks where disk.format == .nbd && !disk.isReadOnly {
            throw XError(
                .unsupported,
                "the disk '\(disk.specification.path)' is on a server and cannot stay as it is for clones: "
                    + "attach it with ',readonly'")
        }
        if let paging, !paging.pager.bringAll() {
            throw XError(.busy, "the machine's memory cannot be had any more")
        }
        let caller = try standStill(options, observer)
        defer {
            ensemble.unpark()
            observer.step("the guest goes on")
        }
        let manifest = try manifest(caller, observer)
        // The host may fill pages that it has found before the memory is mapped anew (O_DIRECT): the machine would
        // not see what comes there after it has written to such a page.
        var paused: [Disk] = []
        defer { for disk in paused { disk.goOn() } }
        for disk in disks where disk.format != .nbd {
            try disk.pause()
            paused.append(disk)
        }
        var bases: [DiskSpecification] = []
        for disk in disks {
            bases.append(
                disk.isReadOnly ? disk.specification : try disk.layOver(overlay(disk.name)))
        }
        return ForkedMachine(
            manifest: [UInt8](try JSONEncoder().encode(manifest)), image: try memory.share(),
            disks: bases)
    }

    /// What each disk is now.
    public var diskSpecifications: [DiskSpecification] { disks.map(\.specification) }
}
