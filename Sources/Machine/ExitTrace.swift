internal import Trace
import VirtualCPU
import Vocabulary

extension TraceEvent {
    /// An exit of the engine and what the machine did about it.
    static func exit(_ exit: VMExit, from start: UInt64, to end: UInt64) -> TraceEvent {
        func event(
            _ name: StaticString, _ first: TraceArgument? = nil, _ second: TraceArgument? = nil
        ) -> TraceEvent {
            .slice(name, .exit, from: start, to: end, first, second)
        }
        switch exit {
        case .portRead(let port, _):
            return event("portRead", TraceArgument("port", UInt64(port.rawValue)))
        case .portWrite(let port, _, let value):
            return event(
                "portWrite", TraceArgument("port", UInt64(port.rawValue)),
                TraceArgument("value", UInt64(value)))
        case .mmioRead(let address, _):
            return event("mmioRead", TraceArgument("address", address.rawValue))
        case .mmioWrite(let address, _, let value):
            return event(
                "mmioWrite", TraceArgument("address", address.rawValue),
                TraceArgument("value", value))
        case .msrRead(let index): return event("msrRead", TraceArgument("index", UInt64(index)))
        case .msrWrite(let index, let value):
            return event(
                "msrWrite", TraceArgument("index", UInt64(index)), TraceArgument("value", value))
        case .counterAdjusted(let value):
            return event("counterAdjusted", TraceArgument("value", value))
        case .taskPriorityRead, .taskPriorityWrite: return event("taskPriority")
        case .hypercall: return event("hypercall")
        case .halt: return event("halt")
        case .pause: return event("pause")
        case .eventsPending: return event("eventsPending")
        case .budgetSpent: return event("budgetSpent")
        case .shutdown: return event("shutdown")
        case .fetchOutsideMemory(let address):
            return event("fetchOutsideMemory", TraceArgument("address", address.rawValue))
        case .pageAbsent(let address):
            return event("pageAbsent", TraceArgument("address", address.rawValue))
        }
    }
}
