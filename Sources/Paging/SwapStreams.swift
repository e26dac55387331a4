/// Who reads the swap file in order: pages that went together come back together.
///
/// A request for the slot behind the last one of a stream makes that longer, and twice as many are read ahead
/// of the next; any other request begins a stream, and reads nothing ahead.
struct SwapStreams: Sendable {
    private struct Stream: Sendable {
        var next: Int
        var ahead: Int
    }

    static let longest = 127
    private static let count = 8

    private var streams = [Stream](repeating: Stream(next: -1, ahead: 0), count: Self.count)
    private var oldest = 0

    /// How many slots behind this one are to be read with it.
    mutating func ahead(of slot: Int) -> Int {
        if let index = streams.firstIndex(where: { $0.next == slot }) {
            let ahead = min(max(1, streams[index].ahead * 2), Self.longest)
            streams[index] = Stream(next: slot + 1 + ahead, ahead: ahead)
            return ahead
        }
        streams[oldest] = Stream(next: slot + 1, ahead: 0)
        oldest = (oldest + 1) % Self.count
        return 0
    }

    /// Only so many could be read ahead of it.
    mutating func cut(_ slot: Int, wanted: Int, got: Int) {
        guard wanted != got,
            let index = streams.firstIndex(where: { $0.next == slot + 1 + wanted })
        else { return }
        streams[index].next = slot + 1 + got
    }
}
