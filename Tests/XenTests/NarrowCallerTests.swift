import GuestMemory
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Xen

/// Hypercalls of 32-bit code, as boot loaders for PVH make them: arguments in other registers, structures
/// of another layout.
struct NarrowCallerTests {
    private static let sharedInfo: UInt64 = 0x30_000

    private func mapSharedInfo(_ guest: ScriptedGuest) -> Int64 {
        let frame = UInt32(Self.sharedInfo >> 12)
        // xen_add_to_physmap: domain, size and space as ever; index and frame of 32 bits.
        return guest.error(guest.narrowCall(.memory, 7, guest.put(0x7ff0, 0, 0, frame)))
    }

    @Test func theMemoryMapIsThere() throws {
        let guest = try ScriptedGuest()
        let buffer: UInt64 = 0x9_004
        let address = guest.put(128, UInt32(buffer))
        #expect(guest.narrowCall(.memory, 9, address).result == 0)
        #expect(guest.word(address) == 3)
        #expect(guest.long(buffer) == 0 && guest.long(buffer + 8) == 0x9_f000)
        #expect(guest.word(buffer + 16) == 1)
        #expect(guest.long(buffer + 40) == 0xffff_f000 && guest.word(buffer + 56) == 2)
        // Room for fewer; the same of 64-bit code; a buffer that is nowhere.
        #expect(guest.call(.memory, 9, guest.put(1, 0, 0x9_100, 0)).result == 0)
        #expect(guest.word(address) == 1)
        #expect(guest.long(0x9_108) == 0x9_f000 && guest.word(0x9_114) == 0)
        #expect(guest.error(guest.narrowCall(.memory, 9, guest.put(128, 0xfff0_0000))) == -14)
    }

    @Test func parametersAndFramesAreThere() throws {
        let guest = try ScriptedGuest()
        guest.face[.consoleFrame] = 0xfefff
        let parameter = guest.put(0x7ff0, 17, 0, 0)
        #expect(guest.narrowCall(.hvm, 1, parameter).result == 0)
        #expect(guest.long(parameter + 8) == 0xfefff)
        #expect(mapSharedInfo(guest) == 0)
        let frame = UInt32(ScriptedGuest.grants >> 12)
        #expect(guest.narrowCall(.memory, 7, guest.put(0x7ff0, 1, 0, frame)).result == 0)
        #expect(guest.face.grantTable.frames[0].value == ScriptedGuest.grants)
        #expect(guest.narrowCall(.memory, 15, guest.put(0x7ff0, frame)).result == 0)
        #expect(guest.face.grantTable.frames[0].value == 0)
        #expect(guest.error(guest.narrowCall(.memory, 7, guest.put(2, 0, 0, frame))) == -1)
        // What looks different to 32-bit callers and is not known.
        #expect(guest.error(guest.narrowCall(.vcpu, 10, 0, guest.put(16, 0, 0, 0))) == -38)
        #expect(guest.error(guest.narrowCall(.grantTable, 5, guest.put(0), 1)) == -38)
        #expect(guest.error(guest.narrowCall(.memory, 200, guest.put(0))) == -38)
    }

    /// The balloon: frames of 32 bits.
    @Test func pagesAreGivenAway() throws {
        let guest = try ScriptedGuest()
        let page: UInt64 = 0x50_000
        guest.memory.write(GuestPhysicalAddress(page), integer: UInt64.max)
        guest.memory.write(GuestPhysicalAddress(0x9_000), integer: UInt32(page >> 12))
        #expect(guest.narrowCall(.memory, 1, guest.put(0x9_000, 1, 0, 0, 0x7ff0)).result == 1)
        #expect(guest.narrowCall(.memory, 6, guest.put(0x9_000, 1, 0, 0, 0x7ff0)).result == 1)
        #expect(guest.long(page) == 0)
    }

    @Test func pollsAndTimers() throws {
        let guest = try ScriptedGuest()
        #expect(mapSharedInfo(guest) == 0)
        let request = guest.put(0, 0)
        #expect(guest.narrowCall(.eventChannel, 7, request).result == 0)
        guest.memory.write(GuestPhysicalAddress(0x9_000), integer: guest.word(request + 4))
        let outcome = guest.narrowCall(.scheduler, 3, guest.put(0x9_000, 1, 7_000, 0))
        #expect(outcome == XenOutcome(0, .poll))
        #expect(guest.log.pollTimers.withLock { $0[0] } == 7_000)
        #expect(guest.narrowCall(.scheduler, 0) == XenOutcome(0, .yield))
        #expect(guest.narrowCall(.setTimer, 0x10, 0x2).result == 0)
        #expect(guest.log.timers.withLock { $0[0] } == 0x2_0000_0010)
    }

    /// A 32-bit guest has its bits in words of 32; the 64-bit kernel that it starts finds what is pending.
    @Test func eventsAreWhereTheGuestLooks() throws {
        let guest = try ScriptedGuest()
        #expect(mapSharedInfo(guest) == 0)
        let base = Self.sharedInfo
        // The wall clock, and the vCPU's time where it is in both layouts.
        #expect(guest.word(base + 0x904) == 4999 && guest.word(base + 32) > 0)
        var ports: [UInt32] = []
        for _ in 0..<40 {
            let request = guest.put(0, 0)
            #expect(guest.narrowCall(.eventChannel, 7, request).result == 0)
            ports.append(guest.word(request + 4))
        }
        let last = try #require(ports.last)
        // The first is masked.
        guest.memory.write(GuestPhysicalAddress(base + 0x880), integer: UInt32(1) << ports[0])
        for port in [ports[0], last] {
            #expect(guest.narrowCall(.eventChannel, 4, guest.put(port)).result == 0)
        }
        #expect(guest.word(base + 0x800) == 1 << ports[0])
        #expect(guest.word(base + 0x800 + UInt64(last / 32) * 4) == 1 << (last % 32))
        #expect(guest.word(base + 4) == 1 << (last / 32) && guest.word(base) & 0xff == 1)
        let state = guest.face.captureState()
        #expect(state.isNarrow)
        #expect(guest.mapSharedInfo() == 0)
        let new = ScriptedGuest.sharedInfo
        #expect(guest.long(new + 0x800) == 1 << UInt64(ports[0]) | 1 << UInt64(last))
        // Nothing is masked in the new layout, and nothing of the old one is taken for events.
        #expect(guest.long(new + 0x880) == 0 && guest.long(new + 0x900) == 0)
        #expect(guest.long(new + 0xa00) == 0 && guest.long(new + 8) == 1)
        #expect(guest.word(new + 0xc04) == 4999)
        try guest.face.restore(state)
        #expect(guest.face.captureState().isNarrow)
    }
}
