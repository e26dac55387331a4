/// What waits for one client to take it.
struct StoreOutput: Sendable {
    /// The request of a domain that a message comes from; it is outstanding until all are taken.
    struct Origin: Hashable, Sendable {
        var connection: StoreConnectionID
        var request: UInt64
    }

    struct Item: Sendable {
        var message: StoreMessage
        var origin: Origin?
        /// How many times `dropStaleEvents` has found it here.
        var age = 0
    }

    private(set) var items: [Item] = []
    /// Those before are taken.
    private var head = 0
    /// Bytes of the first that are taken.
    private(set) var takenByteCount = 0
    /// Payloads of the events that wait, in order to send none twice.
    private var events: Set<[UInt8]> = []
    /// Of all messages that wait.
    private(set) var byteCount = 0

    var isEmpty: Bool { head == items.count }
    var waiting: ArraySlice<Item> { items[head...] }

    mutating func append(_ message: StoreMessage, origin: Origin?, age: Int = 0) {
        items.append(Item(message: message, origin: origin, age: age))
        byteCount += message.byteCount
        if message.kind == .watchEvent { events.insert(message.payload) }
    }

    /// Whether the same event waits already. Special events are counted by who gets them and never
    /// left out.
    func contains(event payload: [UInt8]) -> Bool {
        payload.first != UInt8(ascii: "@") && events.contains(payload)
    }

    private mutating func removeFirst() -> Item {
        let item = items[head]
        head += 1
        takenByteCount = 0
        forget(item)
        if head == items.count {
            items.removeAll()
            head = 0
        } else if head >= 64, head * 2 > items.count {
            items.removeSubrange(..<head)
            head = 0
        }
        return item
    }

    private mutating func forget(_ item: Item) {
        byteCount -= item.message.byteCount
        if item.message.kind == .watchEvent { events.remove(item.message.payload) }
    }

    /// Up to `limit` bytes as they are sent; the next call goes on there.
    mutating func takeBytes(_ limit: Int) -> (bytes: [UInt8], done: [Origin]) {
        var bytes: [UInt8] = []
        var done: [Origin] = []
        while !isEmpty, bytes.count < limit {
            let wire = items[head].message.wireBytes
            let piece = wire.dropFirst(takenByteCount).prefix(limit - bytes.count)
            bytes.append(contentsOf: piece)
            takenByteCount += piece.count
            guard takenByteCount >= wire.count else { break }
            if let origin = removeFirst().origin { done.append(origin) }
        }
        return (bytes, done)
    }

    /// Everything, as messages.
    mutating func takeMessages() -> (messages: [StoreMessage], done: [Origin]) {
        let taken = Array(waiting)
        removeAll()
        return (taken.map(\.message), taken.compactMap(\.origin))
    }

    /// Takes away the events that an earlier call has already found here, unless they are being sent.
    mutating func dropStaleEvents() -> (count: Int, done: [Origin]) {
        var kept: [Item] = []
        var done: [Origin] = []
        var count = 0
        for (index, item) in waiting.enumerated() {
            let isBeingSent = index == 0 && takenByteCount > 0
            if item.message.kind == .watchEvent, item.age > 0, !isBeingSent {
                forget(item)
                count += 1
                if let origin = item.origin { done.append(origin) }
            } else {
                var older = item
                older.age += 1
                kept.append(older)
            }
        }
        items = kept
        head = 0
        return (count, done)
    }

    @discardableResult
    mutating func removeAll() -> [Origin] {
        let origins = waiting.compactMap(\.origin)
        self = StoreOutput()
        return origins
    }

    /// For a state that is taken back.
    mutating func markTaken(_ byteCount: Int) {
        guard let first = waiting.first else { return }
        takenByteCount = max(0, min(byteCount, first.message.byteCount - 1))
    }
}
