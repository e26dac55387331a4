import Testing
import Vocabulary

@testable import XenStore

/// The same with a dictionary, without sharing: each path has a value, and the number of its last
/// change.
struct Model {
    struct Entry: Equatable {
        var value: [UInt8]
        var change: Int
    }

    /// A transaction: the entries of its start with its changes, and what it has read or changed.
    struct Transaction {
        var entries: [String: Entry]
        let start: [String: Entry]
        var seen: Set<String> = []
        var changed: Set<String> = []
    }

    var entries: [String: Entry] = ["/": Entry(value: [], change: 0)]
    var lastChange = 0

    static func parent(_ path: String) -> String {
        let cut = path.lastIndex(of: "/") ?? path.startIndex
        return cut == path.startIndex ? "/" : String(path[..<cut])
    }

    static func children(_ entries: [String: Entry], _ path: String) -> [String] {
        entries.keys.filter { $0 != "/" && parent($0) == path }
            .map { String($0.split(separator: "/").last ?? "") }.sorted()
    }

    func begin() -> Transaction { Transaction(entries: entries, start: entries) }

    /// Notes what a look at `path` tells: of what is not there, also that nothing is below the
    /// nearest that is.
    static func look(_ path: String, _ open: inout Transaction) -> Bool {
        open.seen.insert(path)
        guard open.entries[path] == nil else { return true }
        var above = parent(path)
        while open.entries[above] == nil { above = parent(above) }
        open.seen.insert(above)
        return false
    }

    mutating func write(_ path: String, _ value: [UInt8]?, _ open: inout Transaction) {
        lastChange += 1
        if Self.look(path, &open) {
            guard let value else { return }
            open.entries[path] = Entry(value: value, change: lastChange)
            open.changed.insert(path)
            return
        }
        var missing = path
        var last = value ?? []
        while open.entries[missing] == nil {
            open.entries[missing] = Entry(value: last, change: lastChange)
            open.seen.insert(missing)
            open.changed.insert(missing)
            last = []
            missing = Self.parent(missing)
        }
        touch(missing, &open)
    }

    private mutating func touch(_ path: String, _ open: inout Transaction) {
        open.seen.insert(path)
        open.changed.insert(path)
        open.entries[path]?.change = lastChange
    }

    /// The name of the error, or nil.
    mutating func remove(_ path: String, _ open: inout Transaction) -> StoreError? {
        guard Self.look(path, &open) else {
            open.seen.insert(Self.parent(path))
            return open.entries[Self.parent(path)] == nil ? .notFound : nil
        }
        guard path != "/" else { return .invalidArgument }
        lastChange += 1
        for each in open.entries.keys where each == path || each.hasPrefix(path + "/") {
            open.seen.insert(each)
            open.changed.insert(each)
            open.entries[each] = nil
        }
        touch(Self.parent(path), &open)
        return nil
    }

    /// False: it conflicts.
    mutating func commit(_ open: Transaction) -> Bool {
        guard open.seen.allSatisfy({ open.start[$0]?.change == entries[$0]?.change }) else {
            return false
        }
        lastChange += 1
        for path in open.changed {
            entries[path] = open.entries[path].map { Entry(value: $0.value, change: lastChange) }
        }
        return true
    }
}

/// Random operations and transactions, on the tree and on the model.
@Suite struct TreeModelTests {
    /// Few names, so that paths meet.
    static func path(_ dice: inout Dice) -> String {
        let level = Int.random(in: 0...4, using: &dice)
        if level == 0 { return "/" }
        return (0..<level).map { _ in "/" + (["a", "b", "c"].randomElement(using: &dice) ?? "") }
            .joined()
    }

    struct Pair {
        var bench = Bench()
        var model = Model()
        var open: [(number: UInt32, model: Model.Transaction)] = []
        var conflicts = 0
        var commits = 0
    }

    @Test(arguments: 0..<12)
    func randomOperations(seed: UInt64) throws {
        var dice = Dice(state: seed)
        var pair = Pair()
        // The model begins with an empty tree.
        try pair.bench.service.remove("/tool", as: pair.bench.tool)
        for _ in 0..<1200 {
            switch Int.random(in: 0..<10, using: &dice) {
            case 0 where pair.open.count < 6:
                let number = try pair.bench.service.startTransaction(as: pair.bench.tool)
                pair.open.append((number, pair.model.begin()))
            case 1 where !pair.open.isEmpty:
                let index = Int.random(in: 0..<pair.open.count, using: &dice)
                Self.end(&pair, index, commit: Int.random(in: 0..<4, using: &dice) > 0)
            case 2...6 where !pair.open.isEmpty:
                let index = Int.random(in: 0..<pair.open.count, using: &dice)
                let number = pair.open[index].number
                var open = pair.open[index].model
                Self.operate(&pair, &open, number, &dice)
                pair.open[index].model = open
            default:
                // On its own: a transaction of the model that ends at once.
                var open = pair.model.begin()
                Self.operate(&pair, &open, 0, &dice)
                let isCommitted = pair.model.commit(open)
                #expect(isCommitted)
            }
            #expect(pair.bench.service.isConsistent)
        }
        Self.compare(pair)
        // Otherwise this has tested little.
        #expect(pair.conflicts > 5 && pair.commits > 5)
    }

    static func end(_ pair: inout Pair, _ index: Int, commit: Bool) {
        let open = pair.open.remove(at: index)
        let tool = pair.bench.tool
        var error: StoreError?
        do throws(StoreError) {
            try pair.bench.service.endTransaction(open.number, commit: commit, as: tool)
        } catch let thrown { error = thrown }
        guard commit else {
            #expect(error == nil)
            return
        }
        let isCommitted = pair.model.commit(open.model)
        #expect(error == (isCommitted ? nil : .tryAgain))
        pair.commits += isCommitted ? 1 : 0
        pair.conflicts += isCommitted ? 0 : 1
        compare(pair)
    }

    static func operate(
        _ pair: inout Pair, _ open: inout Model.Transaction, _ number: UInt32, _ dice: inout Dice
    ) {
        let path = path(&dice)
        let tool = pair.bench.tool
        switch Int.random(in: 0..<6, using: &dice) {
        case 0, 1:
            let value = [UInt8.random(in: 0...255, using: &dice)]
            #expect(throws: Never.self) {
                try pair.bench.service.write(path, value, transaction: number, as: tool)
            }
            pair.model.write(path, value, &open)
        case 2:
            #expect(throws: Never.self) {
                try pair.bench.service.makeDirectory(path, transaction: number, as: tool)
            }
            pair.model.write(path, nil, &open)
        case 3:
            let expected = pair.model.remove(path, &open)
            var error: StoreError?
            do throws(StoreError) {
                try pair.bench.service.remove(path, transaction: number, as: tool)
            } catch let thrown { error = thrown }
            #expect(error == expected)
        case 4:
            let value = try? pair.bench.service.read(path, transaction: number, as: tool)
            _ = Model.look(path, &open)
            #expect(value == open.entries[path]?.value)
        default:
            let names = try? pair.bench.service.directory(path, transaction: number, as: tool)
            let isThere = Model.look(path, &open)
            #expect(names == (isThere ? Model.children(open.entries, path) : nil))
        }
    }

    static func compare(_ pair: Pair) {
        let nodes = pair.bench.service.tree.all.filter { !$0.path.isSpecial }
        let values = Dictionary(uniqueKeysWithValues: nodes.map { ($0.path.text, $0.node.value) })
        #expect(values == pair.model.entries.mapValues(\.value))
        for (path, node) in nodes {
            #expect(node.children.map(\.name) == Model.children(pair.model.entries, path.text))
            #expect(node.childNamesByteCount == node.childList.count)
        }
    }

    /// A copy keeps what it had, whatever happens to the other, and shares the rest.
    @Test func copiesAreIndependent() throws {
        var tree = StoreTree(rootPermissions: [StorePermission(.none, .host)])
        var copies: [(tree: StoreTree, paths: [String])] = []
        var dice = Dice(state: 9)
        for number in 0..<400 {
            guard let path = StorePath(Self.path(&dice)), path.level > 0 else { continue }
            if Bool.random(using: &dice) {
                let (nearest, level) = tree.deepest(path)
                tree.insert(
                    path, below: level, value: [], permissions: nearest.permissions,
                    generation: UInt64(number))
            } else {
                tree.remove(path, generation: UInt64(number))
            }
            if number % 10 == 0 { copies.append((tree, tree.all.map(\.path.text))) }
        }
        for copy in copies { #expect(copy.tree.all.map(\.path.text) == copy.paths) }
        let shared = StorePath("/shared")
        let path = try #require(shared)
        tree.insert(path, below: 0, value: [1], permissions: [], generation: 1000)
        let before = tree
        let other = try #require(StorePath("/other"))
        tree.insert(other, below: 0, value: [2], permissions: [], generation: 1001)
        #expect(tree.node(at: path) === before.node(at: path))
        #expect(before.node(at: other) == nil)
        #expect(tree.node(at: .root)?.generation == 1001)
        #expect(tree.discardedByteCount > before.discardedByteCount)
    }

    @Test func aPlaceThatIsTakenOrMissing() throws {
        var tree = StoreTree(rootPermissions: [StorePermission(.none, .host)])
        let path = try #require(StorePath("/a/b"))
        let below = path.appending("c")
        let inserted = [1, 0, 1, 2].map { level in
            tree.insert(path, below: level, value: [], permissions: [], generation: 1)
        }
        #expect(inserted == [false, true, false, false])
        let replaced = tree.replace(below, value: [], permissions: [], generation: 1)
        #expect(!replaced)
        let removed = [below, .root, path].map { tree.remove($0, generation: 2) }
        #expect(removed == [false, false, true])
        #expect(tree.all.map(\.path.text) == ["/", "/a"])
    }

    @Test func prefixesOfPaths() throws {
        let path = try #require(StorePath("/a/bb/c"))
        #expect((0...4).map { path.prefix($0).text } == ["/", "/a", "/a/bb", "/a/bb/c", "/a/bb/c"])
        #expect((0...3).map { path.prefix($0).level } == [0, 1, 2, 3])
        #expect(path.components == ["a", "bb", "c"])
        #expect(path.upwards.map(\.text) == ["/a/bb/c", "/a/bb", "/a", "/"])
        let special = try #require(StorePath("@releaseDomain/5"))
        #expect(special.upwards.map(\.text) == ["@releaseDomain/5", "@releaseDomain"])
        #expect(special.parent?.parent == .root)
        #expect(special.prefix(1).text == "@releaseDomain")
        #expect(StorePath.home(of: DomainID(7)) == StorePath("/local/domain/7"))
        for (text, count) in [
            ("/local/domain/7/abc", 3), ("/local/domain/7", 15), ("/local/domain/x/abc", 19),
            ("/local/domain/123456/abc", 24), ("/a", 2),
        ] { #expect(StorePath(text)?.quotaByteCount == count) }
    }
}
