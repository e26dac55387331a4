internal import CHost
import Glibc
internal import Vocabulary

// For who brings pages and takes them away, and nobody else: pages that are absent.
extension GuestMemory {
    /// Gives a page that is absent its bytes, 4096 of them; it stays absent.
    public func supply(page: UInt64, _ bytes: UnsafeRawBufferPointer) {
        guard isRAM(page: page), bytes.count == 4096, let source = bytes.baseAddress else { return }
        // SAFETY: checked to be RAM; nobody else looks at an absent page.
        unsafe memcpy(hostBase + Int(page << 12), source, 4096)
    }

    /// The bytes of a page that was made absent and is not given back yet. Valid until then.
    public func bytes(ofAbsentPage page: UInt64) -> UnsafeRawBufferPointer {
        guard isRAM(page: page) else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: hostBase + Int(page << 12), count: 4096)
    }

    /// Gives the host memory of `count` absent pages back, whose bytes are zeros then.
    public func giveBack(pages first: UInt64, count: Int) {
        guard count > 0, contains(first << 12, count << 12),
            let offset = fileOffset(of: .init(first << 12))
        else { return }
        _ = chost_fallocate(descriptor, chost_PUNCH_HOLE, offset, UInt64(count) << 12)
    }

    /// The number of the page whose bytes are at this place of the memory file; nil: none are.
    public func page(atFileOffset offset: UInt64) -> UInt64? {
        var rest = offset
        for region in regions {
            if rest < region.byteCount { return (region.start.rawValue + rest) >> 12 }
            rest -= region.byteCount
        }
        return nil
    }

    /// Marks every page absent. Before anybody has looked at one.
    public func makeAllAbsent() {
        guard residency != nil else { return }
        for region in regions {
            // SAFETY: the flags have a byte for each page of the span.
            unsafe memset(
                pageFlags + Int(region.start.rawValue >> 12),
                CInt(PageFlags.absent.rawValue), Int(region.byteCount >> 12))
        }
    }
}
