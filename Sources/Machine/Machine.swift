internal import Boot
internal import Clocks
internal import Disks
import Foundation
internal import GuestMemory
internal import HostIO
internal import Interrupts
internal import KVMParavirt
internal import LegacyDevices
internal import Networks
internal import Paging
internal import Scheduler
internal import SoftwareCPU
internal import Trace
internal import VirtualCPU
internal import Vocabulary
internal import X86
internal import Xen
internal import XenBackends

/// A virtual machine: the one place where its parts are put together.
///
/// Any thread. Made from a `MachineConfiguration`, it has its kernel in memory and runs from `start`
/// until the guest ends or `stop` is called. A machine runs once.
public final class Machine: Sendable {
    /// The four serial ports; bytes leave through `output` and enter by `send`.
    public static let serialPortCount = 4
    /// The first of them, and hvc0 of a Xen guest, which has both.
    public static let consolePort = 0
    /// Of the streams of commands: the second serial port, or hvc1 of a Xen guest.
    public static let commandPort = 1

    /// Without kernel and initramfs, which are in the guest's memory.
    public let configuration: MachineConfiguration
    let memory: GuestMemory
    let ensemble: VCPUEnsemble
    private let code: CodeCache
    private let observation: MachineObservation
    let runners: [VCPURunner]
    let counter: TimeStampCounter
    let suspension = Suspension()
    let paging: MachinePaging?
    /// How often it has gone on in another process.
    let incarnation: UInt32
    private let timers: MachineTimers
    private let localAPICs: [LocalAPIC]
    let devices: MachineDevices
    private let consoles: [XenConsole]
    /// Of a Xen guest.
    let powerControl: PowerControl?
    let disks: [Disk]
    let blockBackends: [BlockBackend]
    private let networks: [NetworkBackend]
    private let storeSocket: StoreSocket?
    /// Where devices and backends complete their work.
    private let contexts: [InterruptContext]
    /// Parts whose state outlives the domain: not those of Xen's interface, which a guest sets up anew.
    let lastingParts: [any MachinePart]
    /// Every part with a state, in the order of `MachinePartStates`.
    let parts: [any MachinePart]

    /// Puts the machine together and loads the kernel.
    ///
    /// - Parameters:
    ///   - output: gets the bytes the guest sends on a serial port, in order, on the port's interrupt
    ///     thread, which may wait; on a vCPU's thread if interrupts are inline.
    ///   - room: a serial port can take more of what `send` could not place; the same threads.
    ///   - hungUp: the guest has let go of a port, and what was on its way is lost; the same threads.
    ///   - snapshot: goes on where that stands, in place of booting a kernel; the configuration has been
    ///     given to `MachineSnapshot.apply`.
    /// - Throws: `XError` for what is wrong with the configuration, the kernel, the snapshot or the host.
    public init(
        _ configuration: MachineConfiguration, resuming snapshot: MachineSnapshot? = nil,
        output: @escaping @Sendable (_ port: Int, _ bytes: [UInt8]) -> Void,
        room: @escaping @Sendable (_ port: Int) -> Void = { _ in },
        hungUp: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) throws {
        try configuration.validate()
        var kept = configuration
        (kept.kernel, kept.initialRAMDisk) = ([], [])
        self.configuration = kept
        let layout = MachineMemoryMap(
            memoryByteCount: configuration.memoryByteCount, isXen: configuration.platform == .xen)
        let incarnation = snapshot.map { ($0.manifest.incarnation ?? 0) &+ 1 } ?? 0
        self.incarnation = incarnation
        let memory =
            try snapshot?.makeMemory(layout.regions, isPaged: configuration.isPaged)
            ?? GuestMemory(regions: layout.regions, isPaged: configuration.isPaged)
        self.memory = memory
        let pages = snapshot?.pages
        let paging = try MachinePaging(configuration, memory, source: pages)
        self.paging = paging
        // Loading the kernel takes as long as a good measurement does.
        let measurement = FrequencyMeasurement()
        var start: ArchitecturalState?
        if snapshot == nil {
            let load = { try Self.load(configuration, layout, into: memory) }
            start = try paging?.filling(load) ?? load()
        }
        let counter = TimeStampCounter(
            frequency: try snapshot?.frequency() ?? measurement.finish(),
            startingAt: 0)
        self.counter = counter
        // Engines and clocks begin with it.
        try snapshot?.manifest.parts.restore([counter])
        let clock = HostClock()
        let trace = configuration.trace
        let timers = MachineTimers(configuration.interrupts, trace)
        self.timers = timers
        let count = configuration.processorCount
        let pending = (0..<count).map { _ in PendingEvents() }
        let tracks = (0..<count).map { trace?.makeTrack(.vcpus, name: "vcpu\($0)") ?? .off }
        let group = try VCPUGroup(
            .shared, pending: pending, settings: configuration.scheduling.settings,
            recorder: trace.map {
                SchedulerTrace($0, vcpus: tracks, workerCount: VCPUScheduler.shared.workerCount)
            })
        let ensemble = VCPUEnsemble(pending: pending, group: group) { pages?.stop() }
        self.ensemble = ensemble
        paging?.whenLost { [ensemble] in ensemble.stop(.memoryLost($0)) }

        let labels = InterruptNames(trace)
        let apics = (0..<count).map { index in
            Self.makeAPIC(
                index, pending[index], group, timers.vcpus, counter, clock, memory,
                LocalAPIC.Tracing(track: tracks[index], label: { labels.label($0) }))
        }
        localAPICs = apics
        let controller = InterruptController(localAPICs: apics)
        let isXen = configuration.platform == .xen
        let devices = try MachineDevices(
            MachineDevices.Surroundings(
                clock: clock, timers: timers, controller: controller,
                request: { [ensemble] request in
                    ensemble.stop(request == .powerOff ? .poweredOff : .reset)
                }, policy: configuration.interrupts.policy(trace),
                // What a Xen guest sends on its second serial port is none of a command's.
                output: { if !isXen || $0 != Self.commandPort { output($0, $1) } }, room: room))
        self.devices = devices
        disks = try Self.open(configuration.disks)
        let platform = try MachinePlatform(
            configuration,
            MachinePlatform.Surroundings(
                memory: memory, counter: counter, clock: clock, timers: timers.vcpus,
                controller: controller, policy: configuration.interrupts.policy(trace),
                consoles: [Self.consolePort, Self.commandPort].map { port in
                    XenConsole.Wire(
                        transmit: { output(port, $0) }, roomAvailable: { room(port) },
                        hungUp: { hungUp(port) })
                },
                disks: disks, networks: try Self.open(configuration.networks),
                isResumed: snapshot != nil, stop: { [ensemble] in ensemble.stop($0) },
                suspend: { [suspension] vcpu in
                    // It stands still behind the hypercall.
                    if suspension.arrive(vcpu) {
                        pending[Int(vcpu.rawValue)].raise(.park)
                    }
                    return Suspension.cancelled
                }))
        consoles = platform.consoles
        networks = platform.networkBackends
        blockBackends = platform.blockBackends
        powerControl = platform.powerControl
        storeSocket = platform.storeSocket
        contexts = devices.contexts + platform.contexts
        // A Xen guest sets its interface up anew; any other goes on with what it has.
        let ofMachine = devices.parts + [controller.ioAPIC] + apics
        let lasting = isXen ? ofMachine : ofMachine + platform.parts
        lastingParts = lasting + [counter]
        parts = ofMachine + platform.parts + [counter]
        let model = try configuration.processor.model(for: configuration.engine)
        var observation = MachineObservation(configuration)
        let code = CodeCache(
            memory: memory,
            translation: configuration.engine == .translator ? .standard : .off,
            observation: observation.ofCode, store: configuration.persistentCode?.store)
        self.code = code
        runners = (0..<count).map { index in
            let vcpu = VCPUIndex(UInt32(index))
            let engine = SoftwareEngine(
                memory: memory, events: pending[index], tscOffset: counter.offset,
                code: code,
                cpuid: ProcessorModel(
                    index: UInt32(index), count: UInt32(count), frequency: counter.frequency,
                    platform: configuration.platform, model: model, incarnation: incarnation
                ).answer)
            if index == 0, let start { engine.state = start }
            engine.pauseLoop = configuration.scheduling.pauseLoop
            observation.add(engine)
            return VCPURunner(
                index: vcpu, engine: engine,
                surroundings: MachineSurroundings(
                    index: vcpu, bus: devices.bus, apic: apics[index], controller: controller,
                    face: platform.face,
                    paging: paging.map {
                        VCPUPaging(
                            $0.pager, configuration.pageFaults, vcpu, platform.face,
                            pending[index]
                        ) {
                            group.wake(index)
                        }
                    }),
                pending: pending[index], waitsForStartUp: index != 0, track: tracks[index],
                observer: observation.samplers.last,
                nothingCanWake: { [ensemble] in ensemble.nothingCanWake($0) },
                sleepsDeeply: { [ensemble] in ensemble.sleepsDeeply($0) },
                parks: { [ensemble] in ensemble.parks($0) },
                hasEnded: { [ensemble] in ensemble.finish($0, $1) })
        }
        self.observation = observation
        guard let manifest = snapshot?.manifest else { return }
        for (runner, state) in zip(runners, manifest.vcpus) { runner.restore(state) }
        try manifest.parts.restore(lasting)
        // What waits for pages that were on their way then is woken.
        for each in pending { each.raise(.pageReady) }
    }

    /// One that cannot be opened leaves none open.
    private static func open(_ attachments: [DiskAttachment]) throws -> [Disk] {
        var disks: [Disk] = []
        do {
            for (number, attachment) in attachments.enumerated() {
                let name = "xvd" + String(UnicodeScalar(UInt8(97 + number)))
                disks.append(
                    try Disk(
                        opening: attachment.specification, name: name, engine: .automatic))
            }
        } catch {
            for disk in disks { try? disk.close() }
            throw error
        }
        return disks
    }

    private static func open(_ attachments: [NetworkAttachment]) throws -> [any Network] {
        var networks: [any Network] = []
        for (number, attachment) in attachments.enumerated() {
            networks.append(try attachment.open(number: number))
        }
        return networks
    }

    private static func makeAPIC(
        _ index: Int, _ pending: PendingEvents, _ group: VCPUGroup, _ timers: TimerQueue,
        _ counter: TimeStampCounter, _ clock: HostClock, _ memory: GuestMemory,
        _ trace: LocalAPIC.Tracing
    ) -> LocalAPIC {
        timers.attach { setDeadline in
            LocalAPIC(
                index: VCPUIndex(UInt32(index)), pending: pending,
                timing: LocalAPIC.Timing(
                    now: { clock.now },
                    nanosecondsUntilCounter: {
                        counter.nanoseconds(until: $0, adjustment: $1)
                    },
                    setDeadline: setDeadline), memory: memory, trace: trace,
                wake: { group.wake(index) })
        } expired: {
            $0.timerExpired()
        }
    }

    private static func load(
        _ configuration: MachineConfiguration, _ layout: MachineMemoryMap, into memory: GuestMemory
    ) throws -> ArchitecturalState {
        let tables = try ACPITables.install(
            processorCount: configuration.processorCount, isXen: layout.isXen, into: memory)
        return try BootLoader.load(
            kernel: configuration.kernel, initialRAMDisk: configuration.initialRAMDisk,
            commandLine: configuration.commandLine, memoryMap: layout.bootMap,
            rootSystemDescriptionPointer: tables, into: memory)
    }

    // MARK: Life

    public var lifecycle: Lifecycle { ensemble.lifecycle }

    /// Starts the vCPUs. Once.
    public func start() throws {
        try timers.start()
        try observation.start()
        for context in contexts { try context.start() }
        for network in networks { try network.start() }
        try storeSocket?.start()
        try ensemble.start(runners)
    }

    /// Asks the machine to end. Returns at once; `wait` says when it has.
    public func stop(_ reason: StopReason = .requested) { ensemble.stop(reason) }

    /// Presses the power button. A guest with ACPI shuts down.
    public func pressPowerButton() { devices.pressPowerButton() }

    /// Waits until every vCPU has ended and what the guest has sent is with `output`, at most
    /// `seconds` for the vCPUs. Nil when the time is up.
    public func wait(seconds: Double? = nil) -> StopReason? {
        let reason = ensemble.wait(seconds: seconds)
        if reason != nil {
            // Who waits for a page waits no more.
            paging?.pager.stop()
            timers.stop()
            observation.stop()
            storeSocket?.stop()
            MachineDevices.finish(contexts)
            for network in networks { network.stop() }
            for disk in disks { try? disk.close() }
        }
        return reason
    }

    /// Registers and last exits of a guest that ended by accident.
    public var postMortem: PostMortem? { ensemble.postMortem }

    /// Offers bytes to a serial port. Returns how many the guest could take now.
    public func send(_ bytes: some Collection<UInt8>, toPort port: Int) -> Int {
        if consoles.indices.contains(port) { return consoles[port].receive(bytes) }
        return port >= 0 && port < devices.uarts.count ? devices.uarts[port].receive(bytes) : 0
    }

    /// Counters of all vCPUs so far.
    public var statistics: MachineStatistics {
        var result = MachineStatistics()
        let reports = runners.map(\.report)
        for report in reports { result.add(report) }
        result.secondsToFirstUserInstruction = reports.compactMap(\.firstUserEntry).min()
            .flatMap { ensemble.seconds(to: $0) }
        result.code = code.statistics
        result.exitsByForm = observation.mostFrequent(code.exitsByForm)
        result.startNanoseconds = ensemble.started?.nanoseconds
        result.seconds = ensemble.seconds
        result.scheduling = ensemble.scheduling
        let spent = result.scheduling.reduce(0) { $0 &+ $1.runNanoseconds }
        result.processorSeconds = Double(spent) / 1e9
        if result.processorSeconds > 0 {
            result.mips = Double(result.instructionsRetired) / result.processorSeconds / 1e6
        }
        result.locks = LockRegistry.statistics
        for part in parts { result.parts[part.name] = part.metrics }
        result.parts.merge(timers.metrics) { $1 }
        if let paging { result.parts["pager"] = paging.pager.metrics }
        var latencies = InterruptLatencies()
        for apic in localAPICs { apic.addLatencies(to: &latencies) }
        for (source, summary) in latencies.summaries {
            result.interruptLatencies[InterruptNames.name(source)] =
                MachineStatistics.Latency(summary)
        }
        result.peakMemoryByteCount = Self.peakMemoryByteCount
        return result
    }
}

extension Machine {
    /// Peak resident memory of this process.
    fileprivate static var peakMemoryByteCount: UInt64 {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return UInt64(max(0, usage.ru_maxrss)) << 10
    }
}
