import GuestMemory
import Interrupts
import Synchronization
import Testing
import Vocabulary
import Xen

@testable import XenBackends

@Suite struct XenConsoleTests {
    /// A further console and a frontend that is played, whose page is that of `reference`.
    private final class Played {
        static let reference: UInt32 = 20
        static let back = "/local/domain/0/backend/console/1/1"
        static let front = "/local/domain/1/device/console/1"

        let guest: ScriptedGuest
        let console: XenConsole
        let arrived = Recorded<[UInt8]>()
        let rooms = Recorded<Bool>()
        let hangUps = Recorded<Bool>()
        var port: UInt32 = 0

        init() throws {
            guest = try ScriptedGuest()
            console = try XenConsole(
                face: guest.face, store: guest.store, number: 1, policy: .inline,
                wire: XenConsole.Wire(
                    transmit: { [arrived] in arrived.append($0) },
                    roomAvailable: { [rooms] in rooms.append(true) },
                    hungUp: { [hangUps] in hangUps.append(true) }))
        }

        func connect() throws {
            guest.memory.write(page, [UInt8](repeating: 0, count: 4096))
            port = try guest.allocatePort()
            try guest.write(Self.front + "/ring-ref", String(Self.reference))
            try guest.write(Self.front + "/port", String(port))
            try guest.write(Self.front + "/state", "3")
        }

        var page: GuestPhysicalAddress { guest.page(Self.reference) }

        private func word(_ offset: UInt64) -> UInt32 {
            guest.memory.read(page.advanced(by: offset), as: UInt32.self) ?? 0
        }

        /// As the frontend reads: in, 1024 bytes, consumer at 3072.
        func read() -> [UInt8] {
            let (consumer, producer) = (word(3072), word(3076))
            var bytes: [UInt8] = []
            for index in 0..<(producer &- consumer) {
                let at = UInt64((consumer &+ index) & 1023)
                bytes += guest.memory.read(page.advanced(by: at), byteCount: 1) ?? []
            }
            guest.memory.write(page.advanced(by: 3072), integer: producer)
            guest.notify(port)
            return bytes
        }

        /// As the frontend writes: out, 2048 bytes from 1024 on, producer at 3084. How many.
        func write(_ bytes: [UInt8]) -> Int {
            let (consumer, producer) = (word(3080), word(3084))
            let count = min(bytes.count, 2048 - Int(producer &- consumer))
            for index in 0..<count {
                let at = 1024 + UInt64((producer &+ UInt32(index)) & 2047)
                guest.memory.write(page.advanced(by: at), [bytes[index]])
            }
            guest.memory.write(page.advanced(by: 3084), integer: producer &+ UInt32(count))
            guest.notify(port)
            return count
        }
    }

    @Test func bytesGoBothWays() throws {
        let played = try Played()
        #expect(played.guest.read(Played.back + "/state") == "2")
        // Before anybody is there they wait.
        #expect(played.console.receive([1, 2, 3]) == 3)
        try played.connect()
        #expect(played.guest.read(Played.back + "/state") == "4")
        #expect(played.read() == [1, 2, 3])
        let text = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var sent = 0
        while sent < text.count { sent += played.write(Array(text[sent...].prefix(3000))) }
        #expect(played.arrived.values.flatMap { $0 } == text)
        var taken = 0
        var got: [UInt8] = []
        while got.count < text.count {
            if taken < text.count { taken += played.console.receive(text[taken...]) }
            got += played.read()
        }
        #expect(got == text)
        #expect(!played.rooms.values.isEmpty)
        #expect(played.console.metrics["bytesSent"] == 100_000)
    }

    /// A frontend that goes away and comes again, as after its domain was suspended.
    @Test func aFrontendComesAgain() throws {
        let played = try Played()
        try played.connect()
        #expect(played.guest.isInUse(Played.reference))
        #expect(played.write([1]) == 1)
        try played.guest.write(Played.front + "/state", "5")
        #expect(!played.guest.isInUse(Played.reference))
        #expect(played.hangUps.values.count == 1)
        // Nobody is there: what the page says is not looked at.
        #expect(played.write([9]) == 1)
        try played.guest.write(Played.front + "/state", "6")
        try played.guest.write(Played.front + "/state", "1")
        try played.connect()
        #expect(played.write([2]) == 1)
        #expect(played.arrived.values.flatMap { $0 } == [1, 2])
    }

    @Test(arguments: ["ring-ref", "port"]) func whatMakesNoSenseIsRefused(node: String) throws {
        let played = try Played()
        for value in ["", "x", "0", "4294967295", "5000"] {
            try played.guest.write(Played.front + "/ring-ref", String(Played.reference))
            try played.guest.write(
                Played.front + "/port", String(try played.guest.allocatePort()))
            try played.guest.write(Played.front + "/" + node, value)
            try played.guest.write(Played.front + "/state", "3")
            #expect(played.guest.read(Played.back + "/state") == "5")
            #expect(played.guest.read(Played.back + "/error") != nil)
            #expect(played.guest.usedReferences == [])
            try played.guest.write(Played.front + "/state", "6")
            try played.guest.write(Played.front + "/state", "1")
        }
        try played.connect()
        #expect(played.guest.read(Played.back + "/state") == "4")
    }

    /// Indices that lie too far apart: nothing is read or written.
    @Test func aBrokenRingIsLeftAlone() throws {
        let played = try Played()
        try played.connect()
        played.guest.memory.write(played.page.advanced(by: 3084), integer: UInt32(2049))
        played.guest.memory.write(played.page.advanced(by: 3076), integer: UInt32(5000))
        played.guest.notify(played.port)
        #expect(played.arrived.values.isEmpty)
        #expect(played.console.receive([UInt8](repeating: 1, count: 10_000)) == 4096)
        #expect(played.console.metrics["bytesReceived"] == 0)
    }

    @Test func aStateGoesOver() throws {
        let played = try Played()
        try played.connect()
        #expect(played.console.receive([UInt8](repeating: 7, count: 3000)) == 3000)
        let state = played.console.captureState()
        try played.console.restore(state)
        #expect(played.console.captureState() == state)
        #expect(played.write([5]) == 1)
        #expect(played.arrived.values.flatMap { $0 } == [5])
        var got: [UInt8] = []
        while got.count < 3000 { got += played.read() }
        #expect(got == [UInt8](repeating: 7, count: 3000))
    }
}
