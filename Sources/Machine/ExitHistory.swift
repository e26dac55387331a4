import VirtualCPU
import Vocabulary

/// The kinds of `VMExit` as statistics name them.
public enum ExitKind: String, CaseIterable, Codable, Sendable {
    case portRead, portWrite, mmioRead, mmioWrite, msrRead, msrWrite, taskPriority, hypercall
    case counterAdjusted, halt, pause, eventsPending, budgetSpent, shutdown, fetchOutsideMemory,
        pageAbsent

    init(_ exit: VMExit) {
        switch exit {
        case .portRead: self = .portRead
        case .portWrite: self = .portWrite
        case .mmioRead: self = .mmioRead
        case .mmioWrite: self = .mmioWrite
        case .msrRead: self = .msrRead
        case .msrWrite: self = .msrWrite
        case .counterAdjusted: self = .counterAdjusted
        case .taskPriorityRead, .taskPriorityWrite: self = .taskPriority
        case .hypercall: self = .hypercall
        case .halt: self = .halt
        case .pause: self = .pause
        case .eventsPending: self = .eventsPending
        case .budgetSpent: self = .budgetSpent
        case .shutdown: self = .shutdown
        case .fetchOutsideMemory: self = .fetchOutsideMemory
        case .pageAbsent: self = .pageAbsent
        }
    }
}

/// The last exits of one vCPU, for a report on a guest that died, and how many of each kind there
/// were.
///
/// Owner: the vCPU's runner, which alone writes it.
struct ExitHistory: Sendable {
    struct Entry: Sendable, Equatable {
        var exit: VMExit
        /// Equal exits one after the other are one entry.
        var repetitions: UInt64
    }

    static let capacity = 16

    private var entries: [Entry] = []
    private var next = 0
    private(set) var counts: [ExitKind: UInt64] = [:]

    init() {
        entries.reserveCapacity(Self.capacity)
        for kind in ExitKind.allCases { counts[kind] = 0 }
    }

    mutating func record(_ exit: VMExit) {
        counts[ExitKind(exit), default: 0] &+= 1
        // Spent budgets say nothing about what the guest did.
        if exit == .budgetSpent { return }
        let newest = (next &+ Self.capacity &- 1) % Self.capacity
        if newest < entries.count, entries[newest].exit == exit {
            entries[newest].repetitions &+= 1
            return
        }
        let entry = Entry(exit: exit, repetitions: 1)
        if entries.count < Self.capacity {
            entries.append(entry)
        } else {
            entries[next] = entry
        }
        next = (next + 1) % Self.capacity
    }

    /// Oldest first.
    var lastExits: [Entry] {
        entries.count < Self.capacity ? entries : Array(entries[next...] + entries[..<next])
    }
}

extension ExitHistory.Entry: CustomStringConvertible {
    var description: String {
        let text: String =
            switch exit {
            case .portRead(let port, let width):
                "port read \(hexadecimal(UInt64(port.rawValue))) width \(width)"
            case .portWrite(let port, let width, let value):
                "port write \(hexadecimal(UInt64(port.rawValue))) width \(width) value "
                    + hexadecimal(UInt64(value))
            case .mmioRead(let address, let width):
                "mmio read \(hexadecimal(address.rawValue)) width \(width)"
            case .mmioWrite(let address, let width, let value):
                "mmio write \(hexadecimal(address.rawValue)) width \(width) value "
                    + hexadecimal(value)
            case .msrRead(let index): "rdmsr \(hexadecimal(UInt64(index)))"
            case .msrWrite(let index, let value):
                "wrmsr \(hexadecimal(UInt64(index))) value \(hexadecimal(value))"
            case .taskPriorityWrite(let value): "CR8 write \(value)"
            case .taskPriorityRead: "CR8 read"
            case .hypercall: "hypercall"
            case .counterAdjusted(let value): "time-stamp counter moved by \(hexadecimal(value))"
            case .halt: "hlt"
            case .pause: "pause"
            case .eventsPending: "events pending"
            case .budgetSpent: "budget spent"
            case .shutdown: "triple fault"
            case .fetchOutsideMemory(let address):
                "fetch from \(hexadecimal(address.rawValue)), no memory"
            case .pageAbsent(let address): "page absent \(hexadecimal(address.rawValue))"
            }
        return repetitions > 1 ? "\(text) (\(repetitions) times)" : text
    }
}
