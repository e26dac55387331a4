import Testing
import Vocabulary
import XenStore

/// The life of domains, and the requests that only the host's side may send.
@Suite struct DomainTests {
    @Test func introductionByRequest() throws {
        var bench = Bench()
        #expect(bench.ask(.introduce, "5|16|3|") == "ENOENT|")
        try bench.service.addDomain(DomainID(5))
        #expect(bench.ask(.isDomainIntroduced, "5|") == "F|")
        #expect(bench.ask(.introduce, "5|-16|3|") == "OK|")
        #expect(bench.ask(.isDomainIntroduced, "5|") == "T|")
        #expect(bench.ask(.isDomainIntroduced, "32752|") == "T|")
        let guest = try #require(bench.service.connection(of: DomainID(5)))
        #expect(
            bench.service.takeEffects() == [
                .introduced(DomainID(5), connection: guest, frame: -16, port: 3)
            ])
        // Once more: the domain begins anew.
        bench.ask(.watch, "/x|t|", as: guest)
        _ = bench.service.receive([1, 2, 3], from: guest)
        #expect(bench.ask(.introduce, "5|16|4|") == "OK|")
        #expect(
            bench.service.takeEffects() == [
                .introduced(DomainID(5), connection: guest, frame: 16, port: 4)
            ])
        #expect(bench.ask(.watch, "/x|t|", as: guest) == "OK|")
        for payload in ["5|16|", "x|16|3|", "5|16|0|", "5|16|-1|", "70000|1|1|", "5||1|"] {
            #expect(bench.ask(.introduce, payload) == "EINVAL|")
        }
        #expect(bench.ask(.release, "5|") == "OK|")
        #expect(bench.service.takeEffects() == [.released(DomainID(5))])
        #expect(bench.ask(.release, "5|") == "ENOENT|")
        #expect(bench.ask(.release, "0|") == "EINVAL|")
        #expect(bench.ask(.resume, "5|") == "ENOENT|")
    }

    @Test func numbersOfDomains() throws {
        var service = StoreService()
        #expect(throws: StoreError.invalidArgument) { try service.addDomain(.host) }
        #expect(throws: StoreError.invalidArgument) { try service.addDomain(DomainID(0x7FF0)) }
        #expect(throws: StoreError.notFound) { try service.introduce(DomainID(1)) }
        try service.addDomain(DomainID(1))
        #expect(throws: StoreError.exists) { try service.addDomain(DomainID(1)) }
        _ = try service.introduce(DomainID(1))
        #expect(throws: StoreError.exists) { try service.introduce(DomainID(1)) }
        #expect(service.domainIDs == [DomainID(1)])
    }

    @Test(arguments: [0, 8, 9, 17, 18, 19, 24, 25, 26])
    func whatAGuestMayNotAskFor(kind: UInt32) throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for payload in ["", "1|", "1|1|1|", "help|", "print|x|"] {
            #expect(
                bench.ask(StoreMessageKind(rawValue: kind), payload, as: guest) == "EACCES|")
        }
    }

    @Test func aTargetsRights() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let model = try bench.guest(2)
        bench.ask(.write, "x|1", as: guest)
        #expect(bench.ask(.read, "/local/domain/1/x|", as: model) == "EACCES|")
        #expect(bench.ask(.setTarget, "2|3|") == "ENOENT|")
        #expect(bench.ask(.setTarget, "2|") == "EINVAL|")
        #expect(bench.ask(.setTarget, "2|1|") == "OK|")
        #expect(bench.ask(.read, "/local/domain/1/x|", as: model) == "1")
        #expect(bench.ask(.read, "/local/domain/2|", as: guest) == "EACCES|")
        bench.ask(.release, "1|")
        // A later domain with the same number is another one.
        let later = try bench.guest(1)
        bench.ask(.write, "x|2", as: later)
        #expect(bench.ask(.read, "/local/domain/1/x|", as: model) == "EACCES|")
    }

    @Test func features() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        #expect(bench.ask(.getFeature, "", as: guest) == "14|")
        #expect(bench.ask(.getFeature, "1|", as: guest) == "EACCES|")
        #expect(bench.ask(.getFeature, "") == "14|")
        #expect(bench.ask(.getFeature, "9|") == "ENOENT|")
        #expect(bench.ask(.setFeature, "1|2|") == "EBUSY|")
        try bench.service.addDomain(DomainID(9))
        #expect(bench.ask(.setFeature, "9|15|") == "EINVAL|")
        #expect(bench.ask(.setFeature, "9|6|") == "OK|")
        #expect(bench.ask(.getFeature, "9|") == "6|")
        #expect(bench.service.features(of: DomainID(9)) == 6)
    }

    @Test func quotasByRequest() throws {
        var bench = Bench()
        _ = try bench.guest(1)
        #expect(
            bench.ask(.getQuota, "")
                == "nodes watches outstanding memory transactions transaction-nodes "
                + "node-permissions path-max node-size|")
        #expect(bench.ask(.getQuota, "nodes|") == "1000|")
        #expect(bench.ask(.setQuota, "1|nodes|5|") == "OK|")
        #expect(bench.ask(.getQuota, "1|nodes|") == "5|")
        #expect(bench.ask(.setQuota, "watches|7|") == "OK|")
        #expect(bench.ask(.getQuota, "1|watches|") == "128|")
        try bench.service.addDomain(DomainID(2))
        #expect(bench.service.quotas(of: DomainID(2)).watches == 7)
        for payload in ["none|1|", "nodes|", "nodes|x|", "1|none|1|", "1|nodes|1|1|"] {
            #expect(bench.ask(.setQuota, payload) == "EINVAL|")
        }
        #expect(bench.ask(.setQuota, "8|nodes|1|") == "ENOENT|")
        #expect(bench.ask(.getQuota, "none|") == "EINVAL|")
    }

    @Test func control() throws {
        var bench = Bench()
        _ = try bench.guest(1)
        #expect(bench.ask(.control, "help|").contains("print"))
        #expect(bench.ask(.control, "check|") == "OK|")
        #expect(bench.ask(.control, "print|hello|") == "OK|")
        #expect(bench.service.takeEffects() == [.note("hello")])
        #expect(bench.ask(.control, "quota|").contains("nodes: 1000"))
        #expect(bench.ask(.control, "quota|1|").contains("1 nodes"))
        #expect(bench.ask(.control, "quota|set|nodes|9|") == "OK|")
        #expect(bench.ask(.getQuota, "nodes|") == "9|")
        for payload in ["", "none|", "help|x|", "quota|set|nodes|0|", "live-update|-s|"] {
            #expect(bench.ask(.control, payload) == "EINVAL|")
        }
    }

    @Test func theEndOfADomain() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        bench.ask(.write, "a/b|", as: guest)
        bench.ask(.write, "/shared/x|")
        bench.ask(.setPermissions, "/shared/x|n0|r1|b0|")
        bench.ask(.write, "/backend/1|")
        bench.ask(.watch, "a|t|", as: guest)
        bench.ask(.watch, "/|all|")
        _ = bench.events(bench.tool)
        bench.ask(.release, "1|")
        #expect(bench.events(bench.tool) == ["/local/domain/1|all|"])
        #expect(bench.ask(.read, "/local/domain/1|") == "ENOENT|")
        #expect(bench.ask(.getPermissions, "/shared/x|") == "n0|b0|")
        #expect(bench.ask(.read, "/backend/1|") == "")
        #expect(bench.service.client(guest) == nil)
        #expect(bench.service.memoryByteCount(of: DomainID(1)) == 0)
        #expect(bench.service.isConsistent)
    }

    @Test func aDomainThatOwnsTheRoot() throws {
        var bench = Bench()
        _ = try bench.guest(1)
        bench.ask(.setPermissions, "/|n1|")
        bench.ask(.setPermissions, "@releaseDomain|n1|r1|")
        bench.ask(.release, "1|")
        #expect(bench.ask(.getPermissions, "/|") == "n0|")
        #expect(bench.ask(.getPermissions, "@releaseDomain|") == "n0|")
        #expect(bench.service.isConsistent)
    }
}
