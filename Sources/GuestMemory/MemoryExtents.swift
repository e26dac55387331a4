internal import CHost
import Glibc
internal import Vocabulary

/// Where a memory may have something else than zeros, by places of its memory file. Asks the host.
///
/// Owner: who looks, one thread, while nobody writes.
public final class MemoryExtents {
    private let memory: GuestMemory
    private let pages = PrivatePages()

    public init(_ memory: GuestMemory) { self.memory = memory }

    /// The next bytes from a place on; nil: there are no more.
    public func next(from place: UInt64) -> Range<UInt64>? {
        guard place < memory.byteCount else { return nil }
        guard let image = memory.image else { return fileData(from: place) }
        var start = place & ~(GuestMemory.imagePiece - 1)
        var found: Range<UInt64>?
        while start < memory.byteCount {
            let range = start..<min(start + GuestMemory.imagePiece, memory.byteCount)
            let hasData =
                !image.runs(in: range).isEmpty || pages.mayHavePrivate(in: memory, range)
            if hasData {
                found = (found?.lowerBound ?? max(range.lowerBound, place))..<range.upperBound
            } else if found != nil {
                break
            }
            start = range.upperBound
        }
        return found
    }

    private func fileData(from place: UInt64) -> Range<UInt64>? {
        let start = chost_seek(memory.descriptor, Int64(clamping: place), 1)
        if start < 0 {
            // Behind all data; a file system without holes has data everywhere.
            return start == -Int64(ENXIO) ? nil : place..<memory.byteCount
        }
        let end = chost_seek(memory.descriptor, start, 0)
        return UInt64(
            start)..<(end > start ? min(UInt64(end), memory.byteCount) : memory.byteCount)
    }
}
