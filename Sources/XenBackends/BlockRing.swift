internal import GuestMemory
internal import Vocabulary

/// A request as it was read from the ring, once (xen/include/public/io/blkif.h, x86_64 layout).
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
    private enum Offset {
        static let requestProducer = 0
        static let requestEvent = 4
        static let responseProducer = 8
        static let responseEvent = 12
        static let entries = 64
    }

    static let entryByteCount = 112
    static let largestOrder: UInt32 = 4

    private let memory: GuestMemory
    private let pages: [GuestPhysicalAddress]
    let entryCount: UInt32
    /// Requests taken so far, and responses given.
    private(set) var requestConsumer: UInt32
    private(set) var responseProducer: UInt32

    /// - Parameter pages: of RAM, a power of two of them.
    init(_ memory: GuestMemory, pages: [GuestPhysicalAddress]) {
        self.memory = memory
        self.pages = pages
        let room = UInt32(pages.count * 4096 - Offset.entries) / UInt32(Self.entryByteCount)
        // The largest power of two.
        entryCount = room == 0 ? 0 : 1 << (31 - UInt32(room.leadingZeroBitCount))
        requestConsumer = 0
        responseProducer = 0
        // A ring that has been in use goes on where its responses end.
        responseProducer = load(Offset.responseProducer)
        requestConsumer = responseProducer
    }

    private func address(_ offset: Int) -> GuestPhysicalAddress {
        pages[offset / 4096].advanced(by: UInt64(offset % 4096))
    }

    private func load(_ offset: Int) -> UInt32 {
        memory.atomicLoad(address(offset), as: UInt32.self) ?? 0
    }

    /// Requests that wait; nil: more than there is room for.
    var waiting: UInt32? {
        let count = load(Offset.requestProducer) &- requestConsumer
        return count <= entryCount ? count : nil
    }

    /// Has the frontend notify when there is another request; true: there is one already.
    func wantsMore() -> Bool {
        memory.atomicStore(address(Offset.requestEvent), requestConsumer &+ 1)
        return load(Offset.requestProducer) != requestConsumer
    }

    /// The next request, read once.
    mutating func take() -> BlockRequest {
        let start = Offset.entries + Int(requestConsumer & (entryCount &- 1)) * Self.entryByteCount
        requestConsumer &+= 1
        var bytes = [UInt8](repeating: 0, count: Self.entryByteCount)
        var done = 0
        // An entry may lie across two pages.
        while done < bytes.count {
            let at = start + done
            let rest = min(bytes.count - done, 4096 - at % 4096)
            if let part = memory.read(address(at), byteCount: rest) {
                bytes.replaceSubrange(done..<(done + rest), with: part)
            }
            done += rest
        }
        return Self.parse(bytes)
    }

    static func parse(_ bytes: [UInt8]) -> BlockRequest {
        func integer<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
            var value: T = 0
            for index in 0..<(T.bitWidth / 8) {
                value |= T(truncatingIfNeeded: bytes[offset + index]) << T(index * 8)
            }
            return value
        }
        var request = BlockRequest(
            operation: bytes[0], identifier: integer(8, UInt64.self),
            sector: integer(16, UInt64.self), segmentCount: Int(bytes[1]))
        switch BlockRequest.Operation(rawValue: bytes[0]) {
        case .indirect:
            request.indirectOperation = bytes[1]
            request.segmentCount = Int(integer(2, UInt16.self))
            request.pages = (0..<BlockRequest.indirectPageCount).map {
                integer(28 + $0 * 4, UInt32.self)
            }
        case .discard:
            request.segmentCount = 0
            request.sectorCount = integer(24, UInt64.self)
        default:
            let count = min(request.segmentCount, BlockRequest.directSegmentCount)
            request.segments = (0..<count).map { index in
                let at = 24 + index * 8
                return BlockRequest.Segment(
                    reference: integer(at, UInt32.self), first: bytes[at + 4], last: bytes[at + 5])
            }
        }
        return request
    }

    /// Puts a response in. True: the frontend wants to be notified.
    mutating func respond(_ identifier: UInt64, _ operation: UInt8, _ status: Int16) -> Bool {
        let start = Offset.entries + Int(responseProducer & (entryCount &- 1)) * Self.entryByteCount
        // Entries are multiples of 16 bytes from offset 64, so none of these words lies across pages.
        memory.write(address(start), integer: identifier)
        memory.write(
            address(start + 8),
            integer: UInt32(operation) | UInt32(UInt16(bitPattern: status)) << 16)
        let old = responseProducer
        responseProducer &+= 1
        memory.atomicStore(address(Offset.responseProducer), responseProducer)
        let event = load(Offset.responseEvent)
        return responseProducer &- event < responseProducer &- old
    }
}
