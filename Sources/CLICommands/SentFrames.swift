import Foundation

/// The last frames that were sent over a channel whose bytes may be lost: as many as can be on their way.
struct SentFrames: Sendable {
    /// Bytes that are kept at most, beyond one frame: more than a guest's terminal holds.
    static let byteCapacity = 128 << 10

    private var frames: [[UInt8]] = []
    /// The number of the first of `frames`.
    private var first: UInt64 = 0
    private(set) var byteCount = 0

    mutating func append(_ frame: [UInt8]) {
        frames.append(frame)
        byteCount += frame.count
        var count = 0
        while byteCount > Self.byteCapacity, count < frames.count - 1 {
            byteCount -= frames[count].count
            count += 1
        }
        frames.removeFirst(count)
        first &+= UInt64(count)
    }

    /// Puts one before those that wait to be sent. Only while none was sent.
    mutating func prepend(_ frame: [UInt8]) {
        frames.insert(frame, at: 0)
        byteCount += frame.count
    }

    /// The number of the first that is kept from a number on.
    func next(from number: UInt64) -> UInt64 {
        min(max(number, first), first &+ UInt64(frames.count))
    }

    /// All from a number on, as far as they are kept.
    func bytes(from number: UInt64) -> [UInt8] {
        let skipped = number > first ? Int(clamping: number - first) : 0
        return frames.dropFirst(skipped).flatMap { $0 }
    }
}

// The frames as one text: as lists of numbers they took longer to read than all else of a suspended machine.
extension SentFrames: Codable {
    private enum CodingKeys: String, CodingKey {
        case first, counts, bytes
        /// Lists of numbers, of older files.
        case frames
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        first = try container.decode(UInt64.self, forKey: .first)
        if let counts = try container.decodeIfPresent([Int].self, forKey: .counts) {
            var rest = try container.decode(Data.self, forKey: .bytes)[...]
            for count in counts {
                guard count >= 0, count <= rest.count else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .counts, in: container,
                        debugDescription: "the frames have fewer bytes than they say")
                }
                frames.append([UInt8](rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
        } else {
            frames = try container.decode([[UInt8]].self, forKey: .frames)
        }
        byteCount = frames.reduce(0) { $0 + $1.count }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(first, forKey: .first)
        try container.encode(frames.map(\.count), forKey: .counts)
        try container.encode(Data(frames.flatMap { $0 }), forKey: .bytes)
    }
}
