import Testing
import Vocabulary

@testable import XenStore

/// What guests have done to XenStores: one test for each advisory of Xen (`xenbits.xen.org/xsa`)
/// that a store like this one could be open to.
@Suite struct SecurityTests {
    @Test("XSA-115: watches tell only of what the watcher may read")
    func watchesFollowPermissions() throws {
        var bench = Bench()
        let owner = try bench.guest(1)
        let spy = try bench.guest(2)
        for path in ["/", "/local", "/local/domain/1", "/local/domain/1/secret"] {
            #expect(bench.ask(.watch, "\(path)|\(path)|", as: spy) == "OK|")
        }
        _ = bench.events(spy)
        bench.ask(.write, "secret|1", as: owner)
        bench.ask(.write, "secret|2", as: owner)
        let id = bench.start(as: owner)
        bench.ask(.write, "secret/more|", transaction: id, as: owner)
        bench.ask(.transactionEnd, "T|", transaction: id, as: owner)
        bench.ask(.remove, "secret|", as: owner)
        #expect(bench.events(spy) == [])
        bench.ask(.write, "public|1", as: owner)
        bench.ask(.setPermissions, "public|n1|r2|", as: owner)
        #expect(
            bench.events(spy) == [
                "/local/domain/1/public|/|", "/local/domain/1/public|/local|",
                "/local/domain/1/public|/local/domain/1|",
            ])
        // Who loses the right hears of that once more, also by a removal.
        bench.ask(.setPermissions, "public|n1|", as: owner)
        #expect(bench.events(spy).count == 3)
        bench.ask(.write, "public|2", as: owner)
        #expect(bench.events(spy) == [])
        bench.ask(.setPermissions, "public|r1|", as: owner)
        _ = bench.events(spy)
        bench.ask(.remove, "public|", as: owner)
        #expect(bench.events(spy).count == 3)
    }

    @Test("XSA-115: special events are for the host's side")
    func specialEventsArePrivileged() throws {
        var bench = Bench()
        let spy = try bench.guest(1)
        bench.ask(.watch, "@introduceDomain|t|", as: spy)
        bench.ask(.watch, "@releaseDomain|t|1|", as: spy)
        bench.ask(.watch, "@releaseDomain/2|t|", as: spy)
        _ = bench.events(spy)
        _ = try bench.guest(2)
        bench.ask(.release, "2|")
        #expect(bench.events(spy) == [])
        #expect(bench.ask(.getPermissions, "@releaseDomain|", as: spy) == "EACCES|")
        #expect(bench.ask(.setPermissions, "@releaseDomain|b1|", as: spy) == "EACCES|")
    }

    @Test("XSA-322, XSA-417: a new domain has no rights that were given to an older one")
    func domainNumbersThatComeAgain() throws {
        var bench = Bench()
        let first = try bench.guest(5)
        let other = try bench.guest(6)
        bench.ask(.write, "own|1", as: first)
        bench.ask(.write, "shared|1", as: other)
        bench.ask(.setPermissions, "shared|n6|r5|", as: other)
        // For a domain that does not exist yet.
        bench.ask(.write, "early|1", as: other)
        #expect(bench.ask(.setPermissions, "early|n6|b7|", as: other) == "OK|")
        #expect(bench.ask(.read, "/local/domain/6/shared|", as: first) == "1")
        // A transaction that gives a right while the domain ends.
        let id = bench.start(as: other)
        bench.ask(.setPermissions, "shared|n6|b5|", transaction: id, as: other)
        let second = bench.start(as: other)
        bench.ask(.write, "new|", transaction: second, as: other)
        bench.ask(.setPermissions, "new|n6|b5|", transaction: second, as: other)
        bench.ask(.release, "5|")
        let later = try bench.guest(5)
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: other) == "EAGAIN|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: second, as: other) == "EAGAIN|")
        let seventh = try bench.guest(7)
        #expect(bench.ask(.read, "own|", as: later) == "ENOENT|")
        #expect(bench.ask(.read, "/local/domain/6/shared|", as: later) == "EACCES|")
        #expect(bench.ask(.read, "/local/domain/6/early|", as: seventh) == "EACCES|")
    }

    @Test("XSA-323: lengths are those of the whole path")
    func relativePathsAreMeasuredWhole() throws {
        var bench = Bench()
        let guest = try bench.guest(65)
        let name = String(repeating: "a", count: 2048)
        #expect(bench.ask(.write, name + "|", as: guest) != "EINVAL|")
        #expect(bench.ask(.write, name + "a|", as: guest) == "EINVAL|")
        #expect(bench.ask(.write, "/local/domain/65/" + name + "a|", as: guest) == "EINVAL|")
        #expect(
            bench.ask(.write, "/" + String(repeating: "a", count: 3000) + "|", as: guest)
                == "EINVAL|")
    }

    @Test("XSA-324: an event that is too long is left out")
    func eventsThatAreTooLong() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let token = String(repeating: "t", count: 3000)
        #expect(bench.ask(.watch, "a|\(token)|", as: guest) == "OK|")
        #expect(bench.events(guest).count == 1)
        let name = String(repeating: "n", count: 1500)
        #expect(bench.ask(.write, "a/\(name)|", as: guest) == "OK|")
        #expect(bench.events(guest) == [])
        #expect(bench.service.counters.droppedEvents == 1)
    }

    @Test("XSA-325: a domain that violates the protocol still ends for all to hear")
    func violatorsEndAsOthersDo() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        bench.ask(.watch, "@releaseDomain|t|")
        _ = bench.events(bench.tool)
        let receipt = bench.service.receive(Array(repeating: 0xFF, count: 64), from: guest)
        #expect(receipt.violation != nil)
        #expect(bench.ask(.isDomainIntroduced, "1|") == "T|")
        #expect(bench.events(bench.tool) == [])
        try bench.service.shutDown(DomainID(1))
        #expect(bench.events(bench.tool) == ["@releaseDomain|t|"])
        try bench.service.releaseDomain(DomainID(1))
        #expect(bench.events(bench.tool) == ["@releaseDomain|t|"])
    }

    @Test("XSA-326: events that nobody takes stop who causes them, and are dropped in the end")
    func eventsThatNobodyTakes() throws {
        var bench = Bench()
        let writer = try bench.guest(1)
        let sleeper = try bench.guest(2)
        bench.ask(.setPermissions, "/local/domain/1|r1|")
        bench.ask(.watch, "/local/domain/1|t|", as: sleeper)
        _ = bench.events(sleeper)
        var consumed = 0
        for number in 0..<1000 {
            let bytes = StoreMessage(.write, strings: ["n\(number % 100)", "\(number)"]).wireBytes
            guard bench.service.receive(bytes, from: writer).consumedByteCount > 0 else { break }
            consumed += 1
            // It takes its replies.
            _ = bench.service.takeMessages(writer)
        }
        #expect(consumed == 20)
        #expect(!bench.service.wantsInput(writer))
        bench.service.dropStaleEvents()
        #expect(!bench.service.wantsInput(writer))
        bench.service.dropStaleEvents()
        #expect(bench.service.wantsInput(writer))
        #expect(bench.events(sleeper) == [])
        #expect(bench.service.counters.droppedEvents == 20)
    }

    @Test("XSA-326: the same event does not wait twice")
    func eventsAreFolded() throws {
        var bench = Bench()
        let writer = try bench.guest(1)
        let sleeper = try bench.guest(2)
        bench.ask(.setPermissions, "/local/domain/1|r1|")
        bench.ask(.watch, "/local/domain/1|t|", as: sleeper)
        for number in 0..<1000 {
            #expect(bench.ask(.write, "x|\(number)", as: writer) == "OK|")
        }
        #expect(bench.events(sleeper).count == 2)
    }

    @Test("XSA-326: what waits for a domain counts for its memory")
    func eventsHaveABound() throws {
        var bench = Bench()
        let sleeper = try bench.guest(2)
        bench.ask(.setPermissions, "/local/domain/2|n2|")
        bench.ask(.watch, "/local/domain/2|t|", as: sleeper)
        // The host's side is not stopped, so that events are dropped.
        for number in 0..<1500 {
            let name = String(repeating: "n", count: 1900) + "\(number)"
            try bench.service.write("/local/domain/2/\(name)", "", as: bench.tool)
            try bench.service.remove("/local/domain/2/\(name)", as: bench.tool)
        }
        #expect(bench.service.memoryByteCount(of: DomainID(2)) <= StoreQuotas().memoryByteCount)
        #expect(bench.service.counters.droppedEvents > 100)
        #expect(bench.events(sleeper).count > 1000)
    }

    @Test("XSA-326: open transactions are counted by what they have changed")
    func transactionsHaveABound() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let value = String(repeating: "x", count: 2000)
        var refusals = 0
        for _ in 0..<10 {
            let id = bench.start(as: guest)
            for number in 0..<900 {
                let answer = bench.ask(
                    .write, "d\(number % 20)/n\(number)|" + value, transaction: id, as: guest)
                if answer != "OK|" {
                    #expect(answer == "ENOSPC|")
                    refusals += 1
                    break
                }
            }
        }
        #expect(refusals >= 9)
        #expect(
            bench.service.memoryByteCount(of: DomainID(1)) <= StoreQuotas().memoryByteCount + 4096)
    }

    @Test("XSA-330: reset takes what watches have counted for")
    func resetOfWatches() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let before = bench.service.memoryByteCount(of: DomainID(1))
        for _ in 0..<50 {
            for number in 0..<100 {
                #expect(bench.ask(.watch, "x|\(number)|", as: guest) == "OK|")
            }
            bench.ask(.resetWatches, "|", as: guest)
        }
        #expect(bench.service.memoryByteCount(of: DomainID(1)) == before)
        #expect(bench.service.watches.all.isEmpty)
    }

    @Test("XSA-352: a guest cannot give its nodes away")
    func ownersStay() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        _ = try bench.guest(2)
        bench.ask(.write, "x|", as: guest)
        for permissions in ["n2|", "n0|", "b2|r1|"] {
            #expect(bench.ask(.setPermissions, "x|" + permissions, as: guest) == "EPERM|")
        }
        #expect(bench.ask(.setPermissions, "x|b1|b2|", as: guest) == "OK|")
        #expect(bench.ask(.getPermissions, "x|", as: guest) == "b1|b2|")
    }

    @Test("XSA-353: the root has permissions too")
    func permissionsOfTheRoot() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for kind in [StoreMessageKind.read, .directory, .getPermissions, .remove] {
            #expect(bench.ask(kind, "/|", as: guest) == "EACCES|")
        }
        #expect(bench.ask(.directoryPart, "/|0|", as: guest) == "EACCES|")
        #expect(bench.ask(.write, "/|x", as: guest) == "EACCES|")
        #expect(bench.ask(.write, "/x|", as: guest) == "EACCES|")
        #expect(bench.ask(.setPermissions, "/|b1|", as: guest) == "EACCES|")
    }

    @Test("XSA-414, XSA-415: a creation that is refused leaves no part of it")
    func refusedCreations() throws {
        var bench = Bench()
        var quotas = StoreQuotas()
        quotas.nodes = 10
        let guest = try bench.guest(1, quotas: quotas)
        let before = bench.service.captureState().nodes.map(\.path)
        #expect(bench.ask(.write, "1/2/3/4/5/6/7/8/9/10|", as: guest) == "ENOSPC|")
        #expect(
            bench.ask(.write, "1/2|" + String(repeating: "x", count: 2100), as: guest) == "ENOSPC|")
        #expect(
            bench.ask(.write, "\(String(repeating: "n", count: 2030))/x|", as: guest) == "ENOSPC|")
        #expect(bench.service.captureState().nodes.map(\.path) == before)
        #expect(bench.service.isConsistent)
    }

    @Test("XSA-418: trees as deep as a path is long need no stack")
    func deepTrees() throws {
        var bench = Bench()
        var quotas = StoreQuotas()
        quotas.nodes = 2000
        let guest = try bench.guest(1, quotas: quotas)
        let path = Array(repeating: "a", count: 1024).joined(separator: "/")
        for _ in 0..<3 {
            #expect(bench.ask(.write, path + "|deep", as: guest) == "OK|")
            #expect(bench.ask(.read, path + "|", as: guest) == "deep")
            #expect(bench.service.nodeCount(of: DomainID(1)) == 1025)
            #expect(bench.ask(.read, path + "aa|", as: guest) == "EINVAL|")
            #expect(bench.ask(.remove, "a|", as: guest) == "OK|")
            #expect(bench.service.nodeCount(of: DomainID(1)) == 1)
        }
        // Far deeper than any path, to see that a node goes without recursion.
        var node = StoreNode(permissions: [], generation: 0)
        for _ in 0..<200_000 {
            node = StoreNode(
                permissions: [], generation: 0, children: [.init(name: "a", node: node)])
        }
        #expect(node.children.count == 1)
    }

    @Test("XSA-419: nodes go with the domain that owned them")
    func cooperatingGuests() throws {
        var bench = Bench()
        let host = try bench.guest(1)
        bench.ask(.setPermissions, "/local/domain/1|b1|", as: host)
        let before = bench.service.captureState().nodes.count
        for _ in 0..<5 {
            let guest = try bench.guest(2)
            for number in 0..<100 {
                bench.ask(.write, "/local/domain/1/n\(number)/x|", as: guest)
            }
            #expect(bench.service.nodeCount(of: DomainID(2)) == 201)
            bench.ask(.release, "2|")
        }
        #expect(bench.service.captureState().nodes.count == before)
        #expect(bench.service.nodeCount(of: DomainID(2)) == 0)
        #expect(bench.service.isConsistent)
    }

    @Test("XSA-420: numbers do not wrap")
    func numbersDoNotWrap() throws {
        var bench = Bench()
        for number in ["65536", "4294967296", "4294967295", "18446744073709551616", "-1", "+1"] {
            #expect(bench.ask(.setPermissions, "/tool|n\(number)|") == "EINVAL|")
            #expect(bench.ask(.getDomainPath, number + "|") == "EINVAL|")
            #expect(bench.ask(.introduce, "\(number)|1|1|") == "EINVAL|")
            #expect(bench.ask(.setQuota, "nodes|\(number)00000|") == "EINVAL|")
        }
    }

    @Test("XSA-421: transactions do not get around the quota of nodes")
    func nodesByTransactions() throws {
        var bench = Bench()
        var quotas = StoreQuotas()
        quotas.nodes = 10
        let guest = try bench.guest(1, quotas: quotas)
        let first = bench.start(as: guest)
        let second = bench.start(as: guest)
        bench.ask(.write, "a|", as: guest)
        bench.ask(.write, "b|", as: guest)
        // In one, up to what is left.
        let third = bench.start(as: guest)
        for number in 0..<7 {
            #expect(bench.ask(.write, "a/\(number)|", transaction: third, as: guest) == "OK|")
        }
        #expect(bench.ask(.write, "a/7|", transaction: third, as: guest) == "ENOSPC|")
        // In two that do not conflict, at the end.
        let fourth = bench.start(as: guest)
        for number in 0..<7 {
            #expect(bench.ask(.write, "b/\(number)|", transaction: fourth, as: guest) == "OK|")
        }
        #expect(bench.ask(.transactionEnd, "T|", transaction: third, as: guest) == "OK|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: fourth, as: guest) == "ENOSPC|")
        for id in [first, second] {
            #expect(bench.ask(.transactionEnd, "F|", transaction: id, as: guest) == "OK|")
        }
        #expect(bench.service.nodeCount(of: DomainID(1)) == 10)
        #expect(bench.service.isConsistent)
    }

    @Test("XSA-481: every refusal has a reply")
    func pathsThatEndInTheMiddle() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for path in [
            "/local/domain/", "/local/domain/1/", "/local/domain//", "/local/domain/999999/",
        ] {
            for kind in [StoreMessageKind.read, .directory, .getPermissions, .remove] {
                #expect(bench.ask(kind, path + "|", as: guest) == "EINVAL|")
            }
            #expect(bench.ask(.watch, path + "|t|", as: guest) == "EINVAL|")
        }
    }

    @Test("XSA-483: the accounts of a domain end with it")
    func accountsEnd() throws {
        var bench = Bench()
        for _ in 0..<3 {
            var quotas = StoreQuotas()
            quotas.nodes = 5
            let guest = try bench.guest(1, quotas: quotas)
            for number in 0..<4 {
                #expect(bench.ask(.write, "n\(number)|", as: guest) == "OK|")
            }
            bench.ask(.release, "1|")
        }
        #expect(bench.service.usage[DomainID(1)] == nil)
    }

    @Test("XSA-484: transactions may be reset from within one")
    func resetWithinATransaction() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let id = bench.start(as: guest)
        bench.ask(.write, "x|", transaction: id, as: guest)
        #expect(bench.ask(.resetWatches, "|", transaction: id, as: guest) == "OK|")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: guest) == "ENOENT|")
        #expect(bench.ask(.read, "x|", as: guest) == "ENOENT|")
        #expect(bench.service.connections[guest]?.transactions.isEmpty == true)
    }
}
