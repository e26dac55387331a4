import GuestMemory
import Testing
import Vocabulary

@testable import Xen

/// Rings of bytes against a list of bytes.
struct ByteRingTests {
    private let memory: GuestMemory
    private let ring: ByteRing

    init() throws {
        memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 1 << 20)])
        ring = ByteRing(
            memory, page: GuestPhysicalAddress(0x2000), data: 0, byteCount: 1024, indices: 2048)
    }

    @Test func bytesComeOutAsTheyWentIn() {
        var generator = SystemRandomNumberGenerator()
        var model: [UInt8] = []
        // Indices that wrap within the test.
        for offset in [UInt64(2048), 2052] {
            memory.write(GuestPhysicalAddress(0x2000 + offset), integer: UInt32.max - 700)
        }
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...600, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let taken = ring.write(bytes[...])
            #expect(taken == min(bytes.count, 1024 - model.count))
            model += bytes.prefix(taken)
            #expect(ring.count == model.count && ring.room == 1024 - model.count)
            let limit = Int.random(in: 0...700, using: &generator)
            let read = ring.read(limit: limit)
            #expect(read == Array(model.prefix(limit)))
            model.removeFirst(read.count)
        }
    }

    @Test func brokenIndicesAreNotUsed() {
        memory.write(GuestPhysicalAddress(0x2000 + 2052), integer: UInt32(1025))
        #expect(ring.isBroken)
        #expect(ring.read().isEmpty)
        #expect(ring.write([1, 2, 3]) == 0)
        #expect(ring.room == 0 && ring.count == 0)
    }
}
