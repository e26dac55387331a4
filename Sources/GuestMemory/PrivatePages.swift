import Glibc
internal import Vocabulary

/// Which pages of private mappings are a process' own, as the host knows it: /proc/self/pagemap (Linux,
/// Documentation/admin-guide/mm/pagemap.rst).
///
/// Owner: who looks, one thread.
final class PrivatePages {
    private let file = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    /// What the host says of pages from `first` on, a word each.
    private var words: [UInt64] = []
    private var first: UInt64 = 0
    /// Pages that are asked for at once.
    private static let window = 4096

    deinit { if file >= 0 { close(file) } }

    /// Whether a range of the memory file has pages that were written; true if the host does not say.
    func mayHavePrivate(in memory: GuestMemory, _ range: Range<UInt64>) -> Bool {
        var next = range.lowerBound
        while next < range.upperBound {
            guard let part = unsafe memory.part(ofFile: next, atMost: range.upperBound - next),
                let start = part.baseAddress
            else { return false }
            let page = UInt64(UInt(bitPattern: start)) / 4096
            for page in page..<page + UInt64((part.count + 4095) / 4096) {
                guard let isPrivate = isPrivate(page) else { return true }
                if isPrivate { return true }
            }
            next += UInt64(part.count)
        }
        return false
    }

    /// Bytes of pages that were written; 0 if the host does not say.
    func byteCount(of memory: GuestMemory) -> UInt64 {
        var count: UInt64 = 0
        for region in memory.regions {
            let start = unsafe memory.hostBase + Int(region.start.rawValue)
            let first = UInt64(UInt(bitPattern: start)) / 4096
            for page in first..<first + region.byteCount / 4096 where isPrivate(page) == true {
                count += 4096
            }
        }
        return count
    }

    /// A page by its address divided by 4096. Nil: the host does not say.
    private func isPrivate(_ page: UInt64) -> Bool? {
        // Bit 63: present, 62: swapped, 61: of a file.
        word(page).map { $0 >> 61 == 0b100 || $0 >> 62 & 1 != 0 }
    }

    private func word(_ page: UInt64) -> UInt64? {
        if page < first || page >= first + UInt64(words.count) {
            guard file >= 0 else { return nil }
            first = page
            words = unsafe [UInt64](unsafeUninitializedCapacity: Self.window) { buffer, count in
                let got = unsafe pread(
                    file, buffer.baseAddress, buffer.count * 8, off_t(clamping: page * 8))
                count = max(0, got / 8)
            }
        }
        let index = Int(page - first)
        return index < words.count ? words[index] : nil
    }
}
