public import Disks
public import Vocabulary
public import XenBackends

/// A disk of a guest, and what its backend offers: `--disk`'s text.
public struct DiskAttachment: Sendable, Equatable {
    public var specification: DiskSpecification
    public var features = BlockBackend.Features()

    public init(_ specification: DiskSpecification) { self.specification = specification }

    /// Reads what `DiskSpecification` has, and `flush`, `discard`, `persistent` (on or off), `indirect`
    /// (segments of a request, 0 to 256), `ring-order` (0 to 4) and `queues` (1 to 16).
    public init(parsing text: String) throws(XError) {
        let options = try TakenOptions(
            text, taking: ["flush", "discard", "persistent", "indirect", "ring-order", "queues"])
        specification = try DiskSpecification(parsing: options.rest)
        try options.flag("flush", &features.flush)
        try options.flag("discard", &features.discard)
        try options.flag("persistent", &features.persistentGrants)
        if let count = try options.number("indirect", in: 0...256) {
            features.indirectSegments = UInt32(count)
        }
        if let order = try options.number("ring-order", in: 0...4) {
            features.ringOrder = UInt32(order)
        }
        if let count = try options.number("queues", in: 1...16) { features.queueCount = count }
    }
}
