internal import Vocabulary

/// One watch of one client.
struct StoreWatch: Sendable {
    let connection: StoreConnectionID
    let path: StorePath
    /// Any bytes but zero.
    let token: [UInt8]
    /// Levels below `path` that it hears of; nil: all.
    let depth: Int?
    /// How many bytes of an event's path are left out; not 0 if it was set with a relative path.
    let prefixByteCount: Int
    /// In the order they were set.
    let serial: UInt64

    /// What counts for the memory quota.
    var byteCount: Int { path.text.utf8.count + token.count }
}

/// The watches of all clients, by path.
struct StoreWatches: Sendable {
    /// What has happened at a path, for the watches to match.
    enum Match: Sendable {
        case exact
        case subtree
        /// A special event, told with the domain's number.
        case specialOfDomain
        /// A special event, told without it.
        case special
    }

    private var byPath: [StorePath: [StoreWatch]] = [:]
    /// How many a client has at each path.
    private var paths: [StoreConnectionID: [StorePath: Int]] = [:]
    private var byteCounts: [StoreConnectionID: Int] = [:]
    private var counts: [StoreConnectionID: Int] = [:]
    private var nextSerial: UInt64 = 0

    func count(of connection: StoreConnectionID) -> Int { counts[connection] ?? 0 }
    func byteCount(of connection: StoreConnectionID) -> Int { byteCounts[connection] ?? 0 }

    func has(_ connection: StoreConnectionID, _ path: StorePath, _ token: [UInt8]) -> Bool {
        byPath[path]?.contains { $0.connection == connection && $0.token == token } ?? false
    }

    mutating func add(
        _ connection: StoreConnectionID, _ path: StorePath, _ token: [UInt8], depth: Int?,
        prefixByteCount: Int
    ) -> StoreWatch {
        let watch = StoreWatch(
            connection: connection, path: path, token: token, depth: depth,
            prefixByteCount: prefixByteCount, serial: nextSerial)
        nextSerial &+= 1
        byPath[path, default: []].append(watch)
        paths[connection, default: [:]][path, default: 0] += 1
        counts[connection, default: 0] += 1
        byteCounts[connection, default: 0] += watch.byteCount
        return watch
    }

    /// False: there is no such watch.
    mutating func remove(
        _ connection: StoreConnectionID, _ path: StorePath, _ token: [UInt8]
    ) -> Bool {
        guard has(connection, path, token) else { return false }
        byPath[path]?.removeAll { $0.connection == connection && $0.token == token }
        if byPath[path]?.isEmpty ?? false { byPath[path] = nil }
        let left = (paths[connection]?[path] ?? 1) - 1
        paths[connection]?[path] = left > 0 ? left : nil
        counts[connection, default: 1] -= 1
        byteCounts[connection, default: 0] -= path.text.utf8.count + token.count
        return true
    }

    /// All of one client.
    mutating func removeAll(of connection: StoreConnectionID) {
        for path in paths.removeValue(forKey: connection)?.keys.map({ $0 }) ?? [] {
            byPath[path]?.removeAll { $0.connection == connection }
            if byPath[path]?.isEmpty ?? false { byPath[path] = nil }
        }
        counts[connection] = nil
        byteCounts[connection] = nil
    }

    /// Those that hear of `path`, in the order they were set.
    func matching(_ path: StorePath, _ match: Match) -> [StoreWatch] {
        guard !byPath.isEmpty else { return [] }
        let here = byPath[path] ?? []
        var found: [StoreWatch]
        switch match {
        case .exact: found = here
        case .special: found = here.filter { $0.depth == nil }
        case .specialOfDomain:
            let above = path.parent.flatMap { byPath[$0] } ?? []
            found = here + above.filter { ($0.depth ?? 0) > 0 }
        case .subtree:
            found = here
            for above in path.upwards.dropFirst() {
                guard let watches = byPath[above] else { continue }
                let levels = path.level - above.level
                found += watches.filter { $0.depth.map { $0 >= levels } ?? true }
            }
        }
        return found.sorted { $0.serial < $1.serial }
    }

    /// Every watch, in the order they were set.
    var all: [StoreWatch] { byPath.values.flatMap { $0 }.sorted { $0.serial < $1.serial } }
}
