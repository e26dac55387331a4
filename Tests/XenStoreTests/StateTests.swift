import Foundation
import Testing
import Vocabulary

@testable import XenStore

/// A service that is saved in the middle of activity and goes on elsewhere.
@Suite struct StateTests {
    static func saved(_ service: StoreService) throws -> StoreService {
        let data = try JSONEncoder().encode(service.captureState())
        return try StoreService(
            restoring: try JSONDecoder().decode(StoreService.State.self, from: data))
    }

    @Test func everythingGoesOn() throws {
        var bench = Bench()
        var quotas = StoreQuotas()
        quotas.watches = 2
        let guest = try bench.guest(3, quotas: quotas)
        let model = try bench.guest(4)
        bench.ask(.setTarget, "4|3|")
        bench.ask(.write, "a/b|v|w", as: guest)
        bench.ask(.setPermissions, "a|n3|r9|b0|", as: guest)
        bench.ask(.watch, "a|t|1|", as: guest)
        bench.ask(.setPermissions, "@releaseDomain|n0|r3|")
        bench.ask(.watch, "@releaseDomain|gone|", as: guest)
        _ = bench.events(guest)
        let id = bench.start(as: guest)
        bench.ask(.write, "a/b|2", transaction: id, as: guest)
        // Half a request in, half a reply out.
        let request = StoreMessage(.read, requestID: 9, strings: ["a/b"]).wireBytes
        bench.service.handle(StoreMessage(.read, requestID: 8, strings: ["a/b"]), from: guest)
        let first = bench.service.takeOutput(guest, limit: 5)
        _ = bench.service.receive(Array(request.prefix(18)), from: guest)
        bench.ask(.write, "/local/domain/3/a/c|")

        bench.service = try Self.saved(bench.service)
        let state = bench.service.captureState()
        #expect(
            try Self.saved(bench.service).captureState().nodes.map(\.path)
                == state.nodes.map(\.path))
        #expect(bench.service.isConsistent)
        _ = bench.service.receive(Array(request.dropFirst(18)), from: guest)
        let rest = bench.service.takeOutput(guest, limit: 10_000)
        var decoder = StoreMessageDecoder()
        var bytes = (first + rest)[...]
        var payloads: [String] = []
        while let message = try decoder.next(from: &bytes) {
            payloads.append("\(message.requestID) \(Bench.text(message.payload))")
        }
        #expect(payloads == ["8 v|w", "0 a/c|t|", "9 v|w"])
        #expect(bench.service.wantsInput(guest))

        // The transaction is known, sees the tree, and is to be done again.
        #expect(bench.ask(.read, "a/b|", transaction: id, as: guest) == "v|w")
        #expect(bench.ask(.transactionEnd, "T|", transaction: id, as: guest) == "EAGAIN|")
        #expect(bench.start(as: guest) == id + 1)
        // Watches, quotas, permissions, targets.
        bench.ask(.write, "a/d|", as: guest)
        bench.ask(.write, "a/d/e|", as: guest)
        #expect(bench.events(guest) == ["a/d|t|"])
        #expect(bench.ask(.watch, "z|z|", as: guest) == "ENOSPC|")
        #expect(bench.ask(.getPermissions, "a|", as: guest) == "n3|r9|b0|")
        let ninth = try bench.guest(9)
        #expect(bench.ask(.read, "/local/domain/3/a|", as: ninth) == "EACCES|")
        #expect(bench.ask(.read, "/local/domain/3/a/b|", as: model) == "v|w")
        bench.ask(.release, "4|")
        #expect(bench.events(guest) == ["@releaseDomain|gone|"])
        // No connection's number is given out again.
        #expect(ninth.rawValue > model.rawValue)
    }

    @Test func generationsStay() throws {
        var bench = Bench()
        bench.ask(.write, "/a/b|1")
        let before = bench.ask(.directoryPart, "/a|0|")
        bench.service = try Self.saved(bench.service)
        #expect(bench.ask(.directoryPart, "/a|0|") == before)
        bench.ask(.write, "/a/c|1")
        #expect(bench.ask(.directoryPart, "/a|0|") != before)
    }

    @Test func outstandingRequestsStay() throws {
        var bench = Bench()
        let guest = try bench.guest(1)
        let stream = Array(repeating: StoreMessage(.read, strings: ["x"]).wireBytes, count: 30)
        _ = bench.service.receive(stream.flatMap { $0 }, from: guest)
        #expect(!bench.service.wantsInput(guest))
        bench.service = try Self.saved(bench.service)
        #expect(!bench.service.wantsInput(guest))
        #expect(bench.service.takeMessages(guest).count == 20)
        #expect(bench.service.wantsInput(guest))
    }

    @Test func damagedStatesAreRefused() throws {
        var bench = Bench()
        _ = try bench.guest(1)
        bench.ask(.write, "/a/b|")
        bench.ask(.watch, "/a|t|")
        let good = bench.service.captureState()
        let changes: [(inout StoreService.State) -> Void] = [
            { $0.nodes = [] },
            { $0.nodes[0].path = "/x" },
            { $0.nodes.append($0.nodes[1]) },
            { $0.nodes[1].path = "//" },
            { $0.nodes[1].path = "/none/x" },
            { $0.nodes[1].permissions = [] },
            { $0.nextConnection = 1 },
            { $0.connections[1].isPrivileged = true },
            { $0.connections.append($0.connections[0]) },
            { $0.connections.removeAll() },
            { $0.domains.removeAll() },
            { $0.domains.append($0.domains[0]) },
            { $0.domains[0].id = .host },
            { $0.watches[0].path = "x" },
            { $0.watches[0].prefixByteCount = 100 },
        ]
        #expect(throws: Never.self) { try StoreService(restoring: good) }
        for (number, change) in changes.enumerated() {
            var bad = good
            change(&bad)
            #expect(throws: XError.self, "change \(number)") { try StoreService(restoring: bad) }
        }
    }
}
