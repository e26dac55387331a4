internal import Clocks
internal import Interrupts
internal import Networks
internal import Vocabulary
internal import Xen
internal import XenBackends

extension MachinePlatform {
    static func makeNetworkBackends(
        _ configuration: MachineConfiguration, _ face: XenFace, _ store: StoreHost,
        _ around: Surroundings
    ) throws(XError) -> [NetworkBackend] {
        let (clock, timers) = (around.clock, around.timers)
        var backends: [NetworkBackend] = []
        for (number, network) in around.networks.enumerated() {
            let attachment = configuration.networks[number]
            var features = attachment.features
            features.queueCount = min(features.queueCount, configuration.processorCount)
            let later = Later<NetworkBackend>()
            let timer = timers.makeTimer {
                later.part?.creditIsDue()
                return true
            }
            let backend = try NetworkBackend(
                face: face, store: store, network: network,
                identity: NetworkBackend.Identity(
                    number: UInt32(number),
                    address: configuration.hardwareAddresses[number],
                    rate: attachment.rate),
                features: features,
                timing: NetworkBackend.Timing(
                    now: { clock.now.nanoseconds },
                    wake: { timers.set(timer, Instant(nanoseconds: $0)) }),
                policy: around.policy)
            later.set(backend)
            backends.append(backend)
        }
        return backends
    }
}
