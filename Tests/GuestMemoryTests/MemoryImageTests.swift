import Glibc
import TestSupport
import Testing
import Vocabulary

@testable import GuestMemory

/// Memory that several machines share until one writes it.
@Suite struct MemoryImageTests {
    /// A PC's low and high memory, so that a range of the memory file may lie in two regions.
    private static let regions = [
        MemoryRegion(start: .init(0), byteCount: 1 << 20 | 0x3000),
        MemoryRegion(start: .init(16 << 20), byteCount: 24 << 20),
    ]

    private static func made() throws -> GuestMemory { try GuestMemory(regions: regions) }

    private static func word(_ memory: GuestMemory, _ address: UInt64) throws -> UInt64 {
        try #require(memory.read(.init(address), as: UInt64.self))
    }

    @Test func whoSharesSeesWhatWasAndNothingOfWhatIsWrittenLater() throws {
        let parent = try Self.made()
        #expect(parent.write(.init(0x1000), integer: UInt64(11)))
        #expect(parent.write(.init(30 << 20), integer: UInt64(22)))
        let image = try parent.share()
        let one = try GuestMemory(regions: Self.regions, image: image)
        let two = try GuestMemory(regions: Self.regions, image: image)
        #expect(try Self.word(one, 0x1000) == 11)
        #expect(one.write(.init(0x1000), integer: UInt64(12)))
        #expect(parent.write(.init(0x1000), integer: UInt64(13)))
        #expect(one.write(.init(20 << 20), integer: UInt64(14)))
        #expect(parent.write(.init(30 << 20), integer: UInt64(23)))
        #expect(try Self.word(two, 0x1000) == 11)
        #expect(try Self.word(two, 30 << 20) == 22)
        #expect(try Self.word(two, 20 << 20) == 0)
        #expect(try Self.word(one, 0x1000) == 12)
        #expect(try Self.word(one, 30 << 20) == 22)
        #expect(try Self.word(parent, 0x1000) == 13)
        #expect(try Self.word(parent, 20 << 20) == 0)
        // Pages of its own, none of which another has.
        #expect(two.residentByteCount <= 2 << 12)
        #expect(one.residentByteCount >= 2 << 12)
    }

    @Test func nobodyWritesAnImage() throws {
        let parent = try Self.made()
        #expect(parent.write(.init(0x1000), integer: UInt64(11)))
        let image = try parent.share()
        var byte: UInt8 = 1
        #expect(unsafe pwrite(image.descriptors[0], &byte, 1, 0) == -1)
        #expect(ftruncate(image.descriptors[0], 0) == -1)
    }

    /// Generations of a memory and of memories made of it, against a model.
    @Test(arguments: [UInt64(1), 2, 3, 4]) func everyGenerationKeepsItsBytes(seed: UInt64) throws {
        var chance = SplitMix64(seed: seed)
        let addresses = Self.regions.flatMap { region in
            stride(
                from: region.start.rawValue, to: region.start.rawValue + region.byteCount,
                by: 4096)
        }
        var alive: [(GuestMemory, [UInt64: UInt64])] = [(try Self.made(), [:])]
        for generation in 0..<24 {
            for index in alive.indices {
                for _ in 0..<Int(chance.next() % 200) {
                    let address =
                        addresses[Int(chance.next() % UInt64(addresses.count))]
                        + chance.next() % 512 * 8
                    let value = chance.next() % 4 == 0 ? 0 : chance.next()
                    #expect(alive[index].0.write(.init(address), integer: value))
                    alive[index].1[address] = value
                }
            }
            let index = Int(chance.next() % UInt64(alive.count))
            let image = try alive[index].0.share()
            let made = try GuestMemory(regions: Self.regions, image: image)
            alive.append((made, alive[index].1))
            if alive.count > 6 { alive.remove(at: Int(chance.next() % 6)) }
            for (memory, model) in alive {
                let isRight = try model.allSatisfy { try Self.word(memory, $0) == $1 }
                #expect(isRight, "generation \(generation)")
            }
        }
        for (memory, model) in alive {
            // What a snapshot would have of it.
            var seen: [UInt64: UInt64] = [:]
            var next: UInt64 = 0
            let extents = MemoryExtents(memory)
            while let data = extents.next(from: next) {
                var bytes = [UInt8](repeating: 0, count: Int(data.upperBound - data.lowerBound))
                let isThere = unsafe bytes.withUnsafeMutableBytes {
                    unsafe memory.copy(fromFile: data.lowerBound, into: $0)
                }
                #expect(isThere)
                for place in stride(from: 0, to: bytes.count, by: 8) {
                    let word = unsafe bytes.withUnsafeBytes {
                        unsafe $0.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                    }
                    if word != 0 { seen[data.lowerBound + UInt64(place)] = word }
                }
                next = data.upperBound
            }
            var expected: [UInt64: UInt64] = [:]
            for (address, value) in model where value != 0 {
                expected[try #require(memory.fileOffset(of: .init(address)))] = value
            }
            #expect(seen == expected)
        }
    }

    @Test func runsThatMakeNoSenseAreRefused() throws {
        let parent = try Self.made()
        #expect(parent.write(.init(0x1000), integer: UInt64(11)))
        let image = try parent.share()
        let good = image.runs[0]
        func isRefused(_ change: (inout MemoryImage.Run) -> Void) -> Bool {
            var run = good
            change(&run)
            let copy = fcntl(image.descriptors[0], F_DUPFD_CLOEXEC, 3)
            return
                (try? MemoryImage(
                    memoryByteCount: image.memoryByteCount, runs: [run], owning: [copy])) == nil
        }
        #expect(!isRefused { _ in })
        #expect(isRefused { $0.memory += 1 })
        #expect(isRefused { $0.memory = image.memoryByteCount })
        #expect(isRefused { $0.memory = .max - 4095 })
        #expect(isRefused { $0.byteCount = 0 })
        #expect(isRefused { $0.byteCount = 1 << 63 })
        #expect(isRefused { $0.place = 1 << 49 })
        #expect(isRefused { $0.place = .max - 4095 })
        #expect(isRefused { $0.file = 1 })
        #expect(isRefused { $0.file = -1 })
        #expect(throws: XError.self) {
            try GuestMemory(byteCount: 64 << 20, image: image)
        }
    }
}

extension GuestMemory {
    fileprivate convenience init(byteCount: UInt64, image: MemoryImage) throws(XError) {
        try self.init(regions: MemoryRegion.pc(byteCount: byteCount), image: image)
    }
}
