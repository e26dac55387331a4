import Bus
import Clocks
import Foundation
import HostIO
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Interrupts
@testable import LegacyDevices
@testable import Machine

/// What one vCPU or device does keeps no other waiting (design rule: no lock is shared by all).
@Suite(.serialized) struct NoBigLockTests {
    /// The devices and local APICs of a machine; vCPUs are threads of the test.
    final class Bench: Sendable {
        static let vcpuCount = 8
        let apics: [LocalAPIC]
        let controller: InterruptController
        let devices: MachineDevices
        let timers: MachineTimers
        let pending: [PendingEvents]

        init(_ mode: InterruptOptions.Mode) throws {
            let clock = HostClock()
            var options = InterruptOptions()
            options.mode = mode
            // Real-time threads of a test would keep other tests waiting.
            for device in InterruptOptions.devices { options.priorities[device] = 0 }
            let timers = MachineTimers(options, nil)
            self.timers = timers
            let pending = (0..<Self.vcpuCount).map { _ in PendingEvents() }
            self.pending = pending
            apics = (0..<Self.vcpuCount).map { index in
                timers.vcpus.attach { setDeadline in
                    LocalAPIC(
                        index: VCPUIndex(UInt32(index)), pending: pending[index],
                        timing: LocalAPIC.Timing(
                            now: { clock.now },
                            nanosecondsUntilCounter: { value, _ in
                                let now = clock.now.nanoseconds
                                return value > now ? value - now : 0
                            }, setDeadline: setDeadline),
                        wake: {})
                } expired: {
                    $0.timerExpired()
                }
            }
            controller = InterruptController(localAPICs: apics)
            devices = try MachineDevices(
                MachineDevices.Surroundings(
                    clock: clock, timers: timers, controller: controller, request: { _ in },
                    policy: options.policy(nil), output: { _, _ in }, room: { _ in }))
            for (index, apic) in apics.enumerated() {
                _ = apic.write(0x0f0, 0x1ff)
                _ = apic.write(0x320, 0x4_0020)
                guard index < SerialPort.lines.count else { continue }
                route(SerialPort.lines[index], vector: 0x40 + UInt32(index), to: index)
            }
            route(RealTimeClock.line, vector: 0x50, to: 4)
            route(IntervalTimer.line, vector: 0x51, to: 5)
            route(ACPIPower.line, vector: 0x52, to: 6)
            try timers.start()
            for context in devices.contexts { try context.start() }
        }

        /// Level-triggered, so that every interrupt is ended at the I/O APIC too.
        private func route(_ line: UInt32, vector: UInt32, to apic: Int) {
            controller.ioAPIC.write(0, 0x11 + line * 2)
            controller.ioAPIC.write(0x10, UInt32(apic) << 24)
            controller.ioAPIC.write(0, 0x10 + line * 2)
            controller.ioAPIC.write(0x10, 0x8000 | vector)
        }

        /// One round of a vCPU with a device of its own, and with its own local APIC.
        func work(_ index: Int, _ round: Int, deadline: UInt64) {
            func out(_ port: UInt16, _ value: UInt64) {
                devices.bus.write(PortNumber(port), width: 1, value: value)
            }
            func read(_ port: UInt16) { _ = devices.bus.read(PortNumber(port), width: 1) }
            switch index {
            case 0..<4:
                let base = SerialPort.addresses[index]
                out(base + 4, 0xb)
                out(base + 1, UInt64(round & 1) << 1)
                out(base, 0x41)
                read(base + 2)
                read(base + 5)
            case 4:
                out(0x70, 0x0c)
                read(0x71)
            case 5:
                out(0x43, 0)
                read(0x40)
            case 6:
                devices.bus.write(PortNumber(0x602), width: 2, value: UInt64(round & 1) << 8)
                read(0x608)
            default:
                // No device: interprocessor interrupts to itself.
                controller.perform(apics[index].write(0x300, 0x4_0060))
            }
            apics[index].deadline = deadline
            while apics[index].acknowledge() != nil {
                controller.perform(apics[index].write(0x0b0, 0))
            }
            pending[index].clear(.interrupt)
        }

        func stop() {
            timers.stop()
            MachineDevices.finish(devices.contexts)
        }
    }

    /// Locks that were found taken.
    private static var contended: [String: UInt64] {
        Dictionary(
            LockRegistry.statistics.filter { $0.contended > 0 }.map { ($0.owner, $0.contended) },
            uniquingKeysWith: +)
    }

    private static func runAll(_ bench: Bench, deadline: @escaping @Sendable () -> UInt64) throws {
        let threads = try (0..<Bench.vcpuCount).map { index in
            try HostThread.spawn(name: "vcpu\(index)") {
                for round in 0..<20_000 { bench.work(index, round, deadline: deadline()) }
            }
        }
        for thread in threads { thread.join() }
        bench.stop()
    }

    /// In a process of its own, so that no other test's locks are counted.
    @Test func disjointDevicesShareNoLock() async {
        await #expect(processExitsWith: .success) {
            let bench = try Bench(.inline)
            try NoBigLockTests.runAll(bench) { HostClock().now.nanoseconds + 3_600_000_000_000 }
            #expect(NoBigLockTests.contended == [:])
            #expect(LockRegistry.statistics.reduce(0) { $0 + $1.acquisitions } > 1_000_000)
            if !NoBigLockTests.contended.isEmpty { exit(1) }
        }
    }

    /// With timers that expire and queues that complete meanwhile, only a queue's own lock, which
    /// its thread takes too, may be found taken.
    @Test func threadsMeetOnlyTheirOwnDevice() async {
        await #expect(processExitsWith: .success) {
            let bench = try Bench(.threaded)
            try NoBigLockTests.runAll(bench) { HostClock().now.nanoseconds + 50_000 }
            let owned = Set(
                bench.devices.uarts.map(\.name) + bench.apics.map(\.name) + ["pit", "rtc"])
            let others = NoBigLockTests.contended.filter { !owned.contains($0.key) }
            #expect(others == [:])
            let fired = bench.timers.metrics["irq/timer"]?["fired"] ?? 0
            #expect(fired > 0)
            if !others.isEmpty { exit(1) }
        }
    }

    /// One lock is held for a second, and until every other vCPU has done its work with its device
    /// and had its timer: were any of them to wait for the lock, this would never end.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: ["uart0", "uart3", "rtc", "pit", "acpi-pm", "apic7", "line4", "line8"])
    func aHeldLockStopsNobodyElse(name: String) throws {
        let bench = try Bench(.threaded)
        defer { bench.stop() }
        let victim: Int? =
            switch name {
            case "uart0", "line4": 0
            case "uart3": 3
            case "rtc", "line8": 4
            case "pit": 5
            case "acpi-pm": 6
            default: 7
            }
        let isHeld = Atomic<Bool>(false)
        let finished = Atomic<Int>(0)
        @Sendable func hold() {
            isHeld.store(true, ordering: .releasing)
            HostThread.sleep(nanoseconds: 1_000_000_000)
            while finished.load(ordering: .acquiring) < Bench.vcpuCount - 1 {
                HostThread.sleep(nanoseconds: 1_000_000)
            }
        }
        let devices = bench.devices
        // Expires while its lock is held.
        bench.apics[7].deadline = HostClock().now.nanoseconds + 50_000_000
        let holder = try HostThread.spawn(name: "holder") {
            func part<Part>(_ type: Part.Type) -> Part? {
                devices.parts.lazy.compactMap { $0 as? Part }.first
            }
            switch name {
            case "uart0": devices.uarts[0].registers.withLock { _ in hold() }
            case "uart3": devices.uarts[3].registers.withLock { _ in hold() }
            case "rtc": part(RealTimeClock.self)?.registers.withLock { _ in hold() }
            case "pit": part(IntervalTimer.self)?.channels.withLock { _ in hold() }
            case "acpi-pm": devices.power.registers.withLock { _ in hold() }
            case "apic7": bench.apics[7].registers.withLock { _ in hold() }
            case "line4": bench.controller.ioAPIC.lines[4].entry.withLock { _ in hold() }
            default: bench.controller.ioAPIC.lines[8].entry.withLock { _ in hold() }
            }
        }
        while !isHeld.load(ordering: .acquiring) { HostThread.sleep(nanoseconds: 100_000) }
        let vcpus = try (0..<Bench.vcpuCount).filter { $0 != victim }.map { index in
            try HostThread.spawn(name: "vcpu\(index)") {
                var timerInterrupts: UInt64 = 0
                var round = 0
                while round < 2_000 || timerInterrupts < 20 {
                    bench.work(
                        index, round, deadline: HostClock().now.nanoseconds + 20_000)
                    if round >= 2_000 { HostThread.sleep(nanoseconds: 100_000) }
                    timerInterrupts = bench.apics[index].metrics["timerInterrupts"] ?? 0
                    round += 1
                }
                finished.wrappingAdd(1, ordering: .acquiringAndReleasing)
            }
        }
        for thread in vcpus { thread.join() }
        holder.join()
        let count = finished.load(ordering: .acquiring)
        #expect(count == Bench.vcpuCount - 1)
    }
}
