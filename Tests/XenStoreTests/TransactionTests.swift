import Testing
import Vocabulary

@testable import XenStore

/// Transactions: what they see, when they conflict, when watches hear of them.
@Suite struct TransactionTests {
    @Test func nothingIsSeenBeforeTheCommit() throws {
        var bench = Bench()
        let id = bench.start(as: bench.tool)
        #expect(bench.ask(.write, "/a/b|1", transaction: id) == "OK|")
        #expect(bench.ask(.read, "/a/b|", transaction: id) == "1")
        #expect(bench.ask(.read, "/a/b|") == "ENOENT|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id) == "OK|")
        #expect(bench.ask(.read, "/a/b|") == "1")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id) == "ENOENT|")
        #expect(bench.service.isConsistent)
    }

    @Test func anAbortLeavesNothing() throws {
        var bench = Bench()
        bench.ask(.write, "/x|1")
        let id = bench.start(as: bench.tool)
        bench.ask(.write, "/a/b|1", transaction: id)
        bench.ask(.remove, "/x|", transaction: id)
        #expect(bench.ask(.transactionEnd, "F|", transaction: id) == "OK|")
        #expect(bench.ask(.read, "/x|") == "1")
        #expect(bench.ask(.read, "/a|") == "ENOENT|")
        #expect(bench.service.isConsistent)
    }

    @Test func numbers() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let first = bench.start(as: guest)
        let second = bench.start(as: guest)
        #expect(first != 0 && second != 0 && first != second)
        #expect(bench.ask(.read, "x|", transaction: 77, as: guest) == "ENOENT|")
        #expect(bench.ask(.transactionStart, "|", transaction: first, as: guest) == "EBUSY|")
        #expect(bench.ask(.transactionStart, "|", transaction: 77, as: guest) == "ENOENT|")
        #expect(bench.ask(.transactionEnd, "T|", as: guest) == "ENOENT|")
        // That of one client means nothing for another.
        #expect(bench.ask(.read, "/tool|", transaction: first) == "ENOENT|")
        // The number is not looked at for watches.
        #expect(bench.ask(.watch, "x|t|", transaction: 77, as: guest) == "OK|")
        #expect(bench.ask(.unwatch, "x|t|", transaction: 77, as: guest) == "OK|")
    }

    /// What one client does in a transaction, what another does meanwhile, and whether it conflicts.
    struct Case: CustomTestStringConvertible, Sendable {
        var inside: [(StoreMessageKind, String)]
        var outside: [(StoreMessageKind, String)]
        var conflicts: Bool
        var testDescription: String {
            "\(inside.map { "\($0.0.rawValue) \($0.1)" }) \(outside.map { "\($0.0.rawValue) \($0.1)" })"
        }
    }

    static let cases: [Case] = [
        // Read, and changed by others.
        Case(inside: [(.read, "/a|")], outside: [(.write, "/a|2")], conflicts: true),
        Case(inside: [(.read, "/a|")], outside: [(.remove, "/a|")], conflicts: true),
        Case(inside: [(.read, "/a|")], outside: [(.setPermissions, "/a|r0|")], conflicts: true),
        Case(inside: [(.getPermissions, "/a|")], outside: [(.write, "/a|2")], conflicts: true),
        Case(inside: [(.read, "/a|")], outside: [(.write, "/a|1")], conflicts: true),
        // Looked for in vain, and made by others.
        Case(inside: [(.read, "/n|")], outside: [(.write, "/n|")], conflicts: true),
        Case(inside: [(.read, "/n/m/k|")], outside: [(.write, "/n/m/k|")], conflicts: true),
        Case(inside: [(.remove, "/a/n|")], outside: [(.write, "/a/n|")], conflicts: true),
        // Listed, and a child made or removed.
        Case(inside: [(.directory, "/a|")], outside: [(.write, "/a/n|")], conflicts: true),
        Case(inside: [(.directory, "/a|")], outside: [(.remove, "/a/x|")], conflicts: true),
        Case(inside: [(.directory, "/a|")], outside: [(.write, "/a/x|2")], conflicts: false),
        // Written, and changed by others.
        Case(inside: [(.write, "/a|9")], outside: [(.write, "/a|2")], conflicts: true),
        Case(inside: [(.write, "/a|9")], outside: [(.remove, "/a|")], conflicts: true),
        Case(inside: [(.remove, "/a|")], outside: [(.write, "/a/x|2")], conflicts: true),
        Case(inside: [(.remove, "/a|")], outside: [(.write, "/a/n|2")], conflicts: true),
        Case(inside: [(.write, "/a/n|")], outside: [(.write, "/a/m|")], conflicts: true),
        Case(inside: [(.setPermissions, "/a|r0|")], outside: [(.write, "/a|2")], conflicts: true),
        Case(inside: [(.makeDirectory, "/a|")], outside: [(.write, "/a|2")], conflicts: true),
        // What has nothing to do with each other.
        Case(
            inside: [(.read, "/a|"), (.write, "/a|9")], outside: [(.write, "/b|2")],
            conflicts: false),
        Case(inside: [(.write, "/a/x|9")], outside: [(.write, "/a|2")], conflicts: false),
        Case(inside: [(.write, "/a/n|9")], outside: [(.write, "/b/n|9")], conflicts: false),
        Case(inside: [(.read, "/a|")], outside: [(.write, "/a/x|2")], conflicts: false),
        Case(
            inside: [(.remove, "/a/x|")], outside: [(.remove, "/b|"), (.write, "/c|")],
            conflicts: false),
        Case(inside: [(.write, "/a|9")], outside: [(.read, "/a|")], conflicts: false),
        // Changed and changed back is changed.
        Case(
            inside: [(.read, "/n|")], outside: [(.write, "/n|"), (.remove, "/n|")], conflicts: true),
    ]

    @Test(arguments: cases)
    func conflicts(each: Case) throws {
        var bench = Bench()
        for path in ["/a", "/a/x", "/b"] { bench.ask(.write, path + "|1") }
        let other = bench.service.connect()
        let id = bench.start(as: bench.tool)
        for (kind, payload) in each.inside { bench.ask(kind, payload, transaction: id) }
        // Once directly, once as a transaction of another client.
        for asTransaction in [false, true] {
            var copy = bench
            let second = asTransaction ? copy.start(as: other) : 0
            for (kind, payload) in each.outside {
                copy.ask(kind, payload, transaction: second, as: other)
            }
            if asTransaction {
                #expect(copy.ask(.transactionEnd, "T|", transaction: second, as: other) == "OK|")
            }
            let before = copy.service.captureState().nodes.map(\.path)
            let conflicts = each.conflicts
            let end = copy.ask(.transactionEnd, "T|", transaction: id)
            #expect(end == (conflicts ? "EAGAIN|" : "OK|"))
            if conflicts { #expect(copy.service.captureState().nodes.map(\.path) == before) }
            #expect(copy.service.isConsistent)
        }
    }

    @Test func aTransactionSeesTheTreeOfItsStart() throws {
        var bench = Bench()
        bench.ask(.write, "/a|1")
        let id = bench.start(as: bench.tool)
        bench.ask(.write, "/a|2")
        bench.ask(.write, "/b|2")
        #expect(bench.ask(.read, "/a|", transaction: id) == "1")
        #expect(bench.ask(.read, "/b|", transaction: id) == "ENOENT|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id) == "EAGAIN|")
        #expect(bench.service.counters.conflicts == 1)
    }

    @Test func removedAndMadeAgainWithinATransaction() throws {
        var bench = Bench()
        for path in ["/a/x", "/a/y/z"] { bench.ask(.write, path + "|1") }
        let id = bench.start(as: bench.tool)
        bench.ask(.remove, "/a|", transaction: id)
        bench.ask(.write, "/a/y|2", transaction: id)
        #expect(bench.ask(.directory, "/a|", transaction: id) == "y|")
        bench.ask(.write, "/q/r|", transaction: id)
        bench.ask(.remove, "/q|", transaction: id)
        #expect(bench.ask(.transactionEnd, "T|", transaction: id) == "OK|")
        #expect(bench.ask(.directory, "/a|") == "y|")
        #expect(bench.ask(.directory, "/a/y|") == "")
        #expect(bench.ask(.read, "/a/y|") == "2")
        #expect(bench.ask(.directory, "/|") == "a|tool|")
        #expect(bench.service.isConsistent)
    }

    @Test func watchesHearOfACommitOnly() throws {
        var bench = Bench()
        let watcher = bench.service.connect()
        bench.ask(.write, "/a/b/c|")
        bench.ask(.watch, "/a|t|", as: watcher)
        bench.ask(.watch, "/a/b/c|u|", as: watcher)
        #expect(bench.events(watcher) == ["/a|t|", "/a/b/c|u|"])
        let id = bench.start(as: bench.tool)
        bench.ask(.write, "/a/x|1", transaction: id)
        bench.ask(.write, "/a/x|2", transaction: id)
        bench.ask(.remove, "/a/b|", transaction: id)
        #expect(bench.events(watcher) == [])
        bench.ask(.transactionEnd, "T|", transaction: id)
        #expect(bench.events(watcher) == ["/a/x|t|", "/a/b/c|u|", "/a/b|t|"])
        let second = bench.start(as: bench.tool)
        bench.ask(.write, "/a/y|1", transaction: second)
        bench.ask(.transactionEnd, "F|", transaction: second)
        let third = bench.start(as: bench.tool)
        bench.ask(.write, "/a/x|1", transaction: third)
        bench.ask(.write, "/a/x|3")
        #expect(bench.ask(.transactionEnd, "T|", transaction: third) == "EAGAIN|")
        #expect(bench.events(watcher) == ["/a/x|t|"])
    }

    @Test func aTransactionThatOnlyReadsEnds() throws {
        var bench = Bench()
        let id = bench.start(as: bench.tool)
        bench.ask(.directory, "/|", transaction: id)
        #expect(bench.ask(.transactionEnd, "T|", transaction: id) == "OK|")
    }

    /// An open transaction holds older nodes only up to a limit; then it goes on with newer ones.
    @Test func aLongTransactionDoesNotKeepTheWholePast() throws {
        var bench = Bench()
        bench.ask(.write, "/a|1")
        bench.ask(.write, "/flood|")
        let quiet = bench.start(as: bench.tool)
        bench.ask(.read, "/a|", transaction: quiet)
        bench.ask(.write, "/mine/x|5", transaction: quiet)
        let late = bench.start(as: bench.tool)
        bench.ask(.read, "/flood|", transaction: late)
        let value = Array(repeating: UInt8(1), count: 4000)
        for _ in 0..<200 { try bench.service.write("/flood", value, as: bench.tool) }
        bench.ask(.write, "/new|7")
        for _ in 0..<200 { try bench.service.write("/flood", value, as: bench.tool) }
        // It has gone on: what came meanwhile is there, with its own changes.
        #expect(bench.ask(.read, "/new|", transaction: quiet) == "7")
        #expect(bench.ask(.read, "/mine/x|", transaction: quiet) == "5")
        #expect(bench.ask(.transactionEnd, "T|", transaction: late) == "EAGAIN|")
        // To make "/mine" it has changed the root, which others have changed with "/new".
        #expect(bench.ask(.transactionEnd, "T|", transaction: quiet) == "EAGAIN|")
        let third = bench.start(as: bench.tool)
        bench.ask(.write, "/a|6", transaction: third)
        for _ in 0..<400 { try bench.service.write("/flood", value, as: bench.tool) }
        #expect(bench.ask(.transactionEnd, "T|", transaction: third) == "OK|")
        #expect(bench.ask(.read, "/a|") == "6")
        #expect(bench.service.isConsistent)
    }

    @Test func thousandsOfTransactions() throws {
        var bench = Bench()
        var ids: [UInt32] = []
        for _ in 0..<3000 { ids.append(bench.start(as: bench.tool)) }
        #expect(Set(ids).count == 3000)
        for (number, id) in ids.enumerated() {
            bench.ask(.write, "/n\(number % 7)|\(number)", transaction: id)
        }
        // The first makes a child of the root, which all others have seen.
        var results: [String: Int] = [:]
        for id in ids {
            results[bench.ask(.transactionEnd, "T|", transaction: id), default: 0] += 1
        }
        #expect(results == ["OK|": 1, "EAGAIN|": 2999])
        #expect(bench.service.isConsistent)
    }
}
