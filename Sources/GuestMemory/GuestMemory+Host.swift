internal import CHost
import Glibc
internal import Vocabulary

// What is asked of the host when RAM is made.
extension GuestMemory {
    /// The regions in ascending order, touching ones joined.
    static func checked(_ given: [MemoryRegion]) throws(XError) -> [MemoryRegion] {
        var regions: [MemoryRegion] = []
        for region in given.sorted(by: { $0.start < $1.start }) {
            let start = region.start.rawValue
            let (end, overflow) = start.addingReportingOverflow(region.byteCount)
            // Guest-physical addresses have 52 bits.
            guard !overflow, end <= 1 << 52 else {
                throw tooLarge(region.byteCount, "a guest has 52 bits of physical address")
            }
            guard start.isMultiple(of: pageByteCount),
                region.byteCount.isMultiple(of: pageByteCount)
            else {
                throw XError(
                    .invalidArgument,
                    "memory of \(region.byteCount) bytes at 0x\(String(start, radix: 16)): "
                        + "both must be multiples of 4096")
            }
            guard region.byteCount > 0 else {
                throw XError(.invalidArgument, "memory of 0 bytes: a guest needs some")
            }
            guard let last = regions.last else {
                regions.append(region)
                continue
            }
            let lastEnd = last.start.rawValue + last.byteCount
            guard lastEnd <= start else {
                throw XError(
                    .invalidArgument, "two memory regions overlap at 0x\(String(start, radix: 16))")
            }
            if lastEnd == start {
                regions[regions.count - 1].byteCount += region.byteCount
            } else {
                regions.append(region)
            }
        }
        guard !regions.isEmpty else {
            throw XError(.invalidArgument, "memory of 0 bytes: a guest needs some")
        }
        return regions
    }

    /// Throws if the host has less memory, swap included, or too few addresses.
    static func checkHost(byteCount: UInt64, span: UInt64) throws(XError) {
        guard span <= 1 << 46 else { throw tooLarge(byteCount, "the host has 47 bits of address") }
        let total = chost_memory_total()
        guard total == 0 || byteCount <= total else {
            throw tooLarge(byteCount, "the host has \(sizeText(total)), swap included")
        }
    }

    static func tooLarge(_ byteCount: UInt64, _ reason: String) -> XError {
        XError(
            .outOfMemory, "cannot get \(sizeText(byteCount)) of memory: \(reason); ask for less")
    }

    /// `16 GiB`: the largest unit that leaves at least 10.
    static func sizeText(_ byteCount: UInt64) -> String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(Int, String)]
        where byteCount >> UInt64(shift) >= 10 {
            return "\(byteCount >> UInt64(shift)) \(unit)"
        }
        return "\(byteCount) bytes"
    }

    static func reason(_ error: CInt) -> String {
        guard let text = unsafe strerror(error) else { return "error \(error)" }
        return unsafe String(cString: text)
    }

    /// Zeroed pages that take no host memory before they are written; nil with errno set.
    static func reserve(_ byteCount: Int, _ protection: CInt) -> UnsafeMutableRawPointer? {
        let pages = unsafe mmap(
            nil, byteCount, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        return unsafe pages == MAP_FAILED ? nil : pages
    }
}
