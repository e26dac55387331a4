import Boot
import Testing

@Suite struct AgentProtocolTests {
    @Test func startHasItsStrings() throws {
        var start = AgentProtocol.Start(arguments: ["ls", "-l"])
        start.environment = ["A=b"]
        start.workingDirectory = "/w"
        start.usesTerminal = true
        start.window = .init(rows: 0x0102, columns: 0x0304)
        start.outputCredit = 0x0a0b_0c0d
        let frame = try #require(AgentProtocol.encode(.start(start)))
        let strings = Array("/w\0ls\0-l\0A=b\0".utf8)
        #expect(
            frame == [
                1, UInt8(13 + strings.count), 0, 1, 2, 1, 4, 3, 0xd, 0xc, 0xb, 0xa, 2, 0, 1, 0,
            ]
                + strings)
    }

    @Test func whatDoesNotFitIsRefused() {
        #expect(AgentProtocol.encode(.start(.init(arguments: []))) == nil)
        #expect(AgentProtocol.encode(.start(.init(arguments: ["a\0b"]))) == nil)
        let long = String(repeating: "x", count: 70000)
        #expect(AgentProtocol.encode(.start(.init(arguments: [long]))) == nil)
        let most = [UInt8](repeating: 1, count: 65535)
        #expect(AgentProtocol.encode(.standardInput(most))?.count == 65538)
        #expect(AgentProtocol.encode(.standardInput(most + [1])) == nil)
    }

    @Test func smallFrames() {
        #expect(AgentProtocol.encode(.endOfInput) == [3, 0, 0])
        #expect(AgentProtocol.encode(.signal(15)) == [5, 1, 0, 15])
        #expect(AgentProtocol.encode(.credit(0x1_0000)) == [6, 4, 0, 0, 0, 1, 0])
        let identity = AgentProtocol.Identity(
            seed: [UInt8](1...32), wallClock: 0x0102_0304_0506_0708,
            hardwareAddresses: [[0x0a, 2, 3, 4, 5, 6]], name: "ab")
        #expect(
            AgentProtocol.encode(.identity(identity))
                == [8, 49, 0] + [UInt8](1...32) + [8, 7, 6, 5, 4, 3, 2, 1, 1, 0x0a, 2, 3, 4, 5, 6]
                + Array("ab".utf8))
        var odd = identity
        odd.seed = []
        #expect(AgentProtocol.encode(.identity(odd)) == nil)
        #expect(
            AgentProtocol.encode(.rejoined(received: 0x1_0000_0002, next: 3))
                == [7, 16, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        #expect(
            AgentProtocol.encode(.windowSize(.init(rows: 1, columns: 258)))
                == [4, 4, 0, 1, 0, 2, 1])
    }

    @Test(arguments: [1, 2, 3, 5, 100]) func framesComeInAnyPieces(size: Int) {
        let stream: [UInt8] = [
            0x81, 2, 0, 1, 0, 0x82, 3, 0, 7, 8, 9, 0x83, 0, 0, 0x85, 4, 0, 1, 2, 0, 0, 0x77, 1, 0,
            5,
            0x84, 2, 0, 0, 42, 0x84, 2, 0, 1, 9, 0x84, 1, 0, 0, 0x86, 8, 0, 3, 0, 0, 0, 0, 1, 0, 0,
            0x82,
        ]
        var decoder = AgentProtocol.Decoder()
        var frames: [AgentProtocol.GuestFrame] = []
        for start in stride(from: 0, to: stream.count, by: size) {
            frames += decoder.decode(stream[start..<min(start + size, stream.count)])
        }
        #expect(
            frames == [
                .ready(version: 1), .standardOutput([7, 8, 9]), .standardError([]), .credit(513),
                .unknown(type: 0x77, [5]), .exit(.code(42)), .exit(.signal(9)),
                .unknown(type: 0x84, [0]), .rejoin(0x100_0000_0003),
            ])
        #expect(!decoder.isAtFrameBoundary)
        decoder.restart()
        #expect(decoder.isAtFrameBoundary)
    }

    /// The rest of a frame, and bytes that begin as a REJOIN does.
    @Test(arguments: [1, 4, 100]) func whatIsBeforeARejoinIsLeftOut(size: Int) {
        let stream: [UInt8] = [
            0x31, 0x35, 0x36, 0x82, 0x86, 8, 0, 1, 0, 0, 0, 0, 0x86, 8, 0, 5, 1, 0, 0, 0, 0, 0, 0,
            0x82, 1, 0, 9,
        ]
        var decoder = AgentProtocol.Decoder()
        var frames: [AgentProtocol.GuestFrame] = []
        for start in stride(from: 0, to: stream.count, by: size) {
            let piece = stream[start..<min(start + size, stream.count)]
            frames += frames.isEmpty ? decoder.decodeFromRejoin(piece) : decoder.decode(piece)
        }
        #expect(frames == [.rejoin(0x105), .standardOutput([9])])
        #expect(decoder.isAtFrameBoundary)
    }

    @Test func statusesAreAShells() {
        #expect(AgentProtocol.Exit.code(3).shellStatus == 3)
        #expect(AgentProtocol.Exit.signal(9).shellStatus == 137)
    }
}
