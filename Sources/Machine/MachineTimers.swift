internal import Clocks
internal import HostIO
internal import Interrupts
internal import Trace
internal import Vocabulary

/// The timer threads of a machine. Threaded: one for the timers of all vCPUs, and one for each
/// device that has any, so that none waits behind another one's lock. Inline: one for all.
///
/// Owner: the machine.
final class MachineTimers: Sendable {
    /// Of the local APICs.
    let vcpus: TimerQueue
    let intervalTimer: TimerQueue
    let realTimeClock: TimerQueue
    private let all: [TimerQueue]

    init(_ options: InterruptOptions, _ trace: TraceRecorder?) {
        func queue(_ name: String, _ priority: HostThread.Priority) -> TimerQueue {
            TimerQueue(
                name: name, priority: priority,
                track: trace?.makeTrack(.threads, name: name) ?? .off)
        }
        switch options.mode {
        case .threaded:
            vcpus = queue("irq/timer", options.hostPriority(of: "timer"))
            intervalTimer = queue("irq/pit", options.hostPriority(of: "pit"))
            realTimeClock = queue("irq/rtc", options.hostPriority(of: "rtc"))
            all = [vcpus, intervalTimer, realTimeClock]
        case .inline:
            vcpus = queue("timers", .inherited)
            intervalTimer = vcpus
            realTimeClock = vcpus
            all = [vcpus]
        }
    }

    func start() throws { for queue in all { try queue.start() } }

    func stop() { for queue in all { queue.stop() } }

    /// Of each thread, by its name.
    var metrics: [String: [String: UInt64]] {
        Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.metrics) })
    }
}

extension TimerQueue {
    /// Makes a part that has a timer of this queue, and calls `expired` on it at its deadlines:
    /// false, and it is called again soon.
    func attach<Part: MachinePart>(
        _ make: (_ setDeadline: @escaping @Sendable (Instant?) -> Void) -> Part,
        expired: @escaping @Sendable (Part) -> Bool
    ) -> Part {
        let later = Later<Part>()
        let timer = makeTimer { later.part.map(expired) ?? true }
        let part = make { [self] in set(timer, $0) }
        later.set(part)
        return part
    }
}
