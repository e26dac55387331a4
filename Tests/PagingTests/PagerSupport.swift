import GuestMemory
import HostIO
import Vocabulary

/// What a pager said when memory was lost.
final class Failure: Sendable {
    private let reason = RankedLock(String?.none, owner: "reason", rank: .leaf)
    func note(_ text: String) { reason.withLock { $0 = text } }
    var text: String? { reason.withLock { $0 } }
}

/// Memory whose pages may be absent.
func pagedMemory(_ mebibytes: UInt64 = 48) throws -> GuestMemory {
    try GuestMemory(
        regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: mebibytes << 20)],
        isPaged: true)
}
