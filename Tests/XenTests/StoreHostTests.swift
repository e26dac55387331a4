import GuestMemory
import Interrupts
import Synchronization
import Testing
import Vocabulary
import XenStore

@testable import Xen

/// The store on the guest's ring, with the guest's side played.
struct StoreHostTests {
    private static let page: UInt64 = 0x3_0000
    private let guest: ScriptedGuest
    private let store: StoreHost
    private let port: EventChannelPort
    private let requests: ByteRing
    private let responses: ByteRing

    init() throws {
        guest = try ScriptedGuest()
        #expect(guest.mapSharedInfo() == 0)
        #expect(guest.register().allSatisfy { $0 == 0 })
        port = try #require(guest.face.eventChannels.allocate())
        store = try StoreHost(
            face: guest.face, page: GuestPhysicalAddress(Self.page), port: port, policy: .inline)
        requests = guest.face.ring(
            page: GuestPhysicalAddress(Self.page), data: 0, byteCount: 1024, indices: 2048)
        responses = guest.face.ring(
            page: GuestPhysicalAddress(Self.page), data: 1024, byteCount: 1024, indices: 2056)
        let nodes = DomainNodes(
            domain: guest.face.domain, name: "test", identifier: "0-1", processorCount: 2,
            memoryByteCount: 64 << 20, storePort: port, storeFrame: Self.page >> 12,
            consolePort: EventChannelPort(2), consoleFrame: 3)
        let client = store.makeClient()
        try store.perform { (service) throws(StoreError) in
            try nodes.make(in: &service, as: client)
        }
    }

    private func send(_ kind: StoreMessageKind, _ strings: [String], transaction: UInt32 = 0) {
        var payload: [UInt8] = []
        for string in strings { payload += Array(string.utf8) + [0] }
        if kind == .write { payload.removeLast() }
        let message = StoreMessage(
            kind, requestID: 7, transactionID: transaction, payload: payload)
        #expect(requests.write(message.wireBytes[...]) == message.wireBytes.count)
        #expect(guest.event(.send, port.rawValue).result == 0)
    }

    private func receive() -> [StoreMessage] {
        var decoder = StoreMessageDecoder()
        var messages: [StoreMessage] = []
        var bytes = responses.read()[...]
        while let message = try? decoder.next(from: &bytes) { messages.append(message) }
        return messages
    }

    @Test func requestsAreAnswered() {
        send(.read, ["memory/target"])
        let answers = receive()
        #expect(answers.count == 1)
        #expect(answers.first?.requestID == 7)
        #expect(answers.first.map { String(decoding: $0.payload, as: UTF8.self) } == "65536")
        #expect(guest.takeBits(0).contains(port.rawValue))
        send(.read, ["no/such/node"])
        #expect(receive().first?.kind == .error)
        send(.write, ["data/mine", "value"])
        #expect(receive().first?.kind == .write)
        // Not everything is the guest's.
        send(.write, ["memory/target", "1"])
        #expect(receive().first.map { String(decoding: $0.payload, as: UTF8.self) } == "EACCES\0")
    }

    @Test func watchesOfBothSidesAreTold() throws {
        let told = Mutex<[String]>([])
        let client = store.makeClient { event in told.withLock { $0.append(event.path) } }
        try store.perform { (service) throws(StoreError) in
            try service.watch("/local/domain/1/control", token: "t", as: client)
        }
        send(.watch, ["control/shutdown", "token"])
        #expect(receive().map(\.kind) == [.watch, .watchEvent])
        try store.perform { (service) throws(StoreError) in
            try service.write("/local/domain/1/control/shutdown", "poweroff", as: client)
        }
        let events = receive()
        #expect(events.map(\.strings) == [["control/shutdown", "token"]])
        send(.write, ["control/shutdown", ""])
        #expect(
            told.withLock { $0 } == [
                "/local/domain/1/control", "/local/domain/1/control/shutdown",
                "/local/domain/1/control/shutdown",
            ])
        store.removeClient(client)
    }

    @Test func answersWaitForRoom() {
        let value = String(repeating: "x", count: 40)
        for number in 0..<60 { send(.write, ["data/\(number)", value]) }
        _ = receive()
        // More than the ring holds at once.
        for _ in 0..<8 {
            send(.directory, ["data"])
            send(.read, ["data/5"])
        }
        var answers = 0
        while true {
            let messages = responses.read()
            if messages.isEmpty { break }
            answers += messages.count
            #expect(guest.event(.send, port.rawValue).result == 0)
        }
        #expect(answers > 1024)
    }

    @Test func aBrokenRingIsNotUsedUntilItIsConnectedAnew() {
        guest.memory.write(GuestPhysicalAddress(Self.page + 2052), integer: UInt32(5000))
        #expect(guest.event(.send, port.rawValue).result == 0)
        #expect(guest.word(Self.page + 2072) == 2)
        guest.memory.write(GuestPhysicalAddress(Self.page + 2068), integer: UInt32(1))
        #expect(guest.event(.send, port.rawValue).result == 0)
        #expect(guest.word(Self.page + 2068) == 0 && guest.word(Self.page + 2072) == 0)
        send(.read, ["domid"])
        #expect(receive().first.map { String(decoding: $0.payload, as: UTF8.self) } == "1")
    }

    @Test func bytesThatAreNoMessageEndTheConnection() {
        #expect(requests.write([UInt8](repeating: 0xff, count: 64)[...]) == 64)
        #expect(guest.event(.send, port.rawValue).result == 0)
        #expect(guest.word(Self.page + 2072) == 3)
        #expect(receive().isEmpty)
    }

    @Test func stateComesBack() throws {
        send(.write, ["data/kept", "yes"])
        _ = receive()
        try store.restore(store.captureState())
        send(.read, ["data/kept"])
        #expect(receive().first.map { String(decoding: $0.payload, as: UTF8.self) } == "yes")
    }
    /// XSA-326: the guest's own events, which it does not take, are not kept for ever.
    @Test func eventsThatTheGuestDoesNotTakeAreDropped() throws {
        let asked = Mutex<[UInt64]>([])
        let page: UInt64 = 0x3_2000
        let port = try #require(guest.face.eventChannels.allocate())
        let other = try StoreHost(
            face: guest.face, page: GuestPhysicalAddress(page), port: port, policy: .inline,
            checkLater: { time in asked.withLock { $0.append(time) } })
        let connection = try #require(
            try other.perform { (service) throws(StoreError) in service.connection(of: DomainID(1))
            })
        let client = other.makeClient()
        try other.perform { (service) throws(StoreError) in
            try service.write("/e", "", as: client)
            try service.setPermissions("/e", [StorePermission(.read, .host)], as: client)
            try service.watch("/e", token: "t", as: connection)
        }
        #expect(asked.withLock { $0 }.isEmpty, "nothing waits")
        let name = String(repeating: "n", count: 100)
        for number in 0..<100 {
            try other.perform { (service) throws(StoreError) in
                try service.write("/e/\(name)\(number)", "", as: client)
            }
        }
        #expect(asked.withLock { $0 } == [10_000_000_000])
        let before = try other.perform { (service) throws(StoreError) in
            service.memoryByteCount(of: DomainID(1))
        }
        #expect(other.dropStaleEvents() && other.metrics["droppedEvents"] == 0)
        #expect(asked.withLock { $0.count } == 2, "they still wait")
        #expect(other.dropStaleEvents())
        let dropped = try #require(other.metrics["droppedEvents"])
        #expect(dropped > 80)
        let after = try other.perform { (service) throws(StoreError) in
            service.memoryByteCount(of: DomainID(1))
        }
        #expect(after < before - 8_000)
    }
}
