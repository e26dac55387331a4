import Testing
import XenStore

/// Messages as bytes, and what a hostile peer sends in their place.
@Suite struct WireTests {
    @Test func aHeaderIsFourLittleEndianWords() {
        let message = StoreMessage(
            .write, requestID: 0x0102_0304, transactionID: 0xA0B0_C0D0, strings: ["/a", "b"])
        #expect(
            message.wireBytes == [
                11, 0, 0, 0, 4, 3, 2, 1, 0xD0, 0xC0, 0xB0, 0xA0, 5, 0, 0, 0, 0x2F, 0x61, 0, 0x62,
                0,
            ])
        #expect(message.byteCount == 21)
        #expect(message.strings == ["/a", "b"])
    }

    @Test func whatNoZeroByteEndsIsNoString() {
        #expect(StoreMessage(.read, payload: Bench.bytes("a||b|c")).strings == ["a", "", "b"])
        #expect(StoreMessage(.read, payload: []).strings == [])
        #expect(StoreMessage(.read, payload: [1, 2]).strings == [])
    }

    @Test(arguments: [1, 2, 3, 7, 16, 17, 4096, 100_000])
    func messagesComeInPiecesOfAnyLength(piece: Int) throws {
        var dice = Dice(state: 1)
        let messages = (0..<40).map { number in
            let length = [0, 1, 15, 16, 300, 4096][number % 6]
            return StoreMessage(
                StoreMessageKind(rawValue: UInt32(number)),
                requestID: .random(in: 0...9, using: &dice),
                transactionID: UInt32(number) << 20,
                payload: (0..<length).map { _ in .random(in: 0...255, using: &dice) })
        }
        let stream = messages.flatMap(\.wireBytes)
        var decoder = StoreMessageDecoder()
        var decoded: [StoreMessage] = []
        for start in stride(from: 0, to: stream.count, by: piece) {
            var rest = stream[start..<min(start + piece, stream.count)]
            while let message = try decoder.next(from: &rest) { decoded.append(message) }
            #expect(rest.isEmpty)
        }
        #expect(decoded == messages)
        #expect(decoder.pendingByteCount == 0)
    }

    @Test func aPayloadThatIsTooLongIsAViolationFromThenOn() throws {
        var decoder = StoreMessageDecoder()
        var good = StoreMessage(.read, payload: Array(repeating: 1, count: 4096)).wireBytes[...]
        #expect(try decoder.next(from: &good)?.payload.count == 4096)
        for length in [UInt32(4097), 0x8000_0000, .max] {
            var header = Array(StoreMessage(.read).wireBytes.prefix(12))
            header += (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
            var fresh = decoder
            var bytes = header[...]
            #expect(throws: StoreProtocolViolation.payloadTooLong) {
                try fresh.next(from: &bytes)
            }
            var more = StoreMessage(.read).wireBytes[...]
            #expect(throws: StoreProtocolViolation.payloadTooLong) { try fresh.next(from: &more) }
            #expect(fresh.pendingByteCount == 0)
        }
    }

    @Test func randomBytesNeverTakeMoreThanOneMessage() {
        var dice = Dice(state: 2)
        for _ in 0..<2000 {
            var decoder = StoreMessageDecoder()
            for _ in 0..<6 {
                // The high bytes of the length are often 0, so that some get through.
                var bytes = (0..<Int.random(in: 0...64, using: &dice)).map { index in
                    index % 16 > 12 ? 0 : UInt8.random(in: 0...255, using: &dice)
                }[...]
                while let message = try? decoder.next(from: &bytes) {
                    #expect(message.payload.count <= 4096)
                }
                #expect(decoder.pendingByteCount <= 4112)
            }
        }
    }

    @Test func outputIsTakenByTheByte() throws {
        var bench = Bench()
        for path in ["/a", "/tool", "no way"] {
            let request = StoreMessage(.write, requestID: 7, strings: [path, "x"])
            bench.service.handle(request, from: bench.tool)
        }
        var bytes: [UInt8] = []
        while bench.service.hasOutput(bench.tool) {
            let piece = bench.service.takeOutput(bench.tool, limit: 3)
            #expect((1...3).contains(piece.count))
            bytes += piece
        }
        #expect(bench.service.takeOutput(bench.tool, limit: 3) == [])
        var rest = bytes[...]
        var decoder = StoreMessageDecoder()
        var payloads: [String] = []
        while let message = try decoder.next(from: &rest) {
            payloads.append(Bench.text(message.payload))
        }
        #expect(payloads == ["OK|", "OK|", "EINVAL|"])
    }

    @Test func aGuestThatViolatesTheProtocolIsIgnored() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        bench.ask(.watch, "/tool|t|", as: guest)
        var header = StoreMessage(.read).wireBytes
        header[14] = 1
        let receipt = bench.service.receive(header + [1, 2, 3], from: guest)
        #expect(receipt.violation == .payloadTooLong)
        #expect(!bench.service.wantsInput(guest))
        #expect(!bench.service.hasOutput(guest))
        let more = bench.service.receive(StoreMessage(.read).wireBytes, from: guest)
        #expect(more.consumedByteCount == 0)
    }

    /// Random requests of a guest: nothing traps, the accounts stay right, each has one reply.
    @Test func randomRequestsOfAGuest() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        var dice = Dice(state: 3)
        let words = [
            "", "/", "a", "a/b", "/local/domain/1", "/local/domain/1/a", "//", "a/",
            "@releaseDomain",
            "T", "F", "n1", "r2", "b1", "0", "1", "99999999999", "-1", "1\u{E9}", "print", "token",
        ]
        for number in 0..<20_000 {
            let count = Int.random(in: 0...4, using: &dice)
            var payload = (0..<count).map { _ in words.randomElement(using: &dice) ?? "" }
                .joined(separator: "|")
            if Bool.random(using: &dice) { payload += "|" }
            let kind = StoreMessageKind(rawValue: .random(in: 0...28, using: &dice))
            let transaction: UInt32 = [0, 0, 0, 1, 2, 3, .max].randomElement(using: &dice) ?? 0
            bench.service.handle(
                StoreMessage(
                    kind, requestID: UInt32(number), transactionID: transaction,
                    payload: Bench.bytes(payload)), from: guest)
            let replies = bench.service.takeMessages(guest).filter { $0.kind != .watchEvent }
            #expect(replies.count == 1 && replies.first?.requestID == UInt32(number))
            #expect(replies.allSatisfy { $0.payload.count <= 4096 })
        }
        #expect(bench.service.isConsistent)
        #expect(bench.service.counters.refusals < bench.service.counters.requests)
    }
}
