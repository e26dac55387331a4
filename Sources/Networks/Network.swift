public import Vocabulary

/// The host side of one virtual network interface: where a guest's frames go, and come from.
///
/// It knows nothing of the guest's interface. Everything here may be called from any thread; what is
/// received comes on the network's own thread, named `net/NAME`.
public protocol Network: AnyObject, Sendable {
    /// Of the interface, as statistics show it.
    var name: String { get }
    var capabilities: NetworkCapabilities { get }
    var statistics: NetworkStatistics { get }

    /// Starts the network's thread, which gives frames to `sink` from now on. Once.
    ///
    /// - Parameters:
    ///   - sink: kept until `stop`.
    ///   - offloads: what the receiver does by itself. The network does the rest.
    func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError)

    /// Changes what the receiver does by itself. Packets on their way may still be as before.
    func setOffloads(_ offloads: PacketOffloads)

    /// Takes a frame from the guest. The packet's memory is the caller's again when this returns.
    /// Calls from several threads keep the order of each thread.
    func send(_ packet: Packet) -> SendOutcome

    /// The sink that said it was full has room again.
    func resume()

    /// Ends the thread; nothing is received once this returns. Not to be called from the sink.
    func stop()
}

/// What became of a frame that the guest sent.
public enum SendOutcome: Sendable, Hashable {
    /// On its way, or lost as frames are.
    case accepted
    /// Not taken: try again after `PacketSink.networkAcceptsAgain`.
    case full
}

/// Who takes the frames that a network delivers. All calls are made on the network's thread.
public protocol PacketSink: AnyObject, Sendable {
    /// Takes a frame, whose memory is the network's again when this returns. False: no room. The
    /// network keeps the frame, stops reading, and offers it again after `Network.resume`.
    func receive(_ packet: Packet) -> Bool

    /// No more frames for now: the time to notify the guest.
    func receivedBatch()

    /// `Network.send`, which was full, takes frames again.
    func networkAcceptsAgain()
}

/// What a network takes from the guest.
public struct NetworkCapabilities: Sendable, Hashable {
    /// Bytes of IP in a frame of the wire, 68 to 65535: the MTU for the guest.
    public var mtu: Int
    /// What may be left to the network in frames that the guest sends.
    public var offloads: PacketOffloads
    /// Most bytes of a packet that is to be segmented, with its Ethernet header.
    public var maximumPacketByteCount: Int

    public init(
        mtu: Int, offloads: PacketOffloads = .all,
        maximumPacketByteCount: Int = Packet.maximumByteCount
    ) {
        self.mtu = mtu
        self.offloads = offloads
        self.maximumPacketByteCount = maximumPacketByteCount
    }
}
