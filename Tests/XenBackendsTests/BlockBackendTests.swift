import Disks
import Foundation
import GuestMemory
import Testing
import Vocabulary

@testable import XenBackends

/// The backend of disks against a frontend that is played, and against its misdeeds.
struct BlockBackendTests {
    private typealias Frontend = ScriptedFrontend

    /// An image file of 4 MiB that goes with the test.
    private final class Image {
        let path: String

        init() throws {
            path =
                FileManager.default.temporaryDirectory
                .appendingPathComponent("martlet-block-\(UUID().uuidString).img").path
            var bytes = Data(count: 4 << 20)
            for sector in 0..<(bytes.count / 512) {
                bytes[sector * 512] = UInt8(truncatingIfNeeded: sector)
                bytes[sector * 512 + 1] = UInt8(truncatingIfNeeded: sector >> 8)
            }
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func byte(_ offset: Int) throws -> UInt8 {
            try Data(contentsOf: URL(fileURLWithPath: path))[offset]
        }
    }

    private func frontend(
        _ image: Image, readOnly: Bool = false, features: BlockBackend.Features = .init()
    ) throws -> Frontend {
        var specification = DiskSpecification(path: image.path)
        specification.isReadOnly = readOnly
        return try Frontend(specification, features: features)
    }

    @Test func saysWhatItCan() throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(frontend.ofBackend("state") == "2")
        #expect(frontend.ofBackend("feature-flush-cache") == "1")
        #expect(frontend.ofBackend("feature-persistent") == "1")
        #expect(frontend.ofBackend("feature-max-indirect-segments") == "256")
        #expect(try frontend.connect() == "4")
        #expect(frontend.ofBackend("sectors") == "8192")
        #expect(frontend.ofBackend("sector-size") == "512")
        #expect(frontend.ofBackend("info") == "0")
        try frontend.disk.close()
    }

    @Test(arguments: [
        (false, UInt32(0), BlockProtocol.wide), (true, 0, .wide), (true, 2, .wide),
        (false, 0, .narrow), (true, 2, .narrow),
    ])
    func readsAndWrites(persistent: Bool, order: UInt32, layout: BlockProtocol) throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(
            try frontend.connect(persistent: persistent, order: order, layout: layout) == "4")
        frontend.put(Frontend.request(0, 77, sector: 16, [(20, 0, 7), (21, 2, 3)]))
        frontend.notify()
        #expect(frontend.responses(1) == [[77, 0, 0]])
        #expect(frontend.memory.read(frontend.page(20), as: UInt16.self) == 16)
        #expect(
            frontend.memory.read(frontend.page(20).advanced(by: 7 * 512), as: UInt16.self) == 23)
        #expect(
            frontend.memory.read(frontend.page(21).advanced(by: 2 * 512), as: UInt16.self) == 24)
        #expect(frontend.isInUse(20) == persistent)
        frontend.memory.write(frontend.page(22), Array("written".utf8))
        frontend.put(Frontend.request(1, 78, sector: 100, [(22, 0, 0)]))
        frontend.put(Frontend.request(3, 79, sector: 0))
        frontend.notify()
        #expect(frontend.responses(2).sorted { $0[0] < $1[0] } == [[78, 1, 0], [79, 3, 0]])
        #expect(try image.byte(100 * 512) == UInt8(ascii: "w"))
        // As many as go around the ring twice.
        for number in 0..<UInt64(frontend.ringEntryCount * 2) {
            frontend.put(Frontend.request(0, number, sector: number, [(23, 0, 0)]))
            frontend.notify()
            #expect(frontend.responses(1) == [[Int64(number), 0, 0]])
            #expect(
                frontend.memory.read(frontend.page(23), as: UInt16.self)
                    == (number == 100 ? 0x7277 : UInt16(number)))
        }
        try frontend.disk.close()
    }

    @Test(arguments: [false, true], [BlockProtocol.wide, .narrow])
    func indirectSegments(persistent: Bool, layout: BlockProtocol) throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect(persistent: persistent, layout: layout) == "4")
        let count = 200
        for index in 0..<count {
            let at = frontend.page(30).advanced(by: UInt64(index) * 8)
            frontend.memory.write(at, integer: UInt32(100 + index))
            frontend.memory.write(at.advanced(by: 4), integer: UInt16(0x0700))
        }
        frontend.put(Frontend.indirect(0, 5, sector: 0, count: count, pages: [30]))
        frontend.notify()
        // The response has what was done, not how it was asked for.
        #expect(frontend.responses(1) == [[5, 0, 0]])
        for index in 0..<count {
            #expect(
                frontend.memory.read(frontend.page(UInt32(100 + index)), as: UInt16.self)
                    == UInt16(index * 8))
        }
        #expect(frontend.isInUse(30) == persistent)
        frontend.put(Frontend.indirect(0, 6, sector: 0, count: 257, pages: [30]))
        frontend.put(Frontend.indirect(0, 7, sector: 0, count: 0, pages: [30]))
        frontend.put(Frontend.indirect(6, 8, sector: 0, count: 1, pages: [30]))
        frontend.put(Frontend.indirect(0, 9, sector: 0, count: 1, pages: [9999]))
        frontend.notify()
        #expect(
            frontend.responses(4).sorted { $0[0] < $1[0] } == [
                [6, 0, -1], [7, 0, -1], [8, 6, -2], [9, 0, -1],
            ])
        try frontend.disk.close()
    }

    /// Identifiers of 64 bits that lie across two pages of the ring, too.
    @Test func identifiersComeBackWhole() throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect(order: 4, layout: .narrow) == "4")
        for number in 0..<UInt64(frontend.ringEntryCount) {
            let identifier = 0x0123_4567_0000_0000 | number
            frontend.put(Frontend.request(0, identifier, sector: number, [(23, 0, 0)]))
            frontend.notify()
            #expect(frontend.responses(1) == [[Int64(identifier), 0, 0]])
        }
        try frontend.disk.close()
    }

    /// What a discard gives back is said: of less than a cluster nothing.
    @Test(arguments: [BlockProtocol.wide, .narrow])
    func discards(layout: BlockProtocol) throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(frontend.ofBackend("discard-granularity") == "512")
        #expect(try frontend.connect(layout: layout) == "4")
        frontend.put(Frontend.discard(1, sector: 8, count: 16))
        frontend.notify()
        #expect(frontend.responses(1) == [[1, 5, 0]])
        #expect(try image.byte(7 * 512) == 7 && image.byte(8 * 512) == 0)
        #expect(try image.byte(23 * 512) == 0 && image.byte(24 * 512) == 24)
        try frontend.disk.close()
        let path = image.path + ".qcow2"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try DiskImage.create(path: path, format: .qcow2, byteCount: 4 << 20)
        let other = try Frontend(DiskSpecification(path: path, format: .qcow2))
        #expect(other.ofBackend("discard-granularity") == "65536")
        try other.disk.close()
    }

    @Test func misdeedsAreErrors() throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect() == "4")
        frontend.grant(40, page: 0x100 + 40, flags: 1 | 4)
        frontend.grant(41, page: 1 << 20)
        let bad = [
            // Beyond the end, an overflowing sector, sectors in the wrong order or beyond the page.
            Frontend.request(0, 1, sector: 8192, [(20, 0, 0)]),
            Frontend.request(0, 2, sector: .max, [(20, 0, 7)]),
            Frontend.request(0, 3, sector: 8191, [(20, 0, 1)]),
            Frontend.request(0, 4, sector: 0, [(20, 3, 2)]),
            Frontend.request(0, 5, sector: 0, [(20, 0, 8)]),
            // No segments, a grant that is none, one for reading only, one of no RAM.
            Frontend.request(0, 6, sector: 0),
            Frontend.request(0, 7, sector: 0, [(20, 0, 0), (100_000, 0, 0)]),
            Frontend.request(0, 8, sector: 0, [(40, 0, 0)]),
            Frontend.request(1, 9, sector: 0, [(41, 0, 0)]),
            Frontend.discard(10, sector: 8000, count: 1000),
            Frontend.discard(11, sector: 1, count: .max),
        ]
        for request in bad { frontend.put(request) }
        frontend.notify()
        let answers = frontend.responses(bad.count).sorted { $0[0] < $1[0] }
        #expect(answers.map { $0[0] } == (1...11).map { Int64($0) })
        #expect(answers.allSatisfy { $0[2] == -1 })
        frontend.put(Frontend.request(2, 12, sector: 0, [(20, 0, 0)]))
        frontend.put(Frontend.request(99, 13, sector: 0, [(20, 0, 0)]))
        frontend.put(Frontend.request(1, 14, sector: 0, [(40, 0, 0)]))
        frontend.notify()
        #expect(
            frontend.responses(3).sorted { $0[0] < $1[0] } == [
                [12, 2, -2], [13, 99, -2], [14, 1, 0],
            ])
        #expect(!frontend.isInUse(20) && !frontend.isInUse(40))
        try frontend.disk.close()
    }

    @Test func aBrokenRingIsLeftAlone() throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect() == "4")
        frontend.setProducer(33)
        frontend.notify()
        #expect(frontend.backend.metrics["requests"] == 0)
        frontend.setProducer(.max)
        frontend.notify()
        #expect(frontend.backend.metrics["requests"] == 0)
        try frontend.disk.close()
    }

    @Test func randomRequestsHarmNobody() throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect(persistent: true) == "4")
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3_000 {
            var bytes = (0..<112).map { _ in UInt8.random(in: 0...255, using: &generator) }
            bytes[0] = UInt8.random(in: 0...7, using: &generator)
            bytes[1] = UInt8.random(in: 0...12, using: &generator)
            for index in 18..<24 where Bool.random(using: &generator) { bytes[index] = 0 }
            for index in stride(from: 26, to: 112, by: 8) { bytes[index] = 0 }
            frontend.put(bytes)
            frontend.notify()
            #expect(frontend.responses(1).count == 1)
        }
        try frontend.disk.close()
    }

    @Test func comesBackAfterItsFrontend() throws {
        let image = try Image()
        let frontend = try frontend(image)
        for _ in 0..<3 {
            #expect(try frontend.connect(persistent: true) == "4")
            frontend.put(Frontend.request(0, 1, sector: 3, [(20, 0, 0)]))
            frontend.notify()
            #expect(frontend.responses(1) == [[1, 0, 0]])
            #expect(frontend.isInUse(20) && frontend.isInUse(8))
            try frontend.write("state", "5")
            #expect(frontend.ofBackend("state") == "5")
            try frontend.write("state", "6")
            #expect(frontend.ofBackend("state") == "6")
            #expect(!frontend.isInUse(20) && !frontend.isInUse(8))
            try frontend.write("state", "1")
            #expect(frontend.ofBackend("state") == "2")
        }
        try frontend.disk.close()
    }

    @Test func frontendsThatAskForTooMuchAreRefused() throws {
        let image = try Image()
        for (name, value) in [
            ("multi-queue-num-queues", "99"), ("ring-page-order", "5"), ("protocol", "arm-abi"),
        ] {
            let frontend = try frontend(image)
            try frontend.write("ring-ref", "8")
            try frontend.write("event-channel", String(frontend.port))
            try frontend.write(name, value)
            try frontend.write("state", "3")
            #expect(frontend.ofBackend("state") == "5", "\(name)")
            try frontend.disk.close()
        }
        let frontend = try frontend(image)
        try frontend.write("ring-ref", "100000")
        try frontend.write("event-channel", String(frontend.port))
        try frontend.write("state", "3")
        #expect(frontend.ofBackend("state") == "5")
        try frontend.disk.close()
    }

    @Test func readOnlyDisksSayAndKeepIt() throws {
        let image = try Image()
        let frontend = try frontend(image, readOnly: true)
        #expect(frontend.ofBackend("mode") == "r")
        #expect(try frontend.connect() == "4")
        #expect(frontend.ofBackend("info") == "4")
        frontend.put(Frontend.request(1, 1, sector: 3, [(20, 0, 0)]))
        frontend.notify()
        #expect(frontend.responses(1) == [[1, 1, -1]])
        try frontend.disk.close()
    }

    @Test(arguments: [BlockProtocol.wide, .narrow])
    func stateComesBack(layout: BlockProtocol) throws {
        let image = try Image()
        let frontend = try frontend(image)
        #expect(try frontend.connect(layout: layout) == "4")
        frontend.put(Frontend.request(0, 1, sector: 3, [(20, 0, 0)]))
        frontend.notify()
        #expect(frontend.responses(1) == [[1, 0, 0]])
        let state = frontend.backend.captureState()
        try frontend.backend.restore(state)
        #expect(frontend.backend.captureState() == state)
        frontend.put(Frontend.request(0, 2, sector: 4, [(20, 0, 0)]))
        frontend.notify()
        #expect(frontend.responses(1) == [[2, 0, 0]])
        try frontend.disk.close()
    }
}
