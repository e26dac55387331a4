import Glibc
import GuestMemory
import HostIO
import Synchronization
import Testing
import Vocabulary

@testable import Xen

/// Event channels, with the guest's side played.
struct EventChannelTests {
    private func guest(fifo: Bool, vcpus: Int = 2) throws -> ScriptedGuest {
        let guest = try ScriptedGuest(vcpus: vcpus)
        #expect(guest.mapSharedInfo() == 0)
        #expect(guest.register().allSatisfy { $0 == 0 })
        for vcpu in 0..<UInt32(vcpus) { _ = guest.takeBits(vcpu) }
        if fifo { #expect(guest.useFIFO().allSatisfy { $0 == 0 }) }
        _ = guest.takenUpcalls
        return guest
    }

    private func take(_ guest: ScriptedGuest, _ vcpu: UInt32, fifo: Bool) -> [UInt32] {
        fifo ? guest.takeQueued(vcpu) : guest.takeBits(vcpu)
    }

    @Test(arguments: [false, true])
    func interprocessorEventsArriveEachTime(fifo: Bool) throws {
        let guest = try guest(fifo: fifo)
        let (result, port) = guest.event(.bindInterprocessor, 1, 0, port: 4)
        #expect(result == 0 && port == 1)
        if fifo { guest.unmaskWord(port) }
        for _ in 0..<3 {
            #expect(guest.event(.send, port).result == 0)
            #expect(guest.takenUpcalls == [1])
            // Once more before the guest has looked: no second upcall.
            #expect(guest.event(.send, port).result == 0)
            #expect(guest.takenUpcalls == [])
            #expect(take(guest, 1, fifo: fifo) == [port])
            #expect(take(guest, 0, fifo: fifo) == [])
        }
    }

    @Test(arguments: [false, true])
    func maskedEventsWait(fifo: Bool) throws {
        let guest = try guest(fifo: fifo)
        let (_, port) = guest.event(.bindInterprocessor, 0, 0, port: 4)
        if !fifo {
            guest.memory.write(
                GuestPhysicalAddress(ScriptedGuest.sharedInfo + 0xa00),
                integer: UInt64(1) << UInt64(port))
        }
        _ = guest.event(.send, port)
        #expect(guest.takenUpcalls == [])
        #expect(take(guest, 0, fifo: fifo) == [])
        #expect(guest.event(.unmask, port).result == 0)
        #expect(guest.takenUpcalls == [0])
        #expect(take(guest, 0, fifo: fifo) == [port])
    }

    @Test func queuesKeepTheirOrderAndPriorities() throws {
        let guest = try guest(fifo: true)
        let ports = (0..<4).map { _ in guest.event(.bindInterprocessor, 0, 0, port: 4).port }
        for port in ports { guest.unmaskWord(port) }
        #expect(guest.event(.setPriority, ports[2], 0).result == 0)
        #expect(guest.event(.setPriority, ports[2], 16).result == -22)
        for port in [ports[3], ports[0], ports[2], ports[1]] { _ = guest.event(.send, port) }
        #expect(guest.takeQueued(0) == [ports[2], ports[3], ports[0], ports[1]])
        // And again, from queues that have been used.
        for port in [ports[1], ports[3]] { _ = guest.event(.send, port) }
        #expect(guest.takeQueued(0) == [ports[1], ports[3]])
    }

    @Test func movedEventsLeaveTheirOldQueueWhole() throws {
        let guest = try guest(fifo: true)
        let waiting = guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4).port
        let other = guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4).port
        let channels = guest.face.eventChannels
        for port in [waiting, other] {
            #expect(channels.connect(EventChannelPort(port)) {})
            guest.unmaskWord(port)
        }
        channels.raise(EventChannelPort(waiting))
        // While it is the last of vCPU 0's queue it moves to vCPU 1, is taken, and raised there.
        #expect(guest.event(.bindVCPU, waiting, 1).result == 0)
        #expect(guest.takeQueued(0) == [waiting])
        channels.raise(EventChannelPort(waiting))
        channels.raise(EventChannelPort(other))
        #expect(guest.takeQueued(0) == [other])
        #expect(guest.takeQueued(1) == [waiting])
    }

    @Test func whatComesBeforeTheGuestIsReadyIsNotLost() throws {
        let guest = try ScriptedGuest()
        let channels = guest.face.eventChannels
        let port = try #require(channels.allocate())
        #expect(channels.connect(port) {})
        channels.raise(port)
        #expect(guest.mapSharedInfo() == 0)
        #expect(guest.register().allSatisfy { $0 == 0 })
        #expect(guest.takenUpcalls.contains(0))
        #expect(guest.takeBits(0) == [port.rawValue])
        // Pending as a bit when the guest changes to queues.
        channels.raise(port)
        #expect(guest.useFIFO().allSatisfy { $0 == 0 })
        #expect(guest.takeQueued(0) == [])
        guest.unmaskWord(port.rawValue)
        #expect(guest.event(.unmask, port.rawValue).result == 0)
        #expect(guest.takeQueued(0) == [port.rawValue])
    }

    @Test func theHostHearsWhatTheGuestSends() throws {
        let guest = try guest(fifo: true)
        let port = guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4).port
        let heard = Mutex(0)
        let channels = guest.face.eventChannels
        // Nobody is there yet.
        #expect(guest.event(.send, port).result == 0)
        #expect(channels.connect(EventChannelPort(port)) { heard.withLock { $0 += 1 } })
        #expect(!channels.connect(EventChannelPort(port)) {})
        #expect(guest.event(.send, port).result == 0)
        #expect(heard.withLock { $0 } == 1)
        #expect(guest.event(.close, port).result == 0)
        #expect(guest.event(.send, port).result == -22)
        channels.raise(EventChannelPort(port))
        #expect(guest.takeQueued(0) == [])
        #expect(heard.withLock { $0 } == 1)
    }

    @Test func portsOfTheGuestAreConnectedWithEachOther() throws {
        let guest = try guest(fifo: false)
        let first = guest.event(.allocateUnbound, 0x7ff0_7ff0, 0, port: 4).port
        let (result, second) = guest.event(.bindInterdomain, 0x7ff0, first, 0, port: 8)
        #expect(result == 0)
        _ = guest.takeBits(0)
        #expect(guest.event(.send, first).result == 0)
        #expect(guest.takeBits(0) == [second])
        #expect(guest.event(.send, second).result == 0)
        #expect(guest.takeBits(0) == [first])
        #expect(guest.event(.close, second).result == 0)
        #expect(
            guest.face.eventChannels.binding(EventChannelPort(first))
                == .unbound(remote: guest.face.domain))
    }

    @Test func refusals() throws {
        let guest = try guest(fifo: false)
        #expect(guest.event(.send, 0).result == -22)
        #expect(guest.event(.send, 4096).result == -22)
        #expect(guest.event(.send, .max).result == -22)
        #expect(guest.event(.close, 17).result == -22)
        #expect(guest.event(.bindInterprocessor, 2, 0).result == -2)
        #expect(guest.event(.bindVirtualInterrupt, 24, 0, 0).result == -22)
        #expect(guest.event(.bindVirtualInterrupt, 0, 7, 0).result == -2)
        #expect(guest.event(.bindVirtualInterrupt, 0, 1, 0).result == 0)
        #expect(guest.event(.bindVirtualInterrupt, 0, 1, 0).result == -17)
        // Another domain's ports, and operations of FIFO events without them.
        #expect(guest.event(.bindInterdomain, 2, 1, 0).result == -3)
        #expect(guest.event(.allocateUnbound, 2, 0).result == -1)
        #expect(guest.event(.expandArray, 0x13, 0).result == -38)
        #expect(guest.event(.setPriority, 1, 0).result == -38)
        #expect(guest.event(.initializeControl, 0x12, 0, 4032, 0).result == -22)
        #expect(guest.event(.initializeControl, 0x12, 0, 4, 0).result == -22)
        #expect(guest.event(.initializeControl, 0xffff_ffff, 0xff, 0, 0).result == -22)
        #expect(guest.error(guest.call(.eventChannel, 99, 0)) == -38)
        #expect(guest.error(guest.call(.eventChannel, 4, 1 << 40)) == -14)
    }

    @Test func portsRunOutCleanly() throws {
        let guest = try guest(fifo: false)
        for _ in 1..<EventChannels.portCount {
            #expect(guest.event(.bindInterprocessor, 0, 0).result == 0)
        }
        #expect(guest.event(.bindInterprocessor, 0, 0).result == -28)
        #expect(guest.event(.close, 77).result == 0)
        #expect(guest.event(.bindInterprocessor, 0, 0, port: 4).port == 77)
    }

    /// A guest that writes anything into its own words and heads: nothing but its events suffers.
    @Test func hostileWords() throws {
        let guest = try guest(fifo: true)
        var generator = SystemRandomNumberGenerator()
        let ports = (0..<32).map { _ in guest.event(.bindInterprocessor, 0, 0, port: 4).port }
        for round in 0..<20_000 {
            let word = GuestPhysicalAddress(
                ScriptedGuest.words + UInt64.random(in: 0..<64, using: &generator) * 4)
            guest.memory.write(word, integer: UInt32.random(in: 0...UInt32.max, using: &generator))
            guest.memory.write(
                GuestPhysicalAddress(ScriptedGuest.control + UInt64(round % 32) * 4),
                integer: UInt32.random(in: 0...UInt32.max, using: &generator))
            _ = guest.event(.send, ports[round % ports.count])
            _ = guest.event(.unmask, ports[round % ports.count])
        }
        #expect(guest.face.metrics["eventsSent"] ?? 0 >= 20_000)
    }

    /// Many threads raise, the guest takes: none is lost.
    @Test func eventsOfManyThreadsAllArrive() throws {
        let guest = try guest(fifo: true, vcpus: 1)
        let channels = guest.face.eventChannels
        let ports = (0..<8).map { _ in guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4).port }
        for port in ports {
            #expect(channels.connect(EventChannelPort(port)) {})
            guest.unmaskWord(port)
        }
        let done = Atomic<Int>(0)
        let rounds = 3_000
        let counts = Mutex([UInt32: Int]())
        withThreads(ports.count) { index in
            for _ in 0..<rounds { channels.raise(EventChannelPort(ports[index])) }
            // The last one must be seen after it.
            done.add(1, ordering: .sequentiallyConsistent)
        } meanwhile: {
            var left = true
            while left {
                left = done.load(ordering: .sequentiallyConsistent) < ports.count
                for port in guest.takeQueued(0) {
                    counts.withLock { $0[port, default: 0] += 1 }
                }
            }
        }
        let seen = counts.withLock { $0 }
        for port in ports {
            #expect(seen[port] ?? 0 > 0)
            let word = guest.word(ScriptedGuest.words + UInt64(port) * 4)
            #expect(word & (EventWord.pending | EventWord.linked) == 0)
        }
    }

    /// Two threads raise at the same time, again and again as soon as the guest has taken both events:
    /// what was the last event of the queue may be on its way in again. (Two events linked to each other,
    /// and the guest found neither.)
    @Test func eventsThatRaceIntoAnEmptyQueueAllArrive() throws {
        let guest = try guest(fifo: true, vcpus: 1)
        let channels = guest.face.eventChannels
        let ports = (0..<2).map { _ in guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4).port }
        for port in ports {
            #expect(channels.connect(EventChannelPort(port)) {})
            guest.unmaskWord(port)
        }
        let taken = EventCounts()
        let rounds = 2_000
        let finished = EventCounts()
        withThreads(ports.count) { index in
            for round in 0..<rounds {
                channels.raise(EventChannelPort(ports[index]))
                let deadline = HostThread.monotonicNow.nanoseconds + 2_000_000_000
                while taken[0] <= round || taken[1] <= round {
                    if HostThread.monotonicNow.nanoseconds > deadline { return finished.add(1) }
                    sched_yield()
                }
            }
            finished.add(0)
            finished.add(1)
        } meanwhile: {
            while finished[1] < ports.count {
                for port in guest.takeQueued(0) {
                    if let index = ports.firstIndex(of: port) { taken.add(index) }
                }
                sched_yield()
            }
        }
        #expect(finished[0] == ports.count, "\(taken[0]) and \(taken[1]) of \(rounds) arrived")
    }
}

/// Two numbers that several threads raise and read.
private final class EventCounts: Sendable {
    private let first = Atomic<Int>(0)
    private let second = Atomic<Int>(0)

    subscript(index: Int) -> Int {
        index == 0
            ? first.load(ordering: .sequentiallyConsistent)
            : second.load(ordering: .sequentiallyConsistent)
    }

    func add(_ index: Int) {
        if index == 0 {
            first.add(1, ordering: .sequentiallyConsistent)
        } else {
            second.add(1, ordering: .sequentiallyConsistent)
        }
    }
}
