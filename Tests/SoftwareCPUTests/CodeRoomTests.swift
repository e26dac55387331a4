import Testing

@testable import SoftwareCPU

@Suite struct CodeRoomTests {
    /// The fuller a generation is, the fewer blocks are translated; at its end the next begins.
    @Test func fullGenerationsHearFewer() throws {
        func heard(_ share: Double) throws -> (count: Int, isFull: Bool) {
            let translator = try Translator(threshold: 1, byteCount: 64 << 10)
            let capacity = Int(Double(translator.byteCount) / share)
            let arena = CodeArena(
                number: 1, capacity: 4096, byteCapacity: capacity, translator: translator)
            let count = (0..<1280).filter { _ in arena.hears(translator) }.count
            #expect(unsafe (arena.reserve() == nil) == arena.isFull)
            return (count, arena.isFull)
        }
        #expect(try heard(0.3) == (1280, false))
        #expect(try heard(0.7) == (640, false))
        #expect(try heard(0.8) == (160, false))
        #expect(try heard(0.9) == (40, false))
        #expect(try heard(0.98) == (10, false))
        #expect(try heard(1.1) == (10, true))
    }
}
