internal import GuestMemory
internal import Vocabulary

/// A ring that frontend and backend share (xen/include/public/io/ring.h): a page of the guest or
/// several, with both sides' producers in the first 64 bytes and entries behind, each of them a request
/// and later a response.
///
/// Indices run on and wrap at 32 bits. Who owns the ring has a lock around it.
struct SharedRing: Sendable {
    private enum Offset {
        static let requestProducer = 0
        static let requestEvent = 4
        static let responseProducer = 8
        static let responseEvent = 12
        static let entries = 64
    }

    private let memory: GuestMemory
    private let pages: [GuestPhysicalAddress]
    let entryByteCount: Int
    /// A power of two; 0: there is no room for any.
    let entryCount: UInt32
    /// Requests taken so far.
    private(set) var requestConsumer: UInt32
    /// Responses put in so far.
    private(set) var responseProducer: UInt32
    /// Responses of which the frontend has been notified, where it wanted to be.
    private var announced: UInt32

    /// - Parameter pages: of RAM, a power of two of them.
    init(_ memory: GuestMemory, pages: [GuestPhysicalAddress], entryByteCount: Int) {
        self.memory = memory
        self.pages = pages
        self.entryByteCount = entryByteCount
        let room = UInt32((pages.count * 4096 - Offset.entries) / entryByteCount)
        // The largest power of two.
        entryCount = room == 0 ? 0 : 1 << (31 - UInt32(room.leadingZeroBitCount))
        (requestConsumer, responseProducer, announced) = (0, 0, 0)
        // A ring that has been in use goes on where its responses end.
        responseProducer = load(Offset.responseProducer)
        (requestConsumer, announced) = (responseProducer, responseProducer)
    }

    /// Where a byte of the ring is.
    func address(_ offset: Int) -> GuestPhysicalAddress {
        pages[offset / 4096].advanced(by: UInt64(offset % 4096))
    }

    /// First byte of an entry, counted from the start of the ring.
    func offset(ofEntry index: UInt32) -> Int {
        Offset.entries + Int(index & (entryCount &- 1)) * entryByteCount
    }

    private func load(_ offset: Int) -> UInt32 {
        memory.atomicLoad(address(offset), as: UInt32.self) ?? 0
    }

    // MARK: Requests

    /// Requests that wait; nil: with those that are not answered there are more than entries, so the
    /// frontend has broken its ring.
    var waiting: UInt32? {
        let producer = load(Offset.requestProducer)
        let count = producer &- requestConsumer
        let isWhole = count <= entryCount && producer &- responseProducer <= entryCount
        return isWhole ? count : nil
    }

    /// Has the frontend notify when `count` requests wait; true: they do already.
    func wantsMore(_ count: UInt32 = 1) -> Bool {
        memory.atomicStore(address(Offset.requestEvent), requestConsumer &+ count)
        return load(Offset.requestProducer) &- requestConsumer >= count
    }

    /// So many requests have been read.
    mutating func take(_ count: UInt32 = 1) { requestConsumer &+= count }

    /// An integer of an entry that lies in one page. Read once: the guest may change it.
    func read<T: FixedWidthInteger & BitwiseCopyable>(
        _ index: UInt32, _ at: Int, as type: T.Type
    ) -> T {
        memory.read(address(offset(ofEntry: index) + at), as: type) ?? 0
    }

    // MARK: Responses

    /// Writes an integer of the entry of the next response, or of one behind it, which lies in one page.
    func write<T: FixedWidthInteger & BitwiseCopyable>(
        _ ahead: UInt32 = 0, _ at: Int, _ value: T
    ) {
        memory.write(address(offset(ofEntry: responseProducer &+ ahead) + at), integer: value)
    }

    /// The frontend may see so many responses more.
    mutating func publish(_ count: UInt32 = 1) {
        responseProducer &+= count
        memory.atomicStore(address(Offset.responseProducer), responseProducer)
    }

    /// Whether the frontend wants to be notified of what was published since this was last asked.
    mutating func takeNotification() -> Bool {
        let old = announced
        announced = responseProducer
        return responseProducer &- load(Offset.responseEvent) < responseProducer &- old
    }
}
