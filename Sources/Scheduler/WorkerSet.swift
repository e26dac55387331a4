/// A set of workers, by their numbers.
struct WorkerSet: Sendable, Equatable {
    private var words: [UInt64] = []

    init(_ numbers: some Sequence<Int>) {
        for number in numbers where number >= 0 {
            while words.count <= number >> 6 { words.append(0) }
            words[number >> 6] |= 1 << UInt64(number & 63)
        }
    }

    func contains(_ number: Int) -> Bool {
        number >= 0 && number >> 6 < words.count
            && words[number >> 6] & 1 << UInt64(number & 63) != 0
    }
}
