internal import Synchronization
public import Vocabulary

/// What an event channel is connected to.
public enum EventChannelBinding: Codable, Sendable, Equatable {
    case closed
    /// Waits for this domain to connect.
    case unbound(remote: DomainID)
    /// Connected to a listener of the host.
    case host
    /// Connected to another port of the same domain.
    case local(EventChannelPort)
    case virtualInterrupt(UInt32)
    case interprocessor
}

/// Binding, vCPU and priority of a port as one word, so that whoever sends an event sees them as they
/// belong together.
struct EventChannelWord: RawRepresentable, Equatable {
    var rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init(_ binding: EventChannelBinding, vcpu: VCPUIndex, priority: UInt8 = Self.defaultPriority) {
        let (kind, detail): (UInt64, UInt64) =
            switch binding {
            case .closed: (0, 0)
            case .unbound(let remote): (1, UInt64(remote.rawValue))
            case .host: (2, 0)
            case .local(let port): (3, UInt64(port.rawValue))
            case .virtualInterrupt(let number): (4, UInt64(number))
            case .interprocessor: (5, 0)
            }
        rawValue =
            kind | UInt64(vcpu.rawValue & 0xffff) << 8 | UInt64(priority & 15) << 24 | detail << 32
    }

    /// EVTCHN_FIFO_PRIORITY_DEFAULT.
    static let defaultPriority: UInt8 = 7

    var binding: EventChannelBinding {
        let detail = UInt32(truncatingIfNeeded: rawValue >> 32)
        return switch rawValue & 0xff {
        case 1: .unbound(remote: DomainID(UInt16(truncatingIfNeeded: detail)))
        case 2: .host
        case 3: .local(EventChannelPort(detail))
        case 4: .virtualInterrupt(detail)
        case 5: .interprocessor
        default: .closed
        }
    }

    var isOpen: Bool { rawValue & 0xff != 0 }

    var vcpu: VCPUIndex {
        get { VCPUIndex(UInt32(truncatingIfNeeded: rawValue >> 8) & 0xffff) }
        set { rawValue = rawValue & ~0xffff00 | UInt64(newValue.rawValue & 0xffff) << 8 }
    }

    var priority: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue >> 24) & 15 }
        set { rawValue = rawValue & ~0x0f00_0000 | UInt64(newValue & 15) << 24 }
    }

    /// The queue of events it is in: vCPU and priority.
    var queue: UInt32 { vcpu.rawValue << 4 | UInt32(priority) }
}

/// One port of a domain.
///
/// Owner: `EventChannels`, as long as it. The word changes under the lock of the table and is read by
/// anybody.
final class EventChannel: Sendable {
    let word = Atomic<UInt64>(0)
    /// The queue that the event was linked into last, and still may be.
    let lastQueue = Atomic<UInt32>(0)
    /// It was raised before there was memory to say so in.
    let isEarly = Atomic<Bool>(false)
    let listener = EventChannelListenerSlot()

    var current: EventChannelWord { EventChannelWord(rawValue: word.load(ordering: .acquiring)) }

    func set(_ new: EventChannelWord) { word.store(new.rawValue, ordering: .releasing) }
}
