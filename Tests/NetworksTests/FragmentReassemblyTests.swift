import Testing

@testable import Networks

struct FragmentReassemblyTests {
    private static func fragment(
        _ body: [UInt8], _ range: Range<Int>, isLast: Bool, identification: UInt16 = 1
    ) -> [UInt8] {
        Frames.ethernet(
            0x0800,
            Frames.ipv4(
                17, from: 1, to: 2, identification: identification,
                flags: UInt16(range.lowerBound / 8) | (isLast ? 0 : 0x2000), Array(body[range])))
    }

    private static func add(
        _ reassembly: inout FragmentReassembly, _ frame: [UInt8], now: UInt64 = 0
    ) -> [UInt8]? {
        guard let found = headers(frame) else { return nil }
        return unsafe frame.withUnsafeBytes { unsafe reassembly.add($0, found, now: now) }
    }

    @Test func anyOrderMakesTheDatagram() {
        var random = SeededGenerator(30)
        var reassembly = FragmentReassembly()
        for count in [9, 3000, 65_515] {
            for _ in 0..<20 {
                let body = random.bytes(count)
                let step = max(8, (count / Int.random(in: 1...40, using: &random)) & ~7)
                let ranges = stride(from: 0, to: count, by: step).map {
                    $0..<min($0 + step, count)
                }
                var whole: [UInt8]?
                for (index, range) in ranges.shuffled(using: &random).enumerated() {
                    #expect(whole == nil, "whole after \(index) of \(ranges.count)")
                    if ranges.count == 1 {
                        // A fragment that is all is none: there is nothing to put together.
                        whole = Frames.ethernet(
                            0x0800, Frames.ipv4(17, from: 1, to: 2, flags: 0, body))
                    } else {
                        whole = Self.add(
                            &reassembly,
                            Self.fragment(body, range, isLast: range.upperBound == count))
                    }
                }
                #expect(whole.map { Array($0[34...]) } == body)
                #expect(whole.flatMap(headers)?.isFragment == false)
                #expect(whole.map { naiveSum(Array($0[14..<34])) } == 0xffff)
                #expect(reassembly.count == 0)
            }
        }
    }

    @Test func nonsenseIsDropped() {
        let body = [UInt8](repeating: 1, count: 70_000)
        var reassembly = FragmentReassembly()
        func add(_ range: Range<Int>, _ isLast: Bool) -> [UInt8]? {
            Self.add(&reassembly, Self.fragment(body, range, isLast: isLast))
        }
        // Beyond the largest datagram; no multiple of eight.
        #expect(add(65_504..<65_528, true) == nil && reassembly.count == 0)
        #expect(add(0..<9, false) == nil && reassembly.count == 0)
        // Overlaps end the datagram.
        #expect(add(0..<16, false) == nil && reassembly.count == 1)
        #expect(add(8..<24, false) == nil && reassembly.count == 0)
        #expect(add(16..<24, true) == nil)
        // Behind the end; another end; an end before what came.
        #expect(add(24..<32, false) == nil && reassembly.count == 0)
        #expect(add(16..<24, true) == nil)
        #expect(add(24..<30, true) == nil && reassembly.count == 0)
        #expect(add(80..<88, false) == nil)
        #expect(add(16..<24, true) == nil && reassembly.count == 0)
    }

    @Test func memoryIsBounded() {
        let body = [UInt8](repeating: 1, count: 60_000)
        var reassembly = FragmentReassembly()
        for identification in 0..<200 as Range<UInt16> {
            _ = Self.add(
                &reassembly,
                Self.fragment(body, 0..<8, isLast: false, identification: identification),
                now: UInt64(identification))
        }
        #expect(reassembly.count == FragmentReassembly.datagramLimit)
        // The youngest is still there, the oldest is not.
        #expect(
            Self.add(
                &reassembly, Self.fragment(body, 8..<16, isLast: true, identification: 199),
                now: 200)
                != nil)
        #expect(
            Self.add(
                &reassembly, Self.fragment(body, 8..<16, isLast: true, identification: 0), now: 200)
                == nil)
        // What comes too late begins anew.
        _ = Self.add(
            &reassembly, Self.fragment(body, 0..<8, isLast: false, identification: 500), now: 0)
        #expect(
            Self.add(
                &reassembly, Self.fragment(body, 8..<16, isLast: true, identification: 500),
                now: 31_000_000_000) == nil)
        var scattered = FragmentReassembly()
        for index in 0..<1000 {
            _ = Self.add(
                &scattered, Self.fragment(body, index * 16..<index * 16 + 8, isLast: false), now: 0)
        }
        #expect(scattered.count <= 1)
    }
}
