public import Networks
public import Vocabulary
public import XenBackends

/// A network interface of a guest, where it leads, and what its backend offers: `--net`'s text.
public struct NetworkAttachment: Sendable {
    public var specification: NetworkSpecification
    /// Nil: one that the machine's name and the interface's number make.
    public var address: MACAddress?
    /// Bytes of IP in a frame, 576 to 65521; a TAP device has its own.
    public var mtu = 1500
    /// What the guest may send.
    public var rate: NetworkRate?
    /// What is wrong with the link, each way.
    public var impairment = LinkImpairment()
    public var features = NetworkBackend.Features()

    public init(_ specification: NetworkSpecification) { self.specification = specification }

    /// Reads what `NetworkSpecification` has, and `mac`, `mtu`, `rate` (bits a second, with K, M or G),
    /// `loss` and `reorder` (percent), `delay` (milliseconds), `queues` (1 to 8), and `sg`, `tso4`,
    /// `tso6`, `csum6`, `split`, `multicast`, `control` (on or off).
    public init(parsing text: String) throws(XError) {
        let options = try TakenOptions(
            text,
            taking: [
                "mac", "mtu", "rate", "loss", "reorder", "delay", "queues", "sg", "tso4", "tso6",
                "csum6", "split", "multicast", "control",
            ])
        specification = try NetworkSpecification(options.rest)
        if let text = options.text("mac") { address = try MACAddress(text) }
        if let number = try options.number("mtu", in: 576...65521) { mtu = number }
        if let text = options.text("rate") { rate = try Self.rate(text) }
        impairment.lossProbability = try options.probability("loss") ?? 0
        impairment.reorderProbability = try options.probability("reorder") ?? 0
        if let delay = try options.number("delay", in: 0...60_000) {
            impairment.delayNanoseconds = UInt64(delay) * 1_000_000
        }
        if let count = try options.number("queues", in: 1...8) { features.queueCount = count }
        try options.flag("sg", &features.scatterGather)
        try options.flag("tso4", &features.segmentationV4)
        try options.flag("tso6", &features.segmentationV6)
        try options.flag("csum6", &features.checksumV6)
        try options.flag("split", &features.splitChannels)
        try options.flag("multicast", &features.multicastControl)
        try options.flag("control", &features.controlRing)
    }

    /// Of an interval of 50 ms, as toolstacks take it.
    private static func rate(_ text: String) throws(XError) -> NetworkRate {
        var digits = Substring(text)
        var factor: UInt64 = 1
        if let unit = digits.last, let power = ["K": 1, "M": 2, "G": 3][unit.uppercased()] {
            digits.removeLast()
            for _ in 0..<power { factor *= 1000 }
        }
        guard let number = UInt64(digits), number <= 1_000_000_000_000 / factor,
            number * factor >= 160
        else {
            throw XError(
                .invalidArgument,
                "rate=\(text): give bits a second, 160 to 1000G, like 100M")
        }
        return NetworkRate(byteCount: number * factor / 160, interval: 50_000_000)
    }

    /// Makes the host side of interface `number`. It does not receive before `Network.start`.
    func open(number: Int) throws(XError) -> any Network {
        let network = try specification.open(name: "vif\(number)", mtu: mtu)
        guard impairment != LinkImpairment() else { return network }
        return try NetworkImpairment(network, sent: impairment, received: impairment)
    }
}
