internal import Interrupts
internal import Networks
internal import Vocabulary
internal import Xen

/// One queue of a network interface: its two halves and the event channels that both hear.
///
/// Owner: `NetworkBackend`. It is connected and disconnected in the store's context.
final class NetworkQueue: Sendable {
    /// What the frontend wrote of it in the store.
    struct Link: Codable, Sendable, Equatable {
        var transmit: RingLink.State
        var receive: RingLink.State
        var abilities: NetworkReceiver.Abilities
    }

    private let face: XenFace
    private let network: any Network
    let transmitter: NetworkTransmitter
    let receiver: NetworkReceiver

    init(
        _ title: String, _ index: Int, _ face: XenFace, _ policy: InterruptContext.Policy,
        _ around: NetworkTransmitter.Surroundings
    ) {
        self.face = face
        network = around.network
        transmitter = NetworkTransmitter(title, index, face, policy, around)
        receiver = NetworkReceiver(title, index, face)
    }

    /// False: a grant or an event channel cannot be used.
    func connect(_ link: Link) -> Bool {
        disconnect()
        guard
            let transmit = RingLink(
                face, link.transmit.reference, port: link.transmit.port,
                entryByteCount: NetworkRing.transmitEntryByteCount)
        else { return false }
        guard
            let receive = RingLink(
                face, link.receive.reference, port: link.receive.port,
                entryByteCount: NetworkRing.receiveEntryByteCount)
        else {
            face.grantTable.end(transmit.grant)
            return false
        }
        guard hear(transmit.port, receive.port) else {
            for link in [transmit, receive] { face.grantTable.end(link.grant) }
            return false
        }
        transmitter.connect(transmit)
        receiver.connect(receive, link.abilities)
        return true
    }

    private func hear(_ transmit: EventChannelPort, _ receive: EventChannelPort) -> Bool {
        let context = transmitter.context
        let (receiver, network) = (receiver, network)
        let roomAppeared: @Sendable () -> Void = {
            if receiver.takeFull() { network.resume() }
        }
        if transmit == receive {
            return face.eventChannels.connect(transmit) {
                roomAppeared()
                context.signal()
            }
        }
        guard face.eventChannels.connect(transmit, signal: { context.signal() }) else {
            return false
        }
        if face.eventChannels.connect(receive, signal: roomAppeared) { return true }
        face.eventChannels.disconnect(transmit)
        return false
    }

    /// The rings and what the guest has granted are not touched any more once this returns.
    func disconnect() {
        let links = [transmitter.disconnect(), receiver.disconnect()].compactMap { $0 }
        for link in links {
            face.eventChannels.disconnect(link.port)
            face.grantTable.end(link.grant)
        }
        // A packet that waits for room is the network's to drop now.
        if receiver.takeFull() { network.resume() }
    }

    /// Nil: not connected.
    var captured: Link? {
        guard let transmit = transmitter.captured, let (receive, abilities) = receiver.captured
        else { return nil }
        return Link(transmit: transmit, receive: receive, abilities: abilities)
    }

    var metrics: [String: UInt64] {
        transmitter.metrics.merging(receiver.metrics) { $0 &+ $1 }
    }
}
