import GuestMemory
import Vocabulary

/// The frontend's half of a ring that it shares with a backend (xen/include/public/io/ring.h).
struct ScriptedRing {
    private let memory: GuestMemory
    private let pages: [GuestPhysicalAddress]
    private let entryByteCount: Int
    let entryCount: UInt32
    private(set) var produced: UInt32 = 0
    private(set) var consumed: UInt32 = 0

    /// Makes an empty one, as SHARED_RING_INIT does.
    init(
        _ memory: GuestMemory, pages: [GuestPhysicalAddress], entryByteCount: Int,
        entryCount: UInt32
    ) {
        self.memory = memory
        self.pages = pages
        self.entryByteCount = entryByteCount
        self.entryCount = entryCount
        for page in pages { memory.fill(page, byteCount: 4096) }
        memory.atomicStore(address(4), UInt32(1))
        memory.atomicStore(address(12), UInt32(1))
    }

    private func address(_ offset: Int) -> GuestPhysicalAddress {
        pages[offset / 4096].advanced(by: UInt64(offset % 4096))
    }

    private func entry(_ index: UInt32) -> Int {
        64 + Int(index & (entryCount - 1)) * entryByteCount
    }

    private func word(_ offset: Int) -> UInt32 {
        memory.atomicLoad(address(offset), as: UInt32.self) ?? 0
    }

    // MARK: Requests

    /// Puts the bytes of a request on the ring.
    mutating func put(_ bytes: [UInt8]) {
        // Entries lie across pages.
        for (index, byte) in bytes.prefix(entryByteCount).enumerated() {
            memory.write(address(entry(produced) + index), integer: byte)
        }
        produced &+= 1
        memory.atomicStore(address(0), produced)
    }

    /// Says that there are so many requests, whatever there is.
    mutating func setProducer(_ value: UInt32) {
        produced = value
        memory.atomicStore(address(0), value)
    }

    /// Where the backend asks to be notified.
    var requestEvent: UInt32 { word(4) }

    // MARK: Responses

    var responseProducer: UInt32 { word(8) }

    /// Asks to be notified of the response that comes behind so many others.
    func setEvent(behind count: UInt32) {
        memory.atomicStore(address(12), responseProducer &+ count &+ 1)
    }

    /// The entries of responses that were not taken yet.
    mutating func takeResponses() -> [[UInt8]] {
        var result: [[UInt8]] = []
        while consumed != responseProducer, result.count < Int(entryCount) {
            result.append(bytes(entry(consumed), entryByteCount))
            consumed &+= 1
        }
        return result
    }

    private func bytes(_ offset: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { memory.read(address(offset + $0), as: UInt8.self) ?? 0 }
    }

    /// All of the ring, as the backend sees it.
    var content: [UInt8] { bytes(0, pages.count * 4096) }

    /// Integers in the order of memory, each of so many bytes.
    static func bytes(_ fields: [(UInt64, Int)]) -> [UInt8] {
        fields.flatMap { value, count in
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
        }
    }

    /// An integer of an entry.
    static func integer<T: FixedWidthInteger>(_ bytes: [UInt8], _ at: Int, as type: T.Type) -> T {
        (0..<MemoryLayout<T>.size).reversed().reduce(0) {
            $0 << 8 | T(truncatingIfNeeded: bytes[at + $1])
        }
    }
}
