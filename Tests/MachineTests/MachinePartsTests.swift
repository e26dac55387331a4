import Bus
import Clocks
import Foundation
import HostIO
import Interrupts
import LegacyDevices
import Testing
import VirtualCPU
import Vocabulary

@testable import Machine

/// The devices as a machine has them, without vCPUs.
@Suite struct MachinePartsTests {
    struct Bench {
        let apic: LocalAPIC
        let devices: MachineDevices
        let parts: [any MachinePart]
        let pending = PendingEvents()
        let timers: MachineTimers

        init() throws {
            let timers = MachineTimers(InterruptOptions(), nil)
            self.timers = timers
            let clock = HostClock()
            apic = LocalAPIC(
                index: VCPUIndex(0), pending: pending,
                timing: LocalAPIC.Timing(
                    now: { clock.now }, nanosecondsUntilCounter: { _, _ in 0 },
                    setDeadline: { _ in }),
                wake: {})
            let controller = InterruptController(localAPICs: [apic])
            devices = try MachineDevices(
                MachineDevices.Surroundings(
                    clock: clock, timers: timers, controller: controller, request: { _ in },
                    policy: .inline, output: { _, _ in }, room: { _ in }))
            parts = devices.parts + [controller.ioAPIC, apic]
            _ = apic.write(0x0f0, 0x1ff)
        }

        func out(_ port: UInt16, _ value: UInt64) {
            devices.bus.write(PortNumber(port), width: 1, value: value)
        }
    }

    @Test func portsAreWhereAPCHasThem() throws {
        let bench = try Bench()
        let bus = bench.devices.bus
        for port in [0x20, 0x21, 0xa0, 0xa1, 0x60, 0x80] as [UInt16] {
            #expect(bus.read(PortNumber(port), width: 1) == .max, "nobody's")
        }
        for port in [0x40, 0x43, 0x61, 0x64, 0x70, 0x71, 0x3f8, 0x2ff, 0x600, 0x60b, 0xcf9]
            as [UInt16]
        {
            #expect(bus.read(PortNumber(port), width: 1) <= 0xff)
        }
        #expect(Set(bench.parts.map(\.name)).count == bench.parts.count)
        #expect(bench.parts.map(\.name).contains("pit"))
    }

    @Test(.timeLimit(.minutes(1))) func theIntervalTimerInterrupts() throws {
        let bench = try Bench()
        try bench.timers.start()
        defer { bench.timers.stop() }
        let page = MachineMemoryMap.ioAPIC
        bench.devices.bus.write(page, width: 4, value: 0x14)
        bench.devices.bus.write(page.advanced(by: 0x10), width: 4, value: 0x30)
        bench.out(0x43, 0x34)
        bench.out(0x40, 0xa9)
        bench.out(0x40, 0x04)
        for _ in 0..<5 {
            while !bench.pending.current.contains(.interrupt) {}
            bench.pending.clear(.interrupt)
            #expect(bench.apic.acknowledge() == 0x30)
            _ = bench.apic.write(0x0b0, 0)
        }
    }

    @Test func statesOfAllPartsGoOver() throws {
        let old = try Bench()
        old.out(0x3ff, 0x77)
        old.out(0x70, 0x20)
        old.out(0x71, 0x55)
        old.out(0x43, 0x30)
        old.apic.request(vector: 0x99, level: false)
        let states = try MachinePartStates(old.parts)
        let bytes = try JSONEncoder().encode(states)
        let new = try Bench()
        try JSONDecoder().decode(MachinePartStates.self, from: bytes).restore(new.parts)
        #expect(new.devices.bus.read(PortNumber(0x3ff), width: 1) == 0x77)
        #expect(new.devices.bus.read(PortNumber(0x71), width: 1) == 0x55)
        #expect(new.apic.acknowledge() == 0x99)
        #expect(states.entries.map(\.name) == old.parts.map(\.name))
    }

    @Test func aMissingOrDamagedStateIsNamed() throws {
        let bench = try Bench()
        let states = try MachinePartStates(Array(bench.parts.dropLast()))
        let missing = #expect(throws: XError.self) { try states.restore(bench.parts) }
        #expect(missing?.message == "there is no state of apic0")
        let text = String(decoding: try JSONEncoder().encode(states), as: UTF8.self)
        #expect(text.contains("uart0"))
        let swapped = text.replacingOccurrences(of: "\"pit\"", with: "\"was\"")
            .replacingOccurrences(of: "\"rtc\"", with: "\"pit\"")
        let broken = try JSONDecoder().decode(MachinePartStates.self, from: Data(swapped.utf8))
        let damaged = #expect(throws: XError.self) {
            try broken.restore(bench.parts.filter { $0.name == "pit" })
        }
        #expect(damaged?.message.contains("pit") == true)
    }
}
