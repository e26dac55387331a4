internal import Boot
internal import Clocks
internal import Disks
import Foundation
internal import GuestMemory
internal import Interrupts
internal import KVMParavirt
internal import Networks
internal import Vocabulary
internal import Xen
internal import XenBackends
internal import XenStore

/// The paravirtual interface of a machine, put together with what it needs of the others.
struct MachinePlatform {
    let face: PlatformFace
    /// Of the interface, with a state.
    let parts: [any MachinePart]
    /// hvc0 and hvc1, of a Xen guest.
    let consoles: [XenConsole]
    /// Of a Xen guest.
    let store: StoreHost?
    /// Serves the store to the host's programs.
    let storeSocket: StoreSocket?
    /// Of a Xen guest.
    let blockBackends: [BlockBackend]
    /// Of a Xen guest.
    let networkBackends: [NetworkBackend]

    /// Of a Xen guest.
    let powerControl: PowerControl?

    /// What it needs of the other parts.
    struct Surroundings {
        var memory: GuestMemory
        var counter: TimeStampCounter
        var clock: HostClock
        var timers: TimerQueue
        var controller: InterruptController
        var policy: InterruptContext.Policy
        /// Of each console.
        var consoles: [XenConsole.Wire]
        var disks: [Disk]
        var networks: [any Network]
        /// The guest runs already, in another domain so far.
        var isResumed: Bool
        /// Asks the machine to end.
        var stop: @Sendable (StopReason) -> Void
        /// A vCPU of a Xen guest suspends it; RAX of that.
        var suspend: @Sendable (VCPUIndex) -> UInt64
    }

    /// Where backends complete their work.
    var contexts: [InterruptContext] {
        consoles.flatMap(\.contexts) + (store?.contexts ?? []) + blockBackends.flatMap(\.contexts)
            + networkBackends.flatMap(\.contexts)
    }

    init(_ configuration: MachineConfiguration, _ around: Surroundings) throws(XError) {
        let (memory, counter, clock) = (around.memory, around.counter, around.clock)
        let origin = clock.now.nanoseconds
        switch configuration.platform {
        case .none:
            face = .none
            parts = []
            consoles = []
            store = nil
            storeSocket = nil
            blockBackends = []
            networkBackends = []
            powerControl = nil
        case .kvm:
            let face = KVMFace(
                memory: memory, processorCount: configuration.processorCount,
                frequency: counter.frequency, counter: { counter.now },
                monotonic: { clock.now.nanoseconds &- origin },
                wallClock: { HostClock.wallClockNanoseconds })
            self.face = .kvm(face)
            parts = [face]
            consoles = []
            store = nil
            storeSocket = nil
            blockBackends = []
            networkBackends = []
            powerControl = nil
        case .xen:
            let xen = Self.makeXen(configuration, around, origin)
            face = .xen(xen) { [stop = around.stop, suspend = around.suspend] reason, vcpu in
                switch reason {
                case .powerOff: stop(.poweredOff)
                case .reboot, .softReset: stop(.reset)
                case .crash, .watchdog: stop(.crashed)
                case .suspend: return suspend(vcpu)
                }
                return 0
            }
            let store = try Self.makeStore(xen, around)
            self.store = store
            storeSocket = try configuration.storeSocket.map { (path) throws(XError) in
                try StoreSocket(path: path, option: "--xenstore-socket", store: store)
            }
            let first = try Self.makeConsole(xen, around)
            try Self.makeNodes(configuration, xen, store)
            var consoles = [first]
            for (number, wire) in around.consoles.enumerated().dropFirst() {
                consoles.append(
                    try XenConsole(
                        face: xen, store: store, number: UInt32(number), policy: around.policy,
                        wire: wire))
            }
            self.consoles = consoles
            let disks = try Self.makeBlockBackends(configuration, xen, store, around)
            blockBackends = disks
            let networks = try Self.makeNetworkBackends(configuration, xen, store, around)
            networkBackends = networks
            let power = PowerControl(store: store, domain: xen.domain)
            if around.isResumed { try power.assumeHeard() }
            powerControl = power
            parts = disks as [any MachinePart] + networks + consoles + [store, xen]
        }
    }

    private static func allocate(
        _ face: XenFace, for user: String
    ) throws(XError) -> EventChannelPort {
        guard let port = face.eventChannels.allocate() else {
            throw XError(.busy, "there is no event channel left for the \(user)")
        }
        return port
    }

    private static func makeStore(
        _ face: XenFace, _ around: Surroundings
    ) throws(XError) -> StoreHost {
        let port = try allocate(face, for: "store")
        face[.storeFrame] = MachineMemoryMap.xenStorePage
        face[.storePort] = UInt64(port.rawValue)
        let (clock, timers) = (around.clock, around.timers)
        let later = Later<StoreHost>()
        let timer = timers.makeTimer { later.part?.dropStaleEvents() ?? true }
        let store = try StoreHost(
            face: face, page: GuestPhysicalAddress(MachineMemoryMap.xenStorePage << 12),
            port: port, policy: around.policy,
            checkLater: { timers.set(timer, clock.now.advanced(by: $0)) })
        later.set(store)
        return store
    }

    private static func makeBlockBackends(
        _ configuration: MachineConfiguration, _ face: XenFace, _ store: StoreHost,
        _ around: Surroundings
    ) throws(XError) -> [BlockBackend] {
        var backends: [BlockBackend] = []
        for (number, disk) in around.disks.enumerated() {
            var features = configuration.disks[number].features
            features.queueCount = min(features.queueCount, configuration.processorCount)
            backends.append(
                try BlockBackend(
                    face: face, store: store, memory: around.memory, disk: disk,
                    number: UInt32(number), features: features, policy: around.policy))
        }
        return backends
    }

    private static func makeConsole(
        _ face: XenFace, _ around: Surroundings
    ) throws(XError) -> XenConsole {
        let port = try allocate(face, for: "console")
        face[.consoleFrame] = MachineMemoryMap.xenConsolePage
        face[.consolePort] = UInt64(port.rawValue)
        return XenConsole(
            face: face, page: GuestPhysicalAddress(MachineMemoryMap.xenConsolePage << 12),
            port: port, policy: around.policy, wire: around.consoles[0])
    }

    private static func makeNodes(
        _ configuration: MachineConfiguration, _ face: XenFace, _ store: StoreHost
    ) throws(XError) {
        let nodes = DomainNodes(
            domain: face.domain, name: configuration.name ?? "martlet",
            identifier: Self.text(face.identifier),
            processorCount: configuration.processorCount,
            memoryByteCount: configuration.memoryByteCount,
            storePort: EventChannelPort(UInt32(truncatingIfNeeded: face[.storePort])),
            storeFrame: face[.storeFrame],
            consolePort: EventChannelPort(UInt32(truncatingIfNeeded: face[.consolePort])),
            consoleFrame: face[.consoleFrame])
        let client = store.makeClient()
        do throws(StoreError) {
            try store.perform { (service) throws(StoreError) in
                try nodes.make(in: &service, as: client)
            }
        } catch {
            throw XError(.busy, "the store refuses the guest's first nodes: \(error)")
        }
        store.removeClient(client)
    }

    /// A UUID as people write it.
    private static func text(_ identifier: [UInt8]) -> String {
        var text = ""
        for (index, byte) in identifier.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            let digits = String(byte, radix: 16)
            text += digits.utf8.count == 1 ? "0" + digits : digits
        }
        return text
    }

    private static func makeXen(
        _ configuration: MachineConfiguration, _ around: Surroundings, _ origin: UInt64
    ) -> XenFace {
        let (counter, clock) = (around.counter, around.clock)
        let (timers, controller) = (around.timers, around.controller)
        let later = Later<XenFace>()
        let indices = (0..<configuration.processorCount).map { VCPUIndex(UInt32($0)) }
        let vcpuTimers = indices.map { index in
            timers.makeTimer {
                later.part?.timerExpired(index)
                return true
            }
        }
        let pollTimers = indices.map { index in
            timers.makeTimer {
                later.part?.pollExpired(index)
                return true
            }
        }
        @Sendable func instant(_ deadline: UInt64?) -> Instant? {
            deadline.map { Instant(nanoseconds: origin).advanced(by: $0) }
        }
        let apics = controller.localAPICs
        let face = XenFace(
            memory: around.memory,
            memoryMap: MachineMemoryMap(
                memoryByteCount: configuration.memoryByteCount, isXen: true
            ).bootMap.map {
                XenFace.MapEntry(start: $0.start, byteCount: $0.byteCount, type: $0.type)
            },
            processorCount: configuration.processorCount,
            frequency: counter.frequency,
            identifier: unsafe withUnsafeBytes(of: UUID().uuid) { unsafe Array($0) },
            surroundings: XenFace.Surroundings(
                counter: { counter.now }, monotonic: { clock.now.nanoseconds &- origin },
                wallClock: { HostClock.wallClockNanoseconds },
                interrupt: { vcpu, vector in
                    let apic = apics[Int(vcpu.rawValue)]
                    if let vector {
                        apic.request(
                            vector: vector, level: false, origin: InterruptOrigin(.event))
                    } else {
                        apic.requestDirect()
                    }
                }, kick: { controller.kick($0) },
                setTimer: { timers.set(vcpuTimers[Int($0.rawValue)], instant($1)) },
                setPollTimer: { timers.set(pollTimers[Int($0.rawValue)], instant($1)) }))
        later.set(face)
        return face
    }
}
