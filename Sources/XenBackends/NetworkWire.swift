internal import Networks

// What is on the rings of a network interface (xen/include/public/io/netif.h).

/// Flags of packets of the guest, NETTXF_*, and of packets for it, NETRXF_*: the bits are other ones.
enum TransmitFlags {
    static let checksumBlank: UInt16 = 1
    static let dataValidated: UInt16 = 2
    static let moreData: UInt16 = 4
    static let extraInfo: UInt16 = 8
}

enum ReceiveFlags {
    static let dataValidated: UInt16 = 1
    static let checksumBlank: UInt16 = 2
    static let moreData: UInt16 = 4
    static let extraInfo: UInt16 = 8
}

/// NETIF_RSP_*.
enum NetworkResponse: Int16 {
    case okay = 0
    /// An entry that was an extra.
    case null = 1
    case error = -1
}

/// XEN_NETIF_EXTRA_TYPE_*.
enum ExtraType: UInt8 {
    case segmentation = 1
    case multicastAdd = 2
    case multicastDelete = 3
    case hash = 4

    /// XEN_NETIF_EXTRA_FLAG_MORE.
    static let more: UInt8 = 1
}

/// Sizes that both sides keep to.
enum NetworkRing {
    static let transmitEntryByteCount = 12
    static let receiveEntryByteCount = 8
    /// XEN_NETIF_NR_SLOTS_MIN: data entries of a packet that every backend takes.
    static let slotLimit = 18
    static let pageByteCount = 4096
}

extension SegmentationType {
    /// XEN_NETIF_GSO_TYPE_*.
    init?(gsoType: UInt8) {
        switch gsoType {
        case 1: self = .tcpv4
        case 2: self = .tcpv6
        default: return nil
        }
    }
}

/// What a frontend did that no frontend does: its interface ends there.
struct NetworkMistake: Error {
    /// After "the frontend".
    var reason: String
    init(_ reason: String) { self.reason = reason }
}
