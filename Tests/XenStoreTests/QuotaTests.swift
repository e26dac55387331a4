import Testing
import Vocabulary

@testable import XenStore

/// What a domain may have, and that the host's side has no such limits.
@Suite struct QuotaTests {
    static func quotas(_ change: (inout StoreQuotas) -> Void) -> StoreQuotas {
        var quotas = StoreQuotas()
        change(&quotas)
        return quotas
    }

    @Test func nodes() throws {
        var bench = Bench()
        let guest = try bench.guest(1, quotas: Self.quotas { $0.nodes = 4 })
        #expect(bench.ask(.write, "a/b|", as: guest) == "OK|")
        // The home, a, b; two more would be five. Nothing of it happens.
        #expect(bench.ask(.write, "c/d|", as: guest) == "ENOSPC|")
        #expect(bench.ask(.directory, "/local/domain/1|", as: guest) == "a|")
        #expect(bench.ask(.write, "c|", as: guest) == "OK|")
        #expect(bench.ask(.write, "d|", as: guest) == "ENOSPC|")
        #expect(bench.ask(.write, "c|again", as: guest) == "OK|")
        #expect(bench.ask(.remove, "a|", as: guest) == "OK|")
        #expect(bench.ask(.write, "d/e|", as: guest) == "OK|")
        // The host's side may make more.
        #expect(bench.ask(.write, "/local/domain/1/f|") == "OK|")
        #expect(bench.service.nodeCount(of: DomainID(1)) == 5)
    }

    @Test func nodesOfTheDefault() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        var made = 0
        for number in 0..<1100
        where bench.ask(.write, "d\(number % 9)/n\(number)|", as: guest) == "OK|" {
            made += 1
        }
        #expect(bench.service.nodeCount(of: DomainID(1)) == 1000)
        // Less the home and nine folders.
        #expect(made == 990)
    }

    @Test func nodeSize() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        // 16, one permission of 8, the value.
        #expect(bench.ask(.write, "a|" + String(repeating: "x", count: 2024), as: guest) == "OK|")
        #expect(
            bench.ask(.write, "a|" + String(repeating: "x", count: 2025), as: guest) == "ENOSPC|")
        #expect(
            bench.ask(.write, "b|" + String(repeating: "x", count: 2025), as: guest) == "ENOSPC|")
        #expect(bench.ask(.read, "b|", as: guest) == "ENOENT|")
        // The names of its children belong to a node.
        #expect(bench.ask(.write, "a/child|", as: guest) == "ENOSPC|")
        #expect(
            bench.ask(.write, "/local/domain/1/b|" + String(repeating: "x", count: 3000)) == "OK|")
        #expect(throws: StoreError.tooBig) {
            try bench.service.write("/c", Array(repeating: 0, count: 4097), as: bench.tool)
        }
    }

    @Test func permissions() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        #expect(bench.ask(.setPermissions, "/local/domain/1|n1|r2|r3|r4|r5|", as: guest) == "OK|")
        #expect(
            bench.ask(.setPermissions, "/local/domain/1|n1|r2|r3|r4|r5|r6|", as: guest) == "ENOSPC|"
        )
        #expect(bench.ask(.setPermissions, "/local/domain/1|n1|r2|r3|r4|r5|r6|") == "OK|")
    }

    @Test func watches() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for number in 0..<128 { #expect(bench.ask(.watch, "x|\(number)|", as: guest) == "OK|") }
        #expect(bench.ask(.watch, "x|more|", as: guest) == "ENOSPC|")
        #expect(bench.ask(.unwatch, "x|5|", as: guest) == "OK|")
        #expect(bench.ask(.watch, "x|more|", as: guest) == "OK|")
        for number in 0..<300 { #expect(bench.ask(.watch, "/x|\(number)|") == "OK|") }
    }

    @Test func transactions() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        var ids = (0..<10).map { _ in bench.start(as: guest) }
        #expect(!ids.contains(0))
        #expect(bench.ask(.transactionStart, "|", as: guest) == "ENOSPC|")
        #expect(bench.ask(.transactionEnd, "F|", transaction: ids.removeLast(), as: guest) == "OK|")
        #expect(bench.ask(.transactionStart, "|", as: guest) != "ENOSPC|")
    }

    @Test func nodesOfATransaction() throws {
        var bench = Bench()
        let guest = try bench.guest(1, quotas: Self.quotas { $0.transactionNodes = 5 })
        let id = bench.start(as: guest)
        // The home that is asked for the right is the first.
        for number in 0..<4 {
            #expect(bench.ask(.read, "n\(number)|", transaction: id, as: guest) == "ENOENT|")
        }
        #expect(bench.ask(.read, "n0|", transaction: id, as: guest) == "ENOENT|")
        #expect(bench.ask(.read, "n4|", transaction: id, as: guest) == "ENOSPC|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: guest) == "ENOMEM|")
        let second = bench.start(as: guest)
        #expect(bench.ask(.write, "a/b/c/d/e|", transaction: second, as: guest) == "ENOSPC|")
        #expect(bench.ask(.transactionEnd, "F|", transaction: second, as: guest) == "OK|")
    }

    @Test func pathLength() throws {
        var bench = Bench()
        let guest = try bench.guest(1, quotas: Self.quotas { $0.pathByteCount = 8 })
        #expect(bench.ask(.write, "12345678|", as: guest) == "OK|")
        #expect(bench.ask(.write, "123456789|", as: guest) == "EINVAL|")
        #expect(bench.ask(.read, "/local/domain/1/12345678|", as: guest) == "")
        #expect(bench.ask(.read, "/2345678|", as: guest) == "EACCES|")
        #expect(bench.ask(.read, "/23456789|", as: guest) == "EINVAL|")
        #expect(bench.ask(.watch, "123456789|t|", as: guest) == "EINVAL|")
    }

    @Test func memory() throws {
        var bench = Bench()
        let guest = try bench.guest(1, quotas: Self.quotas { $0.memoryByteCount = 4000 })
        let kilobyte = String(repeating: "x", count: 1000)
        for name in ["a", "b", "c"] {
            #expect(bench.ask(.write, "\(name)|" + kilobyte, as: guest) == "OK|")
        }
        #expect(bench.ask(.write, "d|" + kilobyte, as: guest) == "ENOMEM|")
        #expect(bench.ask(.watch, "x|" + kilobyte + "|", as: guest) == "ENOMEM|")
        let id = bench.start(as: guest)
        #expect(bench.ask(.write, "a|" + kilobyte, transaction: id, as: guest) == "ENOSPC|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: guest) == "ENOMEM|")
        #expect(bench.ask(.remove, "a|", as: guest) == "OK|")
        #expect(bench.ask(.write, "d|" + kilobyte, as: guest) == "OK|")
        #expect(bench.service.memoryByteCount(of: DomainID(1)) <= 4000)
    }

    @Test func zeroIsNoLimit() throws {
        var bench = Bench()
        let guest = try bench.guest(
            1,
            quotas: Self.quotas {
                $0.watches = 0
                $0.nodes = 0
                $0.transactions = 0
                $0.nodeByteCount = 0
                $0.memoryByteCount = 0
            })
        for number in 0..<200 { #expect(bench.ask(.watch, "x|\(number)|", as: guest) == "OK|") }
        for number in 0..<1100 { #expect(bench.ask(.write, "n\(number)|", as: guest) == "OK|") }
        for _ in 0..<20 { #expect(bench.start(as: guest) != 0) }
    }

    /// A guest that does not take its replies is not listened to.
    @Test func outstandingRequests() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let request = StoreMessage(.read, strings: ["none"]).wireBytes
        let stream = Array(repeating: request, count: 50).flatMap { $0 }
        let receipt = bench.service.receive(stream, from: guest)
        #expect(receipt.consumedByteCount == 20 * request.count)
        #expect(!bench.service.wantsInput(guest))
        // A reply that is taken but for one byte is not taken.
        let reply = StoreMessage(.error, strings: ["ENOENT"]).byteCount
        _ = bench.service.takeOutput(guest, limit: reply - 1)
        #expect(!bench.service.wantsInput(guest))
        _ = bench.service.takeOutput(guest, limit: 1)
        #expect(bench.service.wantsInput(guest))
        let rest = Array(stream[receipt.consumedByteCount...])
        #expect(bench.service.receive(rest, from: guest).consumedByteCount == request.count)
        _ = bench.service.takeMessages(guest)
        #expect(bench.service.receive(rest, from: guest).consumedByteCount == 20 * request.count)
    }

    @Test func aSocketThatTakesNothingIsNotListenedTo() throws {
        var bench = Bench()
        bench.ask(.write, "/a|" + String(repeating: "x", count: 4000))
        let request = StoreMessage(.read, strings: ["/a"]).wireBytes
        let stream = Array(repeating: request, count: 1000).flatMap { $0 }
        let receipt = bench.service.receive(stream, from: bench.tool)
        #expect(receipt.consumedByteCount < 300 * request.count)
    }
}
