import Bus
import Synchronization
import Testing
import Vocabulary

@Suite struct BusTests {
    final class Register: Device, Sendable {
        let name: String
        let last = Mutex<(UInt64, Int, UInt64)>((0, 0, 0))
        struct State: Codable {}
        var metrics: [String: UInt64] { [:] }
        init(_ name: String) { self.name = name }
        func captureState() -> State { State() }
        func restore(_ state: State) throws(XError) {}
        func read(offset: UInt64, width: AccessWidth) -> UInt64 { offset << 8 | UInt64(width) }
        func write(offset: UInt64, width: AccessWidth, value: UInt64) {
            last.withLock { $0 = (offset, width, value) }
        }
    }

    @Test func findsTheDevice() throws {
        let bus = Bus()
        let a = Register("a")
        let b = Register("b")
        try bus.claim(PortNumber(0x3f8), count: 8, a)
        try bus.claim(PortNumber(0x400), count: 1, b)
        try bus.claim(GuestPhysicalAddress(0xfec0_0000), byteCount: 4096, b)
        bus.freeze()
        #expect(bus.read(PortNumber(0x3ff), width: 1) == 0x701)
        #expect(bus.read(PortNumber(0x3f7), width: 1) == .max)
        #expect(bus.read(PortNumber(0x401), width: 1) == .max)
        #expect(bus.read(PortNumber(0xffff), width: 4) == .max)
        #expect(bus.read(GuestPhysicalAddress(0xfec0_0ffc), width: 4) == 0xffc04)
        #expect(bus.read(GuestPhysicalAddress(0xfec0_1000), width: 4) == .max)
        bus.write(PortNumber(0x3fa), width: 2, value: 77)
        #expect(a.last.withLock { $0 } == (2, 2, 77))
        #expect(b.last.withLock { $0 } == (0, 0, 0))
    }

    @Test func overlapsAreRefused() throws {
        let bus = Bus()
        try bus.claim(PortNumber(0x60), count: 4, Register("first"))
        let error = #expect(throws: XError.self) {
            try bus.claim(PortNumber(0x63), count: 2, Register("second"))
        }
        #expect(error?.message.contains("first") == true)
        #expect(throws: XError.self) {
            try bus.claim(GuestPhysicalAddress(.max), byteCount: 2, Register("wraps"))
        }
        bus.freeze()
        #expect(throws: XError.self) {
            try bus.claim(PortNumber(0x70), count: 2, Register("late"))
        }
    }
}
