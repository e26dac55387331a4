internal import GuestMemory
internal import Vocabulary

/// Whose structures a ring has (xen/include/public/io/protocols.h): in those of 32-bit frontends integers of
/// 64 bits are aligned to 4 bytes.
enum BlockProtocol: String, Codable {
    case wide = "x86_64-abi"
    case narrow = "x86_32-abi"

    /// Bytes of a request.
    var entryByteCount: Int { self == .wide ? 112 : 108 }
    /// Of the identifier; what is behind it is as far from it in both.
    var identifierOffset: Int { self == .wide ? 8 : 4 }
}

/// A request as it was read from the ring, once (xen/include/public/io/blkif.h).
struct BlockRequest: Equatable {
    enum Operation: UInt8 {
        case read = 0
        case write = 1
        case barrier = 2
        case flush = 3
        case discard = 5
        case indirect = 6
    }

    struct Segment: Equatable {
        var reference: UInt32
        /// Sectors of 512 bytes within the page, 0 to 7, both included.
        var first: UInt8
        var last: UInt8

        /// Of one with `first` at most `last`.
        var byteCount: Int { (Int(last) - Int(first) + 1) * 512 }
    }

    var operation: UInt8
    /// Of an indirect request: what it does.
    var indirectOperation: UInt8 = 0
    var identifier: UInt64
    /// In units of 512 bytes.
    var sector: UInt64
    /// Of a discard, in units of 512 bytes.
    var sectorCount: UInt64 = 0
    /// Of an indirect request: those in the pages of `pages`.
    var segmentCount: Int
    var segments: [Segment] = []
    /// Grants of the pages with an indirect request's segments.
    var pages: [UInt32] = []

    /// What is done: frontends want it in the response, too.
    var effectiveOperation: UInt8 {
        operation == Operation.indirect.rawValue ? indirectOperation : operation
    }

    static let directSegmentCount = 11
    static let indirectPageCount = 8
    /// Segments that a page of an indirect request has.
    static let segmentsPerPage = 512
}

/// The ring of one queue of a disk: up to 16 pages of the guest that follow each other here only.
///
/// The queue's context, with its lock held.
struct BlockRing {
    static let largestOrder: UInt32 = 4

    private let memory: GuestMemory
    let layout: BlockProtocol
    private(set) var ring: SharedRing

    /// - Parameter pages: of RAM, a power of two of them.
    init(_ memory: GuestMemory, pages: [GuestPhysicalAddress], layout: BlockProtocol = .wide) {
        self.memory = memory
        self.layout = layout
        ring = SharedRing(memory, pages: pages, entryByteCount: layout.entryByteCount)
    }

    var waiting: UInt32? { ring.waiting }

    func wantsMore() -> Bool { ring.wantsMore() }

    /// The next request, read once.
    mutating func take() -> BlockRequest {
        let start = ring.offset(ofEntry: ring.requestConsumer)
        ring.take()
        var bytes = [UInt8](repeating: 0, count: layout.entryByteCount)
        var done = 0
        // An entry may lie across two pages.
        while done < bytes.count {
            let at = start + done
            let rest = min(bytes.count - done, 4096 - at % 4096)
            if let part = memory.read(ring.address(at), byteCount: rest) {
                bytes.replaceSubrange(done..<(done + rest), with: part)
            }
            done += rest
        }
        return Self.parse(bytes, layout)
    }

    static func parse(_ bytes: [UInt8], _ layout: BlockProtocol = .wide) -> BlockRequest {
        let start = layout.identifierOffset
        func integer<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
            var value: T = 0
            for index in 0..<(T.bitWidth / 8) {
                value |= T(truncatingIfNeeded: bytes[offset + index]) << T(index * 8)
            }
            return value
        }
        var request = BlockRequest(
            operation: bytes[0], identifier: integer(start, UInt64.self),
            sector: integer(start + 8, UInt64.self), segmentCount: Int(bytes[1]))
        switch BlockRequest.Operation(rawValue: bytes[0]) {
        case .indirect:
            request.indirectOperation = bytes[1]
            request.segmentCount = Int(integer(2, UInt16.self))
            request.pages = (0..<BlockRequest.indirectPageCount).map {
                integer(start + 20 + $0 * 4, UInt32.self)
            }
        case .discard:
            request.segmentCount = 0
            request.sectorCount = integer(start + 16, UInt64.self)
        default:
            let count = min(request.segmentCount, BlockRequest.directSegmentCount)
            request.segments = (0..<count).map { index in
                let at = start + 16 + index * 8
                return BlockRequest.Segment(
                    reference: integer(at, UInt32.self), first: bytes[at + 4], last: bytes[at + 5])
            }
        }
        return request
    }

    /// Puts a response in. True: the frontend wants to be notified.
    mutating func respond(_ identifier: UInt64, _ operation: UInt8, _ status: Int16) -> Bool {
        // Entries are multiples of 4 bytes from offset 64, so none of these words lies across pages.
        ring.write(0, 0, UInt32(truncatingIfNeeded: identifier))
        ring.write(0, 4, UInt32(truncatingIfNeeded: identifier >> 32))
        ring.write(0, 8, UInt32(operation) | UInt32(UInt16(bitPattern: status)) << 16)
        ring.publish()
        return ring.takeNotification()
    }
}
