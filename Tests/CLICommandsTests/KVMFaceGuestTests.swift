import Foundation
import Machine
import Scheduler
import Testing

/// A stock kernel uses the KVM face and says so.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct KVMFaceGuestTests {
    /// What the guest's log and counters say after processors have worked together.
    private struct Guest {
        var log = ""
        /// The fields of the first line of /proc/stat, after its name.
        var times: [Substring] = []
        var statistics = MachineStatistics()

        var face: [String: UInt64] { statistics.parts["kvm-face"] ?? [:] }
    }

    /// Many short processes, and code that is patched, of which all processors have to hear.
    private static let manyProcesses = """
        for i in 1 0 1 0; do echo $i > /proc/sys/kernel/sched_schedstats; done
        for p in 1 2 3 4; do (for i in 1 2 3 4 5 6; do busybox true; done) & done; wait
        """

    private func guest(_ options: [String], load: String = manyProcesses) throws -> Guest {
        let script = load + "\nhead -1 /proc/stat; dmesg"
        let result = try Martlet.run(
            ["run", "--platform", "kvm", "--timeout", "240", "--stats", "--quiet"] + options + [
                "--", "sh", "-c", script,
            ])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        var guest = Guest()
        guest.log = String(decoding: result.output, as: UTF8.self)
        guest.times = (guest.log.split(separator: "\n").first ?? "").split(separator: " ")
        #expect(guest.times.first == "cpu")
        let start = result.errors.firstIndex(of: UInt8(ascii: "{")) ?? 0
        guest.statistics = try JSONDecoder().decode(
            MachineStatistics.self, from: Data(result.errors[start...]))
        #expect(GuestLog.troubles(guest.log).isEmpty, "\(GuestLog.troubles(guest.log))")
        return guest
    }

    @Test func theGuestUsesEverythingItIsOffered() throws {
        let guest = try guest(["--cpus", "4"])
        for line in [
            "kvm-guest: PV spinlocks enabled", "kvm-guest: setup PV sched yield",
            "kvm-guest: KVM setup pv remote TLB flush", "kvm-guest: setup PV IPIs",
        ] {
            #expect(guest.log.contains(line), "\(line)")
        }
        // user nice system idle iowait irq softirq steal
        #expect(guest.times.count > 8 && UInt64(guest.times[8]) != nil)
        #expect(guest.face["hypercallsSendInterrupts", default: 0] > 0)
        #expect(
            guest.face["interruptsSentByHypercall", default: 0]
                >= guest.face["hypercallsSendInterrupts", default: 0])
        #expect(guest.face["hypercallsRefused"] == 0)
        #expect(guest.face["stolenNanoseconds", default: 0] > 0)
        // Four vCPUs on few cores: some wait for others, and some of those hear late of a flush.
        let scheduling = guest.statistics.scheduling
        #expect(scheduling.contains { $0.yieldsAttempted > 0 })
        for index in 0..<4 {
            let apic = guest.statistics.parts["apic\(index)"] ?? [:]
            #expect(apic["endOfInterruptWritesAvoided", default: 0] > 0, "vCPU \(index)")
        }
    }

    /// Threads that share their memory on more vCPUs than the host has processors, and end, so that
    /// their stacks are given back: vCPUs that do not run are spared the interrupt.
    @Test func whoDoesNotRunNeedsNoFlush() throws {
        let guest = try guest(
            ["--cpus", "16", "--memory", "1G"] + Martlet.files(["/usr/bin/stress-ng"]),
            load: """
                mkdir -p /dev/shm
                cd /tmp && stress-ng --pthread 4 --pthread-max 64 --timeout 6 >&2
                """)
        #expect(guest.log.contains("kvm-guest: KVM setup pv remote TLB flush"))
        #expect(guest.face["flushInterruptsAvoided", default: 0] > 0)
    }

    @Test func theGuestMayRefuse() throws {
        let guest = try guest(["--cpus", "2", "--append", "nopvspin no-steal-acc"])
        #expect(!guest.log.contains("PV spinlocks enabled"))
        #expect(guest.log.contains("PV spinlocks disabled, forced by \"nopvspin\" parameter"))
        #expect(guest.log.contains("setup PV IPIs"))
        #expect(guest.face["hypercallsKick"] == 0)
    }

    @Test func oneProcessorNeedsNoneOfIt() throws {
        let guest = try guest(["--cpus", "1"])
        #expect(guest.log.contains("PV spinlocks disabled, single CPU"))
        for absent in ["setup PV IPIs", "pv remote TLB flush", "PV sched yield"] {
            #expect(!guest.log.contains(absent))
        }
        #expect(guest.face["hypercallsSendInterrupts"] == 0)
        let apic = guest.statistics.parts["apic0"] ?? [:]
        #expect(apic["endOfInterruptWritesAvoided", default: 0] > 0)
    }
}
