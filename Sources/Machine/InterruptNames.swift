internal import Interrupts
internal import Trace

/// What sources of interrupts are called in statistics and traces.
struct InterruptNames: Sendable {
    private let labels: [InterruptSource: TraceLabel]

    init(_ trace: TraceRecorder?) {
        var labels: [InterruptSource: TraceLabel] = [:]
        if let trace {
            let lines = (0..<IOAPIC.lineCount).map { InterruptSource.line($0) }
            for source in [.timer, .processor, .message, .event] + lines {
                labels[source] = trace.makeLabel(Self.name(source))
            }
        }
        self.labels = labels
    }

    func label(_ source: InterruptSource) -> TraceLabel { labels[source] ?? .none }

    static func name(_ source: InterruptSource) -> String {
        switch source {
        case .timer: return "timer"
        case .processor: return "processor"
        case .message: return "message"
        case .event: return "event"
        default:
            guard let line = source.line else { return "unknown" }
            return MachineDevices.lineNames[UInt32(line)] ?? "line\(line)"
        }
    }
}
