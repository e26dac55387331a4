import Foundation
import Testing

/// A stock kernel under the loads of stress-ng while its processors come and go.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct LoadTests {
    /// Two minutes, or MARTLET_SOAK_MINUTES. In the 40th minute the stressors come to more than 1 GiB. One processor after the other is taken away and brought
    /// back all the while.
    @Test func kernelUnderLoadAndHotplug() throws {
        let minutes =
            Double(ProcessInfo.processInfo.environment["MARTLET_SOAK_MINUTES"] ?? "2") ?? 2
        let seconds = Int(minutes * 60)
        let result = try Martlet.run(
            [
                "run", "--cpus", "8", "--memory", "2G", "--timeout", "\(seconds * 3 + 600)",
                "--append", "log_buf_len=8M", "--quiet",
            ] + Martlet.files(["/usr/bin/stress-ng"]) + [
                "--", "sh", "-c", Self.script(seconds: seconds),
            ])
        let text = String(decoding: result.output, as: UTF8.self)
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(GuestLog.surroundings(of: troubles, in: text))")
        #expect(
            result.status == 0,
            "\(String(decoding: result.errors, as: UTF8.self))\n\(text.suffix(2000))")
        let lines = text.split(separator: "\n")
        #expect(lines.contains("stress-ng ended with 0"), "\(text.suffix(2000))")
        let cycles = lines.first { $0.hasPrefix("processors came back: ") }?.split(separator: " ")
            .last
        // Each of the seven, at least.
        #expect(Int(cycles ?? "") ?? 0 >= 7)
        #expect(lines.contains("online 0-7"))
        if minutes > 2 { print(text.suffix(4000)) }
    }

    /// Each stressor once or twice: processors, scheduler, locks, signals, timers, memory and its
    /// translations, descriptors, files in memory, split locks. Not `clock`: its timers need queued
    /// signals, of which the others leave none (timer_create gives EAGAIN).
    private static let stressors = [
        "cpu 1", "vm 1", "fork 1", "mutex 1", "futex 1", "sem 1", "sock 1", "pipe 1", "switch 1",
        "hdd 1", "timer 1", "mmap 1", "tlb-shootdown 1", "signal 1", "cyclic 1",
        "membarrier 1", "lockbus 1", "atomic 1", "mprotect 1", "eventfd 1", "poll 1",
        "yield 1", "sigfd 1", "clone 1", "vfork 1", "stack 1",
    ]

    private static func script(seconds: Int) -> String {
        """
        mkdir -p /tmp/work && cd /tmp/work || exit 9
        hotplug() {
          count=0
          while [ ! -e /tmp/done ]; do
            for n in 3 5 7 1 6 2 4; do
              echo 0 >/sys/devices/system/cpu/cpu$n/online && sleep 0.2
              echo 1 >/sys/devices/system/cpu/cpu$n/online && count=$((count + 1))
            done
          done
          echo "processors came back: $count"
        }
        hotplug & plug=$!
        stress-ng --timeout \(seconds) --temp-path /tmp/work --vm-bytes 24M --mmap-bytes 16M \
          --hdd-bytes 4M --verify --metrics-brief \(stressors.map { "--" + $0 }.joined(separator: " ")) 2>&1
        echo "stress-ng ended with $?"
        touch /tmp/done
        wait $plug
        echo "online $(cat /sys/devices/system/cpu/online)"
        dmesg
        """
    }
}
