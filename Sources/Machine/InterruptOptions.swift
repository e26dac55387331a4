internal import HostIO
internal import Interrupts
internal import Trace
import Vocabulary

/// How the devices of a machine complete their work: in threads of their own, or inline.
public struct InterruptOptions: Sendable, Equatable {
    public enum Mode: String, Sendable, CaseIterable {
        /// Each device queue and host event source in a thread of its own, with its priority.
        case threaded
        /// On the thread that submits, or that the host's event comes on.
        case inline
    }

    public var mode = Mode.threaded
    /// Real-time priorities of devices, 1 (last) to 99; 0: none. Others have `defaultPriority`.
    public var priorities: [String: Int] = [:]

    /// What Linux gives its own interrupt threads: half of the real-time range.
    public static let defaultPriority = 50
    /// The timers of the vCPUs, which many wait for at once, come before devices.
    public static let defaultTimerPriority = 80

    /// What has a priority: the timers of the vCPUs, and devices that interrupt by themselves.
    public static let devices =
        ["timer", "pit", "rtc", "acpi-pm"] + (0..<Machine.serialPortCount).map { "uart\($0)" }

    public init() {}

    /// Throws what is wrong with the values, for a person to read.
    public func validate() throws {
        for (device, priority) in priorities.sorted(by: { $0.key < $1.key }) {
            guard Self.devices.contains(device) else {
                throw XError(
                    .invalidArgument,
                    "no device '\(device)' has interrupts: give a priority to one of "
                        + Self.devices.joined(separator: ", "))
            }
            guard (0...99).contains(priority) else {
                throw XError(
                    .invalidArgument,
                    "priority \(priority) of \(device): give 1 (last) to 99 (first), or 0 for a "
                        + "thread that is not real-time")
            }
        }
    }

    /// The priority of a device's threads.
    public func priority(of device: String) -> Int {
        priorities[device]
            ?? (device == "timer" ? Self.defaultTimerPriority : Self.defaultPriority)
    }
}

extension InterruptOptions {
    func hostPriority(of device: String) -> HostThread.Priority {
        let value = priority(of: device)
        return value == 0 ? .inherited : .realTime(value)
    }

    /// What contexts are made from.
    func policy(_ trace: TraceRecorder?) -> InterruptContext.Policy {
        guard mode == .threaded else { return .inline }
        return InterruptContext.Policy(
            priority: { hostPriority(of: $0) },
            track: { trace?.makeTrack(.threads, name: $0) ?? .off })
    }
}
