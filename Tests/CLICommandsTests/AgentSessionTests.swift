import Boot
import Foundation
import Testing

@testable import CLICommands

@Suite struct AgentSessionTests {
    /// A guest that keeps to no credit: what the host holds for it stays bounded, and what it may
    /// say still comes through.
    @Test func aGuestThatFloodsCostsLittleMemory() throws {
        var ends: [Int32] = [0, 0]
        try #require(unsafe pipe(&ends) == 0)
        let session = AgentSession(
            AgentProtocol.Start(arguments: ["true"]), standardOutput: ends[1])
        func frame(_ type: UInt8, _ payload: [UInt8]) {
            let count = UInt16(payload.count)
            let head = [type, UInt8(truncatingIfNeeded: count), UInt8(count >> 8)]
            for byte in head + payload { session.receive([byte]) }
        }
        frame(0x81, [1, 0])
        // Nobody reads the pipe, and the guest takes none of its credit.
        for _ in 0..<100 { frame(0x82, [UInt8](repeating: 0x61, count: 10_000)) }
        for _ in 0..<1000 { frame(0x82, []) }
        for _ in 0..<1000 { frame(0x84, [0, 3]) }
        #expect(session.heldByteCount <= 1 << 17)
        // The guest asks for input for ever.
        for _ in 0..<100 { frame(0x85, [0xff, 0xff, 0xff, 0xff]) }
        let feeder = Thread { session.feed([UInt8](repeating: 0x62, count: 1 << 20)) }
        feeder.start()
        for _ in 0..<200 {
            frame(0x85, [0xff, 0xff, 0xff, 0xff])
            Thread.sleep(forTimeInterval: 0.001)
        }
        #expect(session.heldByteCount <= 1 << 18)
        let end = ends[0]
        let reader = Thread {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while unsafe read(end, &buffer, buffer.count) > 0 {}
        }
        reader.start()
        session.settle()
        #expect(session.exit == .code(3))
        close(ends[1])
    }

    /// What is on its way over a terminal that does not hang up comes whole in the next process.
    @Test func aFrameGoesOnInTheNextProcess() throws {
        let bytes: [UInt8] = [0x81, 2, 0, 2, 0, 0x84, 2, 0, 0, 7]
        for cut in 5...bytes.count {
            let first = AgentSession(AgentProtocol.Start(arguments: ["true"]))
            first.receive(Array(bytes[..<cut]))
            let saved = first.capture(hangsUp: false)
            first.thaw()
            guard cut < bytes.count else {
                #expect(saved == nil, "it has ended")
                continue
            }
            let data = try JSONEncoder().encode(#require(saved))
            let next = AgentSession(AgentProtocol.Start(arguments: ["true"]))
            next.restore(try JSONDecoder().decode(AgentSession.Saved.self, from: data))
            next.receive(Array(bytes[cut...]))
            next.settle()
            #expect(next.exit == .code(7))
            first.settle()
        }
    }

    /// The agent is there and the program has not begun: the program of the process that goes on is begun.
    @Test func aProgramBeginsInTheNextProcess() throws {
        let first = AgentSession(AgentProtocol.Start(arguments: ["old"]))
        first.holdStart {}
        #expect(first.capture(hangsUp: true) == nil)
        first.thaw()
        first.receive([0x81, 2, 0, 2, 0])
        let saved = try #require(first.capture(hangsUp: true))
        #expect(saved.waitsForProgram == true && saved.onItsWay == nil)
        let next = AgentSession(AgentProtocol.Start(arguments: ["new"]))
        next.restore(saved)
        let start = try #require(AgentProtocol.encode(.start(.init(arguments: ["new"]))))
        #expect(next.heldByteCount >= start.count)
    }

    /// A guest that powers off at once after its last word.
    @Test func theExitIsKnownWhenTheGuestHasEnded() {
        for status in 0..<200 as Range<UInt8> {
            let session = AgentSession(AgentProtocol.Start(arguments: ["true"]))
            for byte in [0x84, 2, 0, 0, status] as [UInt8] { session.receive([byte]) }
            session.settle()
            #expect(session.exit == .code(status))
        }
    }
}
