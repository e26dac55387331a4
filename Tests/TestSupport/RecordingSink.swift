public import Interrupts
internal import Synchronization
public import Vocabulary

/// Remembers what devices say on their interrupt lines.
public final class RecordingSink: InterruptSink, Sendable {
    private struct Record {
        var levels: [UInt32: Bool] = [:]
        var rises: [UInt32: Int] = [:]
        var messages: [(UInt64, UInt32)] = []
    }
    private let record = Mutex(Record())

    public init() {}

    public func setLine(_ line: UInt32, asserted: Bool, since event: Instant?) {
        record.withLock { record in
            if asserted, record.levels[line] != true { record.rises[line, default: 0] += 1 }
            record.levels[line] = asserted
        }
    }

    public func send(messageAddress address: UInt64, data: UInt32) {
        record.withLock { $0.messages.append((address, data)) }
    }

    /// The level of a line now; low if nobody has set it.
    public func isAsserted(_ line: UInt32) -> Bool { record.withLock { $0.levels[line] ?? false } }

    /// How often the line has gone from low to high.
    public func riseCount(_ line: UInt32) -> Int { record.withLock { $0.rises[line] ?? 0 } }

    /// Address and data of the messages, oldest first.
    public var messages: [(UInt64, UInt32)] { record.withLock { $0.messages } }
}
