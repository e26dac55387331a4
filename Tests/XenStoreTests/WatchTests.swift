import Testing
import Vocabulary
import XenStore

/// Which watches hear of what, and what they are told.
@Suite struct WatchTests {
    @Test func aWatchFiresWhenItIsSet() throws {
        var bench = Bench()
        // Also for what is not there.
        #expect(bench.ask(.watch, "/none/x|token|") == "OK|")
        #expect(bench.events(bench.tool) == ["/none/x|token|"])
        #expect(bench.ask(.watch, "/none/x|token|") == "EEXIST|")
        #expect(bench.ask(.watch, "/none/x|other|") == "OK|")
        #expect(bench.ask(.watch, "/none|token|") == "OK|")
        #expect(bench.ask(.watch, "none/|token|") == "EINVAL|")
        #expect(bench.events(bench.tool) == ["/none/x|other|", "/none|token|"])
    }

    @Test func theFirstEventComesAfterTheReply() throws {
        var bench = Bench()
        bench.service.handle(StoreMessage(.watch, strings: ["/a", "t"]), from: bench.tool)
        #expect(bench.service.takeMessages(bench.tool).map(\.kind) == [.watch, .watchEvent])
        // Those of a change come before its reply.
        bench.service.handle(StoreMessage(.write, strings: ["/a", "t"]), from: bench.tool)
        #expect(bench.service.takeMessages(bench.tool).map(\.kind) == [.watchEvent, .write])
    }

    @Test func changesOfANodeAndBelow() throws {
        var bench = Bench()
        bench.ask(.write, "/a/b|")
        let watcher = bench.service.connect()
        bench.ask(.watch, "/a/b|t|", as: watcher)
        _ = bench.events(watcher)
        for (kind, payload) in [
            (StoreMessageKind.write, "/a/b|1"), (.write, "/a/b/c/d|1"), (.makeDirectory, "/a/b/e|"),
            (.setPermissions, "/a/b/e|r0|"), (.remove, "/a/b/e|"),
        ] { bench.ask(kind, payload) }
        // The second and third event of /a/b/e are the first, not yet taken.
        #expect(bench.events(watcher) == ["/a/b|t|", "/a/b/c/d|t|", "/a/b/e|t|"])
        bench.ask(.setPermissions, "/a/b/c|r0|")
        #expect(bench.events(watcher) == ["/a/b/c|t|"])
        // Nothing of these.
        for (kind, payload) in [
            (StoreMessageKind.write, "/a|1"), (.write, "/a/bb|"), (.makeDirectory, "/a/b|"),
            (.read, "/a/b|"), (.remove, "/a/none|"), (.write, "/x/y|"),
        ] { bench.ask(kind, payload) }
        #expect(bench.events(watcher) == [])
    }

    @Test func aRemovalIsToldToWatchesBelow() throws {
        var bench = Bench()
        for path in ["/a/b/c", "/a/b/d", "/a/e"] { bench.ask(.write, path + "|") }
        let watcher = bench.service.connect()
        for path in ["/", "/a", "/a/b", "/a/b/c", "/a/b/none", "/a/e"] {
            bench.ask(.watch, "\(path)|t|", as: watcher)
        }
        _ = bench.events(watcher)
        bench.ask(.remove, "/a/b|")
        // Below, only who watches the very node; at and above, one event for the removed path.
        #expect(bench.events(watcher) == ["/a/b/c|t|", "/a/b|t|"])
        bench.ask(.watch, "/a|u|", as: watcher)
        _ = bench.events(watcher)
        bench.ask(.remove, "/a|")
        #expect(bench.events(watcher) == ["/a/e|t|", "/a|t|", "/a|u|"])
    }

    @Test func relativeWatchesAreToldRelativePaths() throws {
        var bench = Bench()
        let guest = try bench.guest(12)
        bench.ask(.watch, "device|t|", as: guest)
        bench.ask(.watch, "/local/domain/12/device|u|", as: guest)
        #expect(bench.events(guest) == ["device|t|", "/local/domain/12/device|u|"])
        bench.ask(.write, "/local/domain/12/device/vif/0|")
        #expect(
            bench.events(guest) == ["device/vif/0|t|", "/local/domain/12/device/vif/0|u|"])
        // Either form takes either away.
        #expect(bench.ask(.unwatch, "/local/domain/12/device|t|", as: guest) == "OK|")
        #expect(bench.ask(.unwatch, "device|t|", as: guest) == "ENOENT|")
        #expect(bench.ask(.unwatch, "device|u|", as: guest) == "OK|")
        bench.ask(.write, "/local/domain/12/device/vif/0|")
        #expect(bench.events(guest) == [])
    }

    @Test func tokensAreBytes() throws {
        var bench = Bench()
        let token: [UInt8] = [0xFF, 0x80, 0x20]
        let payload = Bench.bytes("/a|") + token + [0]
        #expect(bench.ask(.watch, bytes: payload, as: bench.tool) == "OK|")
        #expect(bench.ask(.watch, bytes: payload, as: bench.tool) == "EEXIST|")
        bench.service.handle(StoreMessage(.write, strings: ["/a", ""]), from: bench.tool)
        let event = bench.service.takeMessages(bench.tool).first { $0.kind == .watchEvent }
        #expect(event?.payload == payload)
        #expect(bench.ask(.unwatch, bytes: payload, as: bench.tool) == "OK|")
        #expect(bench.ask(.watch, "/empty||") == "OK|")
    }

    @Test func depthLimitsTheLevels() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for depth in 0...2 { bench.ask(.watch, "a|d\(depth)|\(depth)|", as: guest) }
        bench.ask(.watch, "a|all|", as: guest)
        _ = bench.events(guest)
        bench.ask(.write, "a|", as: guest)
        #expect(bench.events(guest) == ["a|d0|", "a|d1|", "a|d2|", "a|all|"])
        bench.ask(.write, "a/b|", as: guest)
        #expect(bench.events(guest) == ["a/b|d1|", "a/b|d2|", "a/b|all|"])
        bench.ask(.write, "a/b/c/d|", as: guest)
        #expect(bench.events(guest) == ["a/b/c/d|all|"])
        bench.ask(.watch, "/|root|1|")
        _ = bench.events(bench.tool)
        bench.ask(.write, "/x|")
        bench.ask(.write, "/x/y|")
        #expect(bench.events(bench.tool) == ["/x|root|"])
        #expect(bench.ask(.watch, "a|e|-1|", as: guest) == "EINVAL|")
        #expect(bench.ask(.watch, "a|e|x|", as: guest) == "EINVAL|")
        #expect(bench.ask(.watch, "a|e|1|2|", as: guest) == "EINVAL|")
    }

    @Test func depthIsForThoseWhoWereToldOfIt() throws {
        var bench = Bench()
        try bench.service.addDomain(DomainID(4), features: 2)
        let guest = try bench.service.introduce(DomainID(4))
        #expect(bench.ask(.watch, "a|t|1|", as: guest) == "EINVAL|")
        #expect(bench.ask(.watch, "a|t|", as: guest) == "OK|")
    }

    @Test func specialEvents() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        for path in ["@introduceDomain", "@releaseDomain"] {
            #expect(bench.ask(.watch, "\(path)|t|", as: guest) == "OK|")
            #expect(bench.ask(.watch, "\(path)|t|") == "OK|")
            #expect(bench.ask(.watch, "\(path)|d|1|") == "OK|")
        }
        #expect(bench.ask(.watch, "@releaseDomain/8|eight|") == "OK|")
        _ = bench.events(bench.tool)
        #expect(bench.events(guest) == ["@introduceDomain|t|", "@releaseDomain|t|"])
        _ = try bench.guest(7)
        _ = try bench.guest(8)
        // Special events are not folded.
        #expect(
            bench.events(bench.tool) == [
                "@introduceDomain|t|", "@introduceDomain/7|d|", "@introduceDomain|t|",
                "@introduceDomain/8|d|",
            ])
        try bench.service.shutDown(DomainID(7))
        try bench.service.shutDown(DomainID(7))
        #expect(bench.events(bench.tool) == ["@releaseDomain|t|", "@releaseDomain/7|d|"])
        bench.ask(.resume, "7|")
        try bench.service.shutDown(DomainID(7))
        #expect(bench.events(bench.tool) == ["@releaseDomain|t|", "@releaseDomain/7|d|"])
        bench.ask(.release, "8|")
        #expect(
            bench.events(bench.tool) == [
                "@releaseDomain|t|", "@releaseDomain/8|d|", "@releaseDomain/8|eight|",
            ])
        // A guest hears of them only if that was allowed.
        #expect(bench.events(guest) == [])
        #expect(bench.ask(.setPermissions, "@releaseDomain|n0|r1|", as: guest) == "EACCES|")
        #expect(bench.ask(.setPermissions, "@releaseDomain|n0|r1|") == "OK|")
        #expect(bench.ask(.getPermissions, "@releaseDomain|") == "n0|r1|")
        _ = bench.events(guest)
        bench.ask(.release, "7|")
        #expect(bench.events(guest) == ["@releaseDomain|t|"])
        // They are no nodes.
        for kind in [StoreMessageKind.read, .directory, .makeDirectory, .remove] {
            #expect(bench.ask(kind, "@releaseDomain|") == "EINVAL|")
        }
        #expect(bench.ask(.write, "@releaseDomain|x") == "EINVAL|")
    }

    @Test func resetTakesWatchesAndTransactions() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        bench.ask(.watch, "a|t|", as: guest)
        let id = bench.start(as: guest)
        _ = bench.events(guest)
        #expect(bench.ask(.resetWatches, "|", as: guest) == "OK|")
        bench.ask(.write, "a|", as: guest)
        #expect(bench.events(guest) == [])
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: guest) == "ENOENT|")
        #expect(bench.ask(.watch, "a|t|", as: guest) == "OK|")
    }

    @Test func aClientInThisProcess() throws {
        var service = StoreService()
        let backend = service.connect()
        try service.watch("/backend/vif", token: "vif", as: backend)
        #expect(
            service.takeEvents(backend) == [StoreWatchEvent(path: "/backend/vif", token: "vif")])
        try service.write("/backend/vif/3/0/state", "1", as: backend)
        #expect(try service.read("/backend/vif/3/0/state", as: backend) == [0x31])
        #expect(try service.directory("/backend/vif", as: backend) == ["3"])
        #expect(
            service.takeEvents(backend) == [
                StoreWatchEvent(path: "/backend/vif/3/0/state", token: "vif")
            ])
        #expect(service.connectionsWithOutput == [])
        #expect(throws: StoreError.exists) {
            try service.watch("/backend/vif", token: "vif", as: backend)
        }
        try service.unwatch("/backend/vif", token: "vif", as: backend)
        #expect(throws: StoreError.notFound) {
            try service.unwatch("/backend/vif", token: "vif", as: backend)
        }
        let id = try service.startTransaction(as: backend)
        try service.write("/x", "1", transaction: id, as: backend)
        try service.write("/x", "2", as: backend)
        #expect(throws: StoreError.tryAgain) {
            try service.endTransaction(id, commit: true, as: backend)
        }
        try service.remove("/x", as: backend)
        service.disconnect(backend)
        #expect(throws: StoreError.notFound) { try service.read("/backend", as: backend) }
    }
}
