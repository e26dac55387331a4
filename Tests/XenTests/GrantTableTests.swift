import GuestMemory
import Testing
import Vocabulary

@testable import Xen

/// Grants, with the guest's entries written by hand.
struct GrantTableTests {
    private let guest: ScriptedGuest
    private var table: GrantTable { guest.face.grantTable }

    init() throws {
        guest = try ScriptedGuest()
        for index in 0..<UInt32(2) {
            #expect(map(index, at: ScriptedGuest.grants + UInt64(index) * 4096) == 0)
        }
    }

    private func map(_ index: UInt32, at address: UInt64) -> Int64 {
        guest.error(
            guest.call(.memory, 7, guest.put(0x7ff0, 1, index, 0, UInt32(address >> 12), 0)))
    }

    private func entry(_ reference: UInt32) -> UInt64 {
        ScriptedGuest.grants + UInt64(reference) * 8
    }

    private func grant(_ reference: UInt32, frame: UInt32, flags: UInt16, to domain: UInt16 = 0) {
        guest.memory.write(GuestPhysicalAddress(entry(reference) + 4), integer: frame)
        guest.memory.write(GuestPhysicalAddress(entry(reference) + 2), integer: domain)
        guest.memory.write(GuestPhysicalAddress(entry(reference)), integer: flags)
    }

    @Test func grantsAreInUseUntilTheyEnd() throws {
        grant(9, frame: 0x30, flags: 1)
        let grant = try #require(table.begin(GrantReference(9), write: true))
        #expect(grant.address.rawValue == 0x30_000 && grant.byteCount == 4096)
        #expect(guest.word(entry(9)) & 0xffff == 1 | 8 | 16)
        table.end(grant)
        #expect(guest.word(entry(9)) & 0xffff == 1)
        #expect(table.begin(GrantReference(9), write: false) != nil)
        #expect(guest.word(entry(9)) & 0xffff == 1 | 8)
    }

    @Test func refusals() {
        grant(10, frame: 0x30, flags: 1 | 4)
        #expect(table.begin(GrantReference(10), write: true) == nil)
        #expect(table.begin(GrantReference(10), write: false) != nil)
        grant(11, frame: 0x30, flags: 1, to: 3)
        #expect(table.begin(GrantReference(11), write: false) == nil)
        grant(12, frame: 1 << 20, flags: 1)
        #expect(table.begin(GrantReference(12), write: false) == nil)
        grant(13, frame: 0x30, flags: 0)
        #expect(table.begin(GrantReference(13), write: false) == nil)
        grant(14, frame: 0x30, flags: 2)
        #expect(table.begin(GrantReference(14), write: false) == nil)
        // Beyond the frames there are, and beyond all there can be.
        #expect(table.begin(GrantReference(1024), write: false) == nil)
        #expect(table.begin(GrantReference(.max), write: false) == nil)
    }

    @Test func framesMoveWithTheirEntries() throws {
        grant(600, frame: 0x31, flags: 1)
        #expect(map(1, at: 0x60_000) == 0)
        #expect(guest.word(0x60_000 + 88 * 8 + 4) == 0x31)
        #expect(table.begin(GrantReference(600), write: false)?.address.rawValue == 0x31_000)
        #expect(map(64, at: 0x60_000) == -22)
        #expect(map(1 << 31, at: 0x60_000) == -22)
        // Removed: no entries any more.
        #expect(guest.error(guest.call(.memory, 15, guest.put(0x7ff0, 0, 0x60, 0))) == 0)
        #expect(table.begin(GrantReference(600), write: false) == nil)
    }

    @Test func versionTwoHasPartsOfPagesAndAStatus() throws {
        grant(1, frame: 0xfeffc, flags: 1)
        #expect(guest.error(guest.call(.grantTable, 8, guest.put(2), 1)) == 0)
        // Reserved entries are taken over.
        #expect(guest.word(ScriptedGuest.grants + 16) == 1)
        #expect(guest.long(ScriptedGuest.grants + 24) == 0xfeffc)
        #expect(map(1 << 31, at: 0x70_000) == 0)
        let address = ScriptedGuest.grants + 20 * 16
        guest.memory.write(GuestPhysicalAddress(address + 8), integer: UInt64(0x32))
        guest.memory.write(GuestPhysicalAddress(address + 4), integer: UInt32(512 << 16 | 256))
        guest.memory.write(GuestPhysicalAddress(address), integer: UInt32(1 | 1 << 8))
        let grant = try #require(table.begin(GrantReference(20), write: true))
        #expect(grant.address.rawValue == 0x32_100 && grant.byteCount == 512)
        #expect(guest.word(0x70_000 + 40) & 0xffff == 24)
        table.end(grant)
        #expect(guest.word(0x70_000 + 40) & 0xffff == 0)
        guest.memory.write(GuestPhysicalAddress(address + 4), integer: UInt32(4000 << 16 | 256))
        #expect(table.begin(GrantReference(20), write: false) == nil)
        #expect(guest.error(guest.call(.grantTable, 8, guest.put(3), 1)) == -22)
        #expect(guest.error(guest.call(.grantTable, 8, guest.put(1), 1)) == 0)
        #expect(table.version == 1)
    }

    @Test func sizes() {
        let address = guest.put(0x7ff0, 0, 0, 0)
        #expect(guest.error(guest.call(.grantTable, 6, address, 1)) == 0)
        #expect(guest.word(address + 4) == 2 && guest.word(address + 8) == 64)
        #expect(guest.error(guest.call(.grantTable, 0, address, 1)) == -38)
    }

    @Test func copiesWithinTheDomain() {
        guest.memory.write(GuestPhysicalAddress(0x30_010), Array("granted".utf8))
        func copy(_ flags: UInt32, _ domain: UInt32, _ length: UInt32 = 7) -> Int16 {
            let address = guest.put(
                0x30, 0, domain | 16 << 16, 0, 0x31, 0, 0x7ff0 | 32 << 16, 0, length | flags << 16,
                0)
            #expect(guest.error(guest.call(.grantTable, 5, address, 1)) == 0)
            return Int16(truncatingIfNeeded: guest.word(address + 36))
        }
        #expect(copy(0, 0x7ff0) == 0)
        #expect(
            guest.memory.read(GuestPhysicalAddress(0x31_020), byteCount: 7)
                == Array("granted".utf8))
        #expect(copy(1, 0x7ff0) == -3)
        #expect(copy(0, 5) == -2)
        #expect(copy(0, 0x7ff0, 4090) == -10)
    }
}
