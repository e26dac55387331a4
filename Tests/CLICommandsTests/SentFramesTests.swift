import Foundation
import Testing

@testable import CLICommands

@Suite struct SentFramesTests {
    @Test func framesAreKeptByNumber() {
        var sent = SentFrames()
        sent.append([1, 1])
        sent.prepend([0])
        sent.append([2])
        #expect(sent.bytes(from: 0) == [0, 1, 1, 2])
        #expect(sent.bytes(from: 1) == [1, 1, 2])
        #expect(sent.bytes(from: 3) == [])
        #expect(sent.bytes(from: .max) == [])
        #expect(sent.byteCount == 4)
        #expect(sent.next(from: 2) == 2 && sent.next(from: .max) == 3)
    }

    /// What cannot be on its way any more is forgotten, and the numbers stay.
    @Test func oldFramesAreForgotten() {
        var sent = SentFrames()
        for number in 0..<1000 {
            sent.append([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1000))
            #expect(sent.byteCount <= SentFrames.byteCapacity + 1000)
        }
        #expect(sent.bytes(from: 999) == [UInt8](repeating: 231, count: 1000))
        #expect(sent.bytes(from: 998).count == 2000)
        #expect(sent.next(from: 999) == 999 && (800..<900).contains(sent.next(from: 0)))
        let kept = sent.bytes(from: 0)
        #expect(kept.count == sent.byteCount && kept.count >= SentFrames.byteCapacity - 1000)
    }

    /// A frame that is larger than all that is kept is kept.
    @Test func oneFrameIsAlwaysKept() {
        var sent = SentFrames()
        sent.append([1])
        sent.append([UInt8](repeating: 2, count: SentFrames.byteCapacity * 2))
        #expect(sent.bytes(from: 1).count == SentFrames.byteCapacity * 2)
        #expect(sent.bytes(from: 0).count == SentFrames.byteCapacity * 2)
    }

    @Test func theyAreReadAsTheyWereWritten() throws {
        var sent = SentFrames()
        for count in [3, 0, 700, 1] {
            sent.append([UInt8](repeating: UInt8(count & 0xff), count: count))
        }
        let data = try JSONEncoder().encode(sent)
        let read = try JSONDecoder().decode(SentFrames.self, from: data)
        #expect(read.byteCount == sent.byteCount && read.bytes(from: 1) == sent.bytes(from: 1))
        #expect(read.next(from: 9) == sent.next(from: 9))
        let old = Data(#"{"frames":[[1,2],[3]],"first":5,"byteCount":3}"#.utf8)
        #expect(try JSONDecoder().decode(SentFrames.self, from: old).bytes(from: 6) == [3])
        let odd = Data(#"{"first":0,"counts":[4],"bytes":"AQI="}"#.utf8)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(SentFrames.self, from: odd)
        }
    }
}
