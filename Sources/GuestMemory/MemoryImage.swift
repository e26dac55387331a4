internal import CHost
import Glibc
public import Vocabulary

/// A machine's memory as it stood at one moment, for others to begin with: what they do not write stays one
/// copy. Bytes that lie in no run are zeros.
///
/// Owner: everybody who has one. Immutable.
public final class MemoryImage: Sendable {
    /// Bytes of the memory, by their place in the memory file, and where an image file has them.
    public struct Run: Codable, Sendable, Equatable {
        /// Multiples of 4096, all three.
        public var memory: UInt64
        public var byteCount: UInt64
        public var place: UInt64
        /// The index of the file.
        public var file: Int

        public init(memory: UInt64, byteCount: UInt64, place: UInt64, file: Int) {
            self.memory = memory
            self.byteCount = byteCount
            self.place = place
            self.file = file
        }

        var end: UInt64 { memory + byteCount }

        /// It begins there, if it began before.
        mutating func leaveOut(to start: UInt64) {
            let count = min(max(start, memory) - memory, byteCount)
            memory += count
            place += count
            byteCount -= count
        }
    }

    /// Bytes of the memory, for which there are runs or not.
    public let memoryByteCount: UInt64
    /// In order of `memory`, apart from each other.
    public let runs: [Run]
    /// Files in memory that nobody can write any more; open as long as this object.
    public let descriptors: [CInt]
    private let files: [ImageFile]

    /// - Parameters:
    ///   - descriptors: of files with what `runs` say; this object's from now on, whatever happens.
    /// - Throws: `XError`: the runs make no sense.
    public convenience init(
        memoryByteCount: UInt64, runs: [Run], owning descriptors: [CInt]
    ) throws(XError) {
        let files = descriptors.map { ImageFile(owning: $0) }
        var end: UInt64 = 0
        for run in runs {
            let isAligned = (run.memory | run.byteCount | run.place) & 4095 == 0
            guard isAligned, run.memory >= end, run.byteCount > 0, run.memory <= memoryByteCount,
                run.byteCount <= memoryByteCount - run.memory, files.indices.contains(run.file),
                run.place <= 1 << 50, run.place + run.byteCount <= files[run.file].byteCount
            else {
                throw XError(
                    .invalidFormat,
                    "the image of a machine's memory is damaged at byte \(run.memory): fork it again"
                )
            }
            end = run.end
        }
        self.init(memoryByteCount: memoryByteCount, runs: runs, files: files)
    }

    private init(memoryByteCount: UInt64, runs: [Run], files: [ImageFile]) {
        self.memoryByteCount = memoryByteCount
        self.runs = runs
        self.files = files
        descriptors = files.map(\.descriptor)
    }

    /// This image with other bytes for some ranges, those of `runs`, which lie in one more file.
    func overlaid(with changes: [Run], _ file: ImageFile) -> MemoryImage {
        var files = self.files + [file]
        var result: [Run] = []
        result.reserveCapacity(runs.count + 2 * changes.count)
        var rest = changes[...]
        var changed: UInt64 = 0
        for var run in runs {
            run.leaveOut(to: changed)
            while let change = rest.first, change.memory < run.end {
                var before = run
                before.byteCount = change.memory - min(change.memory, run.memory)
                if before.byteCount > 0 { result.append(before) }
                result.append(change)
                rest.removeFirst()
                changed = change.end
                run.leaveOut(to: changed)
            }
            if run.byteCount > 0 { result.append(run) }
        }
        result += rest
        // Files of which nothing is left go.
        let used = Set(result.map(\.file))
        let kept = files.indices.filter { used.contains($0) }
        let places = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
        files = kept.map { files[$0] }
        for index in result.indices {
            result[index].file = places[result[index].file] ?? 0
        }
        return MemoryImage(memoryByteCount: memoryByteCount, runs: result, files: files)
    }

    /// Of one file.
    static func whole(
        memoryByteCount: UInt64, runs: [Run], _ file: ImageFile
    ) -> MemoryImage {
        MemoryImage(memoryByteCount: memoryByteCount, runs: runs, files: [file])
    }

    /// The runs that have any of these bytes.
    func runs(in range: Range<UInt64>) -> ArraySlice<Run> {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < runs.count, runs[end].memory < range.upperBound { end += 1 }
        return runs[low..<end]
    }
}

/// A file in memory that is closed with its last user.
final class ImageFile: Sendable {
    let descriptor: CInt

    init(owning descriptor: CInt) { self.descriptor = descriptor }

    /// One of so many bytes, all zeros.
    init(byteCount: UInt64) throws(XError) {
        descriptor = unsafe chost_memfd_create(
            "martlet-image", chost_MFD_CLOEXEC | chost_MFD_ALLOW_SEALING)
        guard descriptor >= 0, ftruncate(descriptor, off_t(clamping: byteCount)) == 0 else {
            throw GuestMemory.noImage()
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var byteCount: UInt64 {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? UInt64(clamping: status.st_size) : 0
    }

    /// Nobody can change it any more. Errors matter not: nobody has it who would.
    func seal() { _ = chost_seal(descriptor) }
}
