import GuestMemory
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Xen

/// Hypercalls but those of event channels and grants, and what they do to the guest's memory.
struct XenFaceTests {
    private func ready() throws -> ScriptedGuest {
        let guest = try ScriptedGuest()
        #expect(guest.mapSharedInfo() == 0)
        #expect(guest.register().allSatisfy { $0 == 0 })
        return guest
    }

    @Test func leaves() {
        let base = XenFace.cpuid(0x4000_0000, 0, vcpu: 0, frequency: 1)
        #expect(
            base
                == CPUIDResult(
                    eax: 0x4000_0005, ebx: 0x566e_6558, ecx: 0x6558_4d4d, edx: 0x4d4d_566e))
        let identity = XenFace.cpuid(0x4000_0004, 0, vcpu: 3, frequency: 1)
        #expect(identity?.ebx == 3 && identity?.ecx == 1)
        #expect(identity?.eax == 0x58)
        #expect(XenFace.cpuid(0x4000_0006, 0, vcpu: 0, frequency: 1) == nil)
    }

    @Test func versionAndFeatures() throws {
        let guest = try ScriptedGuest()
        #expect(guest.call(.version, 0).result == 4 << 16 | 17)
        let address = guest.put(0, 0)
        #expect(guest.error(guest.call(.version, 6, address)) == 0)
        let features = guest.word(address + 4)
        #expect(features & 1 << 2 != 0 && features & 1 << 8 != 0 && features & 1 << 9 != 0)
        // No interrupts of hardware, not the first domain.
        #expect(features & (1 << 10 | 1 << 11) == 0)
        #expect(guest.error(guest.call(.version, 99)) == -38)
    }

    @Test func onlyTheKernelMayCall() throws {
        let guest = try ScriptedGuest()
        var frame = HypercallFrame()
        frame.rax = HypercallNumber.version.rawValue
        frame.privilegeLevel = 3
        let outcome = guest.face.hypercall(frame, from: VCPUIndex(0), in: guest)
        #expect(outcome == XenOutcome(UInt64(bitPattern: -1)))
        frame.privilegeLevel = 0
        frame.rax = 40
        #expect(
            guest.face.hypercall(frame, from: VCPUIndex(0), in: guest).result
                == XenFace.unknownHypercall)
    }

    @Test func clocksOfAllVCPUsAreInTheirInformation() throws {
        let guest = try ready()
        for vcpu in 0..<UInt64(2) {
            let time = ScriptedGuest.information + vcpu * 64 + 32
            #expect(guest.word(time) & 1 == 0 && guest.word(time) > 0)
            #expect(guest.long(time + 8) == guest.long(time + 16))
            // Stable: all counters agree.
            #expect(guest.word(time + 28) >> 8 & 1 == 1)
        }
        #expect(guest.word(ScriptedGuest.sharedInfo + 0xc04) == 4999)
        guest.face.adjustCounter(by: 5, of: VCPUIndex(1))
        #expect(guest.word(ScriptedGuest.information + 60) >> 8 & 1 == 0)
        let second = ScriptedGuest.information + 64 + 32
        #expect(guest.long(second + 8) == guest.long(second + 16) + 5)
    }

    @Test func informationIsRegisteredOnce() throws {
        let guest = try ready()
        let frame = UInt32(ScriptedGuest.information >> 12)
        // The same again is taken, another place is not.
        #expect(guest.error(guest.call(.vcpu, 10, 0, guest.put(frame, 0, 0, 0))) == 0)
        #expect(guest.error(guest.call(.vcpu, 10, 0, guest.put(frame, 0, 128, 0))) == -22)
        #expect(guest.error(guest.call(.vcpu, 10, 9, guest.put(frame, 0, 0, 0))) == -2)
        #expect(guest.error(guest.call(.vcpu, 10, 1, guest.put(frame, 0, 4080, 0))) == -22)
        #expect(guest.error(guest.call(.vcpu, 10, 1, guest.put(0, 0x1000, 0, 0))) == -22)
    }

    @Test func timers() throws {
        let guest = try ready()
        #expect(guest.event(.bindVirtualInterrupt, 0, 1, 0, port: 8).port == 1)
        _ = guest.takeBits(1)
        #expect(guest.error(guest.call(.vcpu, 8, 1, guest.put(5_000, 0, 0, 0))) == 0)
        #expect(guest.log.timers.withLock { $0[1] } == 5_000)
        guest.face.timerExpired(VCPUIndex(1))
        #expect(guest.takeBits(1) == [1])
        // One that is over: refused if so wished, else it comes at once.
        #expect(guest.error(guest.call(.vcpu, 8, 1, guest.put(500, 0, 1, 0))) == -62)
        #expect(guest.error(guest.call(.vcpu, 8, 1, guest.put(500, 0, 0, 0))) == 0)
        #expect(guest.error(guest.call(.vcpu, 9, 1)) == 0)
        #expect(guest.log.timers.withLock { $0[1] } == nil)
        // A vCPU without the interrupt.
        guest.face.timerExpired(VCPUIndex(0))
        #expect(guest.takeBits(0).isEmpty)
    }

    @Test func pollsEndWithTheEvent() throws {
        let guest = try ready()
        let (_, port) = guest.event(.bindInterprocessor, 1, 0, port: 4)
        _ = guest.takeBits(1)
        let list: UInt64 = 0x9000
        guest.memory.write(GuestPhysicalAddress(list), integer: port)
        func poll(_ timeout: UInt32 = 0) -> XenOutcome {
            guest.call(.scheduler, 3, guest.put(UInt32(list), 0, 1, 0, timeout, 0), from: 1)
        }
        #expect(poll() == XenOutcome(0, .poll))
        #expect(!guest.face.takeKick(VCPUIndex(1)))
        _ = guest.event(.send, port)
        #expect(guest.log.kicks.withLock { $0 } == [1])
        #expect(guest.face.takeKick(VCPUIndex(1)))
        #expect(!guest.face.takeKick(VCPUIndex(1)))
        // It is pending still: nothing to wait for.
        #expect(poll() == XenOutcome(0))
        _ = guest.takeBits(1)
        #expect(poll(7_000) == XenOutcome(0, .poll))
        #expect(guest.log.pollTimers.withLock { $0[1] } == 7_000)
        guest.face.pollExpired(VCPUIndex(1))
        #expect(guest.face.takeKick(VCPUIndex(1)))
        // The event comes when nobody waits any more: no kick.
        guest.face.pollExpired(VCPUIndex(1))
        _ = guest.event(.send, port)
        #expect(!guest.face.takeKick(VCPUIndex(1)))
        // Too many, and ports that are none.
        #expect(
            guest.error(guest.call(.scheduler, 3, guest.put(UInt32(list), 0, 999, 0, 0, 0))) == -22)
        guest.memory.write(GuestPhysicalAddress(list), integer: UInt32(5_000))
        #expect(guest.error(poll()) == -22)
    }

    @Test func blocksUntilThereIsAnEvent() throws {
        let guest = try ready()
        _ = guest.takeBits(0)
        #expect(guest.call(.scheduler, 1) == XenOutcome(0, .block))
        let (_, port) = guest.event(.bindInterprocessor, 0, 0, port: 4)
        _ = guest.event(.send, port)
        #expect(guest.call(.scheduler, 1) == XenOutcome(0))
        #expect(guest.call(.scheduler, 0) == XenOutcome(0, .yield))
        #expect(guest.call(.scheduler, 2, guest.put(3)) == XenOutcome(0, .shutdown(.crash)))
        #expect(guest.error(guest.call(.scheduler, 2, guest.put(77))) == -22)
    }

    @Test func runstates() throws {
        let guest = try ready()
        let area: UInt64 = 0xa000
        #expect(guest.error(guest.call(.vcpu, 5, 0, guest.put(UInt32(area), 0))) == 0)
        let vcpu = VCPUIndex(0)
        guest.face.scheduledIn(vcpu, stolenNanoseconds: 0)
        #expect(guest.word(area) == 0)
        let began = guest.long(area + 16)
        guest.log.now.withLock { $0 += 100 }
        guest.face.scheduledOut(vcpu, preempted: true)
        #expect(guest.word(area) == 1)
        #expect(guest.long(area + 16) == began + 100)
        guest.log.now.withLock { $0 += 30 }
        guest.face.scheduledIn(vcpu, stolenNanoseconds: 30)
        #expect(guest.long(area + 24) == 30)
        guest.face.scheduledOut(vcpu, preempted: false)
        guest.log.now.withLock { $0 += 50 }
        // It was woken 20 before it ran.
        guest.face.scheduledIn(vcpu, stolenNanoseconds: 20)
        #expect(guest.long(area + 24) == 50)
        #expect(guest.long(area + 32) == 30)
        #expect(guest.error(guest.call(.vcpu, 5, 0, guest.put(UInt32(area + 4), 0))) == -14)
        #expect(guest.error(guest.call(.vcpu, 5, 0, guest.put(0, 0x4000))) == -14)
    }

    @Test func parameters() throws {
        let guest = try ScriptedGuest()
        guest.face[.storeFrame] = 0xfeffc
        let address = guest.put(0x7ff0, 1, 0, 0)
        #expect(guest.error(guest.call(.hvm, 1, address)) == 0)
        #expect(guest.long(address + 8) == 0xfeffc)
        #expect(guest.error(guest.call(.hvm, 0, guest.put(0x7ff0, 1, 5, 0))) == -1)
        #expect(guest.error(guest.call(.hvm, 1, guest.put(2, 1, 0, 0))) == -1)
        #expect(guest.error(guest.call(.hvm, 1, guest.put(0x7ff0, 50, 0, 0))) == -22)
        #expect(guest.error(guest.call(.hvm, 23, guest.put(0, 8))) == -22)
        #expect(guest.error(guest.call(.hvm, 23, guest.put(9, 0x80))) == -2)
    }

    @Test func theDomainsVectorIsInjectedWithoutALocalAPIC() throws {
        let guest = try ScriptedGuest()
        #expect(guest.mapSharedInfo() == 0)
        let vcpu = VCPUIndex(0)
        #expect(guest.face.directVector(vcpu) == nil)
        #expect(
            guest.error(guest.call(.hvm, 0, guest.put(0x7ff0, 0, 0xf3, 2 << 24))) == 0)
        #expect(guest.face.directVector(vcpu) == nil)
        let (_, port) = guest.event(.bindInterprocessor, 0, 0, port: 4)
        _ = guest.event(.send, port)
        #expect(guest.face.directVector(vcpu) == 0xf3)
        #expect(guest.takenUpcalls == [0])
    }

    @Test func hypercallPage() throws {
        let guest = try ScriptedGuest()
        #expect(guest.face.write(0x4000_0000, 0x7000))
        #expect(
            guest.memory.read(GuestPhysicalAddress(0x7000 + 29 * 32), byteCount: 9)
                == [0xb8, 29, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xc3])
        #expect(!guest.face.write(0x4000_0000, 0x7001))
        #expect(!guest.face.write(0x4000_0000, 1 << 40))
        #expect(!guest.face.write(0x4000_0001, 0x7000))
    }

    @Test func memoryOperations() throws {
        let guest = try ScriptedGuest()
        // Space that is none, a frame that is no RAM, another domain.
        #expect(guest.error(guest.call(.memory, 7, guest.put(0x7ff0, 9, 0, 0, 16, 0))) == -22)
        #expect(guest.error(guest.call(.memory, 7, guest.put(0x7ff0, 0, 0, 0, 1 << 20, 0))) == -22)
        #expect(guest.error(guest.call(.memory, 7, guest.put(2, 0, 0, 0, 16, 0))) == -1)
        // The balloon: what is given away reads as zeros afterwards.
        let page: UInt64 = 0x50_000
        guest.memory.write(GuestPhysicalAddress(page), integer: UInt64.max)
        guest.memory.write(GuestPhysicalAddress(0x9000), integer: page >> 12)
        let request = guest.put(0x9000, 0, 1, 0, 0, 0, 0x7ff0, 0)
        #expect(guest.call(.memory, 1, request).result == 1)
        #expect(guest.long(page) == 0)
        #expect(guest.call(.memory, 6, request).result == 1)
        #expect(guest.call(.memory, 6, guest.put(0x9000, 0, 1, 0, 63, 0, 0x7ff0, 0)).result == 0)
    }

    @Test func stateComesBack() throws {
        let guest = try ready()
        #expect(guest.useFIFO().allSatisfy { $0 == 0 })
        let (_, ipi) = guest.event(.bindInterprocessor, 1, 0, port: 4)
        let (_, waiting) = guest.event(.allocateUnbound, 0x0000_7ff0, 0, port: 4)
        #expect(guest.face.eventChannels.connect(EventChannelPort(waiting)) {})
        guest.unmaskWord(ipi)
        _ = guest.event(.send, ipi)
        let state = guest.face.captureState()
        let other = try ScriptedGuest()
        _ = other.memory.write(
            GuestPhysicalAddress(0),
            guest.memory.read(GuestPhysicalAddress(0), byteCount: 4 << 20) ?? [])
        try other.face.restore(state)
        #expect(
            other.face.captureState().ports
                == state.ports.map { port in
                    var port = port
                    if port.binding == .host { port.binding = .unbound(remote: .host) }
                    return port
                })
        #expect(other.takeQueued(1) == [ipi])
        _ = other.event(.send, ipi)
        #expect(other.takeQueued(1) == [ipi])
        let small = try ScriptedGuest(vcpus: 1)
        #expect(throws: XError.self) { try small.face.restore(state) }
    }
}
