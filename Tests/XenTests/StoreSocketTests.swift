import Glibc
import GuestMemory
import HostIO
import Interrupts
import Synchronization
import Testing
import Vocabulary
import XenStore

@testable import Xen

/// The store on a socket of the host, with clients that are played, and a guest on its ring.
final class StoreSocketTests {
    private static let page: UInt64 = 0x3_0000
    private let path = "/tmp/martlet-store-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    private let guest: ScriptedGuest
    private let port: EventChannelPort
    private let store: StoreHost
    private let socket: StoreSocket

    init() throws {
        guest = try ScriptedGuest()
        #expect(guest.mapSharedInfo() == 0)
        #expect(guest.register().allSatisfy { $0 == 0 })
        port = try #require(guest.face.eventChannels.allocate())
        store = try StoreHost(
            face: guest.face, page: GuestPhysicalAddress(Self.page), port: port, policy: .inline)
        socket = try StoreSocket(path: path, option: "--socket", store: store)
        try socket.start()
        let client = try ScriptedStoreClient(path)
        try client.write("/local/domain/1/data", "")
        _ = try client.call(.setPermissions, ["/local/domain/1/data", "n1"])
    }

    deinit {
        socket.stop()
        var information = stat()
        #expect(unsafe lstat(path, &information) != 0, "the socket is left")
    }

    private func client() throws -> ScriptedStoreClient { try ScriptedStoreClient(path) }

    /// The guest writes; false: its ring is full.
    private func guestWrites(_ path: String, _ value: String) -> Bool {
        let requests = guest.face.ring(
            page: GuestPhysicalAddress(Self.page), data: 0, byteCount: 1024, indices: 2048)
        let message = StoreMessage(
            .write, payload: Array(path.utf8) + [0] + Array(value.utf8))
        let bytes = message.wireBytes
        guard requests.room >= bytes.count else { return false }
        #expect(requests.write(bytes[...]) == bytes.count)
        #expect(guest.event(.send, port.rawValue).result == 0)
        return true
    }

    private func guestReads() -> [StoreMessage] {
        let responses = guest.face.ring(
            page: GuestPhysicalAddress(Self.page), data: 1024, byteCount: 1024, indices: 2056)
        var decoder = StoreMessageDecoder()
        var messages: [StoreMessage] = []
        var bytes = responses.read()[...]
        while let message = try? decoder.next(from: &bytes) { messages.append(message) }
        #expect(guest.event(.send, port.rawValue).result == 0)
        return messages
    }

    @Test func nodesAreWrittenAndRead() throws {
        let (one, two) = (try client(), try client())
        try one.write("/a/b", "first")
        #expect(try two.call(.read, ["/a/b"]) == "first")
        #expect(try two.call(.directory, ["/a"]) == "b\0")
        // Relative paths begin at the host's home, and all rights are there.
        try two.write("x", "mine")
        #expect(try one.call(.read, ["/local/domain/0/x"]) == "mine")
        #expect(try one.call(.getPermissions, ["/local/domain/1/data"]) == "n1\0")
        #expect(try one.call(.remove, ["/a"]) == "OK\0")
        #expect(throws: StoreError.notFound) { try two.call(.read, ["/a/b"]) }
        #expect(throws: StoreError.invalidArgument) { try two.call(.read, ["//"]) }
        #expect(guestWrites("data/mine", "of the guest") && guestReads().count == 1)
        #expect(try two.call(.read, ["/local/domain/1/data/mine"]) == "of the guest")
    }

    @Test func theFileIsForItsUserAlone() {
        var information = stat()
        #expect(unsafe lstat(path, &information) == 0)
        #expect(information.st_mode & S_IFMT == S_IFSOCK && information.st_mode & 0o777 == 0o600)
    }

    @Test func transactionsAreWholeAndConflict() throws {
        let (one, two) = (try client(), try client())
        func start(_ client: ScriptedStoreClient) throws -> UInt32 {
            let text = try #require(try client.call(.transactionStart, [""]))
            return try #require(UInt32(text.dropLast()))
        }
        let first = try start(one)
        try one.write("/t/a", "1", first)
        #expect(throws: StoreError.notFound) { try two.call(.read, ["/t/a"]) }
        #expect(try one.call(.transactionEnd, ["T"], first) == "OK\0")
        #expect(try two.call(.read, ["/t/a"]) == "1")
        let second = try start(one)
        #expect(try one.call(.read, ["/t/a"], second) == "1")
        try two.write("/t/a", "2")
        try one.write("/t/a", "3", second)
        #expect(throws: StoreError.tryAgain) { try one.call(.transactionEnd, ["T"], second) }
        #expect(try two.call(.read, ["/t/a"]) == "2")
        // A number of one client says nothing to another.
        let third = try start(one)
        #expect(throws: StoreError.notFound) { try two.call(.read, ["/t/a"], third &+ 100) }
        #expect(try one.call(.transactionEnd, ["F"], third) == "OK\0")
    }

    @Test func watchesFireAtOnceAndThenForOthers() throws {
        let (one, two) = (try client(), try client())
        #expect(try one.call(.watch, ["/w", "token"]) == "OK\0")
        #expect(try one.event() == StoreWatchEvent(path: "/w", token: "token"))
        try two.write("/w/deep/node", "x")
        #expect(try one.event() == StoreWatchEvent(path: "/w/deep/node", token: "token"))
        #expect(try one.call(.watch, ["/local/domain/1/data", "of the guest"]) == "OK\0")
        #expect(try one.event()?.path == "/local/domain/1/data")
        #expect(guestWrites("data/told", "x"))
        #expect(
            try one.event()
                == StoreWatchEvent(path: "/local/domain/1/data/told", token: "of the guest"))
        #expect(try one.call(.unwatch, ["/w", "token"]) == "OK\0")
        try two.write("/w/deep/node", "y")
        #expect(try one.event(milliseconds: 50) == nil)
        #expect(try two.event(milliseconds: 0) == nil)
    }

    @Test func piecesOfMessagesAreJoined() throws {
        let one = try client()
        try one.write("/p", "value")
        let other = try client()
        for byte in try one.bytes(.write, ["/q", "whole"]) {
            #expect(one.send([byte]))
            #expect(try other.call(.read, ["/p"]) == "value")
        }
        #expect(try one.call(.read, ["/q"]) == "whole\0")
        // Half a message of one that goes is no message.
        let half = try client()
        #expect(half.send(try half.bytes(.write, ["/half", "x"]).dropLast(3)))
        half.endSending()
        #expect(try half.readToEnd())
        #expect(throws: StoreError.notFound) { try other.call(.read, ["/half"]) }
        // What a client has asked for before it ends is answered, however slowly it reads.
        try other.write("/p", String(repeating: "x", count: 4000))
        for count in stride(from: 10, to: 90, by: 8) {
            let last = try client()
            let read = try last.bytes(.read, ["/p"])
            #expect(last.send((0..<count).flatMap { _ in read }))
            #expect(last.send(try last.bytes(.makeDirectory, ["/last\(count)"])))
            last.endSending()
            usleep(20_000)
            #expect(try last.readToEnd())
            #expect(last.byteCount == count * 4016 + 19)
            #expect(try other.call(.read, ["/last\(count)"])?.isEmpty == true)
        }
    }

    @Test func garbageEndsOneConnectionOnly() throws {
        let (bad, good) = (try client(), try client())
        #expect(try good.call(.watch, ["/g", "t"]) == "OK\0")
        #expect(try good.event()?.path == "/g")
        #expect(try bad.call(.watch, ["/g", "t"]) == "OK\0")
        bad.send([UInt8](repeating: 0xff, count: 5000))
        #expect(try bad.readToEnd())
        try good.write("/g", "x")
        #expect(try good.event()?.path == "/g")
        // Kinds that are none, and empty payloads, are refused and no more.
        let odd = try client()
        for kind in [0, 3, 9, 11, 20, 77, UInt32.max] {
            #expect(throws: StoreError.self) {
                try odd.call(StoreMessageKind(rawValue: kind), [] as [UInt8])
            }
        }
        #expect(try odd.call(.read, ["/g"]) == "x")
    }

    /// Requests whose replies are not taken wait; what was taken already is answered.
    @Test func aClientThatAsksAndDoesNotReadIsNotHeard() throws {
        let (mute, good) = (try client(), try client())
        try good.write("/big", String(repeating: "x", count: 4000))
        let request = try mute.bytes(.read, ["/big"])
        var count = 0
        while count < 1_000_000, mute.send(request, milliseconds: 200) { count += 1 }
        #expect(count < 1_000_000, "nothing held it up")
        #expect(try good.call(.read, ["/big"])?.utf8.count == 4000)
        // It has not been dropped: it is at fault itself, and may go on.
        var bytes = 0
        while try mute.read(milliseconds: 200) { bytes += 1 }
        #expect(!mute.isClosed && bytes > 0)
    }

    /// Events do not wait for a client, and neither does the guest.
    @Test func aClientThatDoesNotTakeItsEventsIsDropped() throws {
        let (mute, good) = (try client(), try client())
        #expect(try mute.call(.watch, ["/local/domain/1/data", "t"]) == "OK\0")
        // More than the guest may have under way with events not taken.
        var answers = 0
        let name = String(repeating: "n", count: 60)
        for number in 0..<2_000 {
            var tries = 0
            while tries < 500, !guestWrites("data/\(name)\(number % 500)", "x") {
                usleep(10_000)
                answers += guestReads().count
                tries += 1
            }
            answers += guestReads().count
            if tries == 500 { break }
        }
        for _ in 0..<500 where answers < 2_000 {
            usleep(10_000)
            answers += guestReads().count
        }
        #expect(answers == 2_000, "the guest is held up")
        var number = 0
        while number < 200_000, try good.call(.isDomainIntroduced, ["1"]) == "T\0" {
            for _ in 0..<500 {
                try good.write("/local/domain/1/data/\(name)\(number)", "")
                _ = try good.call(.remove, ["/local/domain/1/data/\(name)\(number)"])
                number += 1
            }
            if try store.perform({ (service) throws(StoreError) in
                service.connectionIDs.count { service.client($0)?.isPrivileged == true }
            }) < 2 {
                break
            }
        }
        #expect(number < 200_000, "it was not dropped")
        #expect(try mute.readToEnd())
    }

    @Test func theGuestWaitsForEventsOnItsWay() throws {
        let one = try client()
        #expect(try one.call(.watch, ["/local/domain/1/data", "t"]) == "OK\0")
        _ = try one.event()
        for number in 0..<300 {
            #expect(guestWrites("data/\(number)", "x"))
            #expect(try one.event()?.path == "/local/domain/1/data/\(number)")
            #expect(guestReads().count == 1)
        }
    }

    /// More requests than may be under way, which the guest tells of once.
    @Test func theGuestGoesOnWhenEventsAreTaken() throws {
        let tellings = Mutex<Int>(0)
        let stream = store.connect { tellings.withLock { $0 += 1 } }
        let watch = StoreMessage(.watch, strings: ["/local/domain/1/data", "t"]).wireBytes
        #expect(store.receive(watch, from: stream) == watch.count)
        #expect(store.takeOutput(stream, limit: 1000)?.isEmpty == false)
        #expect(tellings.withLock { $0 } == 1)
        let requests = guest.face.ring(
            page: GuestPhysicalAddress(Self.page), data: 0, byteCount: 1024, indices: 2048)
        for number in 10..<46 {
            let message = StoreMessage(.write, strings: ["data/\(number)"])
            #expect(requests.write(message.wireBytes[...]) == message.byteCount)
        }
        #expect(guest.event(.send, port.rawValue).result == 0)
        #expect(tellings.withLock { $0 } == 2)
        #expect(guest.word(Self.page + 2060) == 20 * 19, "20 answers")
        #expect(store.takeOutput(stream, limit: 100_000)?.isEmpty == false)
        #expect(tellings.withLock { $0 } == 3)
        #expect(guest.word(Self.page + 2060) == 36 * 19)
        #expect(store.takeOutput(stream, limit: 100_000)?.isEmpty == false)
        #expect(store.takeOutput(stream, limit: 100_000)?.isEmpty == true)
        store.disconnect(stream)
        #expect(store.takeOutput(stream, limit: 100) == nil)
    }

    @Test func manyClientsComeAndGo() throws {
        for round in 0..<20 {
            let clients = try (0..<16).map { _ in try client() }
            for (number, each) in clients.enumerated() {
                #expect(try each.call(.watch, ["/m", "\(number)"]) == "OK\0")
                #expect(try each.event()?.token == "\(number)")
            }
            try clients[0].write("/m", "\(round)")
            for (number, each) in clients.enumerated() {
                #expect(try each.event() == StoreWatchEvent(path: "/m", token: "\(number)"))
            }
        }
        let one = try client()
        #expect(try one.call(.read, ["/m"]) == "19")
        // There is an end to how many are served.
        let many = try (0..<80).map { _ in try client() }
        let served = try many.count { try $0.call(.read, ["/m"]) == "19" }
        #expect(served == StoreSocketRun.clientLimit - 1)
    }

    @Test func aStateTakenBackEndsTheConnections() throws {
        let one = try client()
        try one.write("/s", "kept")
        #expect(try one.call(.watch, ["/s", "t"]) == "OK\0")
        let state = store.captureState()
        try store.restore(state)
        #expect(try one.readToEnd())
        let two = try client()
        #expect(try two.call(.read, ["/s"]) == "kept")
        try store.perform { (service) throws(StoreError) in
            #expect(service.connectionIDs.count == 2)
        }
        #expect(try two.call(.read, ["/s"]) == "kept")
    }

    @Test func theRingBeginsAnewWhenTheHostSaysSo() throws {
        let one = try client()
        #expect(guestWrites("data/a", "x"))
        #expect(try one.call(.introduce, ["1", "48", "\(port.rawValue)"]) == "OK\0")
        #expect(guest.word(Self.page + 2060) == 0, "answers are left in the ring")
        #expect(guestWrites("data/b", "x") && guestReads().map(\.kind) == [.write])
        // Notes are not kept.
        for _ in 0..<3 { #expect(try one.call(.control, ["print", "note"]) == "OK\0") }
        try store.perform { (service) throws(StoreError) in
            #expect(service.takeEffects().isEmpty)
        }
    }

    // MARK: The path

    private func failure(at path: String) -> XError? {
        do throws(XError) {
            _ = try StoreSocket(path: path, option: "--socket", store: store)
            return nil
        } catch {
            return error
        }
    }

    @Test func aSocketThatIsServedIsRefused() throws {
        let error = try #require(failure(at: path))
        #expect(error.code == .busy)
        #expect(error.message.contains(path) && error.message.contains("--socket"))
        #expect(try client().call(.isDomainIntroduced, ["1"]) == "T\0")
    }

    @Test func aSocketThatWasLeftIsReplaced() throws {
        let left = path + "-left"
        do {
            let listener = try UnixListener(path: path + "-made", option: "--socket")
            #expect(unsafe link(listener.path, left) == 0)
        }
        var information = stat()
        #expect(unsafe lstat(left, &information) == 0)
        do {
            let other = try StoreSocket(path: left, option: "--socket", store: store)
            try other.start()
            try ScriptedStoreClient(left).write("/there", "")
            // Somebody else's file is not removed.
            #expect(unsafe unlink(left) == 0)
            #expect(unsafe symlink("/nowhere", left) == 0)
        }
        #expect(unsafe lstat(left, &information) == 0)
        #expect(unsafe unlink(left) == 0)
    }

    @Test func impossiblePathsAreNamed() throws {
        for wrong in ["", "/tmp/" + String(repeating: "x", count: 103)] {
            let error = try #require(failure(at: wrong))
            #expect(error.code == .invalidArgument)
            #expect(error.message.contains("1 to 107 bytes"))
        }
        for wrong in ["/no/such/folder/socket", "/tmp"] {
            #expect(failure(at: wrong)?.message.contains("'\(wrong)'") == true)
        }
        let file = path + "-file"
        close(unsafe open(file, O_CREAT | O_WRONLY, 0o600))
        #expect(failure(at: file)?.message.contains("is no socket") == true)
        #expect(unsafe unlink(file) == 0, "it was removed")
        #expect(throws: XError.self) { _ = try UnixSocket.connect(file) }
    }
}
