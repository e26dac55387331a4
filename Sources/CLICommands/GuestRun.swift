import Boot
import Foundation
import HostIO
import Machine
import Synchronization
import Trace
import Vocabulary

/// One run of a guest for `martlet run`.
struct GuestRun {
    /// What goes on in place of a boot.
    struct Resumption {
        var snapshot: MachineSnapshot
        var saved: SavedRun
        /// Its memory is read when it is touched.
        var isLazy: Bool
        /// What is read ahead, or recorded.
        var workingSet: SnapshotWorkingSet?

        init(_ snapshot: MachineSnapshot, _ saved: SavedRun, isLazy: Bool) {
            self.snapshot = snapshot
            self.saved = saved
            self.isLazy = isLazy
        }
    }

    var options: RunCommand
    private var resumption: Resumption?

    init(_ options: RunCommand, resuming resumption: Resumption? = nil) {
        self.options = options
        self.resumption = resumption
    }

    /// Runs the guest to its end. Returns the status to exit with.
    func run() throws -> Int32 {
        var run = self
        while true {
            if let status = try run.runOnce() { return status }
            run.resumption = nil
        }
    }

    /// Runs the guest until it ends. Nil: it is to be booted again.
    private func runOnce() throws -> Int32? {
        let progress = Progress(quiet: options.quiet)
        var configuration = try configure(progress)
        // Files of what happened are of use whatever became of the guest. Its status is the command's:
        // what a file lacks is said, no more.
        let (trace, profile, perfMap) = (
            configuration.trace, configuration.profile, configuration.perfMap
        )
        let code = configuration.persistentCode
        defer {
            Self.sayWhatFails { () throws(XError) in try trace?.close() }
            Self.sayWhatFails { () throws(XError) in try profile?.close() }
            Self.sayWhatFails { () throws(XError) in try perfMap?.close() }
            Self.sayWhatFails { () throws(XError) in try code?.close() }
        }
        return options.initrd == nil
            ? try runWithAgent(&configuration, progress)
            : try runWithOwnInitramfs(&configuration, progress)
    }

    private static func sayWhatFails(_ close: () throws(XError) -> Void) {
        do { try close() } catch { StandardError.write("martlet: \(error.message)\n") }
    }

    // MARK: What is booted

    private func configure(_ progress: Progress) throws -> MachineConfiguration {
        var configuration = try options.baseConfiguration()
        if let resumption {
            try resumption.snapshot.apply(to: &configuration)
            configuration.restoresLazily = resumption.isLazy
            configuration.prefetches = resumption.workingSet?.prefetches ?? []
            return configuration
        }
        let report: KernelStore.ProgressHandler = { progress.step($0) }
        let kernelPath: String
        var stock: KernelStore.Kernel?
        switch options.kernel {
        case .stock(let name):
            let kernel = try KernelStore().kernel(name, progress: report)
            stock = kernel
            kernelPath = kernel.path
        case .file(let path): kernelPath = path
        }
        configuration.kernel = try Self.read(
            kernelPath, what: "kernel", option: "--kernel", atMost: Self.largestKernel)
        if let store = try? KernelStore() {
            configuration.kernel = UnpackedKernels(store).image(
                of: configuration.kernel, digest: stock?.digest)
        }
        try options.settlePlatform(of: &configuration)
        if let initrd = options.initrd {
            configuration.initialRAMDisk = try Self.read(
                initrd, what: "initramfs", option: "--initrd, or more --memory",
                atMost: configuration.memoryByteCount)
            progress.done()
            return configuration
        }
        let busybox = try KernelStore().busybox(progress: report)
        var tree = try GuestSystem.initramfs(
            busybox: busybox, modules: try modules(of: stock, configuration, report),
            nameServer: configuration.nameServer)
        for file in options.file {
            try tree.addHost(file.hostPath, as: GuestSystem.resolve(file.guestPath))
        }
        configuration.initialRAMDisk = try tree.bytes()
        configuration.commandLine +=
            " martlet.agent=\(configuration.commandTerminal)" + configuration.deviceSetUp
        progress.done()
        return configuration
    }

    /// The modules of `--module` in the order in which they are loaded.
    private func modules(
        of kernel: KernelStore.Kernel?, _ configuration: MachineConfiguration,
        _ report: KernelStore.ProgressHandler
    ) throws -> [KernelModules.Module] {
        var names = options.module
        if kernel != nil { names = configuration.frontendModules + names }
        if names.isEmpty { return [] }
        guard let kernel else {
            throw XError(
                .invalidArgument,
                "--module takes modules of a stock kernel: give --kernel a stock kernel's name, or "
                    + "bring the module with --file and load it with insmod")
        }
        let directory = try KernelStore().modulesDirectory(of: kernel, progress: report)
        return try KernelModules(directory: directory).load(names)
    }

    /// No kernel is larger, with all of its debugging information.
    private static let largestKernel: UInt64 = 2 << 30

    private static func read(
        _ path: String, what: String, option: String, atMost limit: UInt64
    ) throws -> [UInt8] {
        do {
            // By descriptor, so that /dev/null and pipes can be given.
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            var count = UInt64(0)
            if let size = try? file.seekToEnd() {
                count = size
                try file.seek(toOffset: 0)
            }
            var bytes: [UInt8] = []
            while count <= limit, let piece = try file.read(upToCount: 16 << 20), !piece.isEmpty {
                bytes += piece
                count = max(count, UInt64(bytes.count))
            }
            if count <= limit { return bytes }
        } catch {
            throw XError(
                .notFound,
                "cannot read the \(what) '\(path)': \(Self.reason(error)); give another with \(option)",
                cause: error)
        }
        throw XError(
            .invalidFormat,
            "the \(what) '\(path)' has more than \(limit >> 20) MiB: give another with \(option)")
    }

    private static func reason(_ error: any Error) -> String {
        let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let cause, cause.domain == NSPOSIXErrorDomain else { return "it is not readable" }
        return unsafe String(cString: strerror(Int32(truncatingIfNeeded: cause.code)))
    }

    /// A name that was written wrong is not seen otherwise: nothing of the host is behind the device.
    private func sayWhatIsMade(_ devices: [String]) {
        for device in devices where !options.quiet {
            StandardError.write(
                "martlet: made the TAP device '\(device)', which goes with the guest; give the host "
                    + "an address there: sudo ip addr add ADDRESS/24 dev \(device)\n")
        }
    }

    // MARK: With the agent

    private func runWithAgent(
        _ configuration: inout MachineConfiguration, _ progress: Progress
    ) throws -> Int32? {
        let isShell = options.command.isEmpty
        var start = AgentProtocol.Start(
            arguments: isShell ? ["/bin/sh", "-l"] : options.command)
        let terminal = isShell && Terminal.isInteractive
        start.usesTerminal = terminal
        start.environment = ["TERM=" + (ProcessInfo.processInfo.environment["TERM"] ?? "dumb")]
        if let window = Terminal.windowSize {
            start.window = AgentProtocol.WindowSize(rows: window.rows, columns: window.columns)
        }
        guard AgentProtocol.encode(.start(start)) != nil else {
            throw XError(
                .invalidArgument, "the command has more than 64 KiB of arguments: put it in a file")
        }
        let log = try ConsoleLog(options.console)
        let made = configuration.devicesToMake
        let session = AgentSession(start, onReady: { progress.done() })
        let machine = try Machine(
            configuration, resuming: resumption?.snapshot,
            output: { port, bytes in
                switch port {
                case Machine.consolePort: log.append(bytes)
                case Machine.commandPort: session.receive(bytes)
                default: break
                }
            },
            room: { port in if port == Machine.commandPort { session.flush() } },
            hungUp: { port in if port == Machine.commandPort { session.hangUp() } })
        configuration.releaseFiles()
        sayWhatIsMade(made)
        session.attach(machine)
        if let saved = resumption?.saved.session { session.restore(saved) }
        let control = try makeControl(machine, session, log)
        // The kernel's log on the terminal is progress enough.
        if options.console != .stdio {
            progress.step(resumption == nil ? "booting" : "resuming")
        }
        if terminal { try Terminal.enterRawMode() }
        defer { Terminal.leaveRawMode() }
        let leaves = Atomic<Bool>(false)
        let pump = inputPump(session, machine, terminal: terminal) {
            leaves.store(true, ordering: .releasing)
        }
        defer { resumption?.workingSet?.record(machine) }
        try machine.start()
        pump.start()
        let reason = wait(machine, session, progress)
        if reason != nil { session.settle() }
        control?.close(reason)
        pump.stop()
        Terminal.leaveRawMode()
        progress.done()
        if options.stats { printStatistics(machine) }
        if leaves.load(ordering: .acquiring) { return 0 }
        if let exit = session.exit { return try status(exit) }
        if reason == .suspended { return 0 }
        if let control, let reason {
            if control.wantsRestart, reason == .reset { return nil }
            // A shell that somebody ended from outside has done what it was for.
            if options.command.isEmpty, reason == .poweredOff { return 0 }
        }
        return try report(reason, machine, log)
    }

    private func status(_ exit: AgentProtocol.Exit) throws -> Int32 {
        if case .notStarted(let number) = exit {
            let text = unsafe String(cString: strerror(Int32(number)))
            StandardError.write("martlet: cannot run '\(options.command.first ?? "")': \(text)\n")
            return number == 2 ? 127 : 126
        }
        return exit.shellStatus
    }

    private func inputPump(
        _ session: AgentSession, _ machine: Machine, terminal: Bool,
        _ leave: @escaping @Sendable () -> Void
    ) -> InputPump {
        InputPump(STDIN_FILENO) { event in
            switch event {
            case .bytes(let bytes):
                if !terminal { return session.feed(bytes) }
                let (typed, leaves) = EscapeKey.split(bytes[...])
                session.feed(Array(typed))
                if leaves {
                    leave()
                    machine.stop()
                }
            case .end: session.endInput()
            case .tick:
                if terminal, Terminal.takeWindowChange(), let window = Terminal.windowSize {
                    session.resize(window)
                }
            }
        }
    }

    /// Until the guest has ended, or time is up, or it lingers after its program has ended.
    private func wait(_ machine: Machine, _ session: AgentSession, _ progress: Progress)
        -> StopReason?
    {
        let deadline = options.timeout.map { Date().addingTimeInterval($0) }
        var lingering = 0
        while true {
            if let reason = machine.wait(seconds: session.exit == nil ? 0.1 : 0.02) {
                return reason
            }
            progress.tick()
            if session.exit != nil { lingering += 1 }
            let isLate = deadline.map { Date() >= $0 } ?? false
            if isLate || lingering > 250 {
                machine.stop()
                _ = machine.wait(seconds: 10)
                return nil
            }
        }
    }

    /// The guest ended, or was ended, before its program did.
    private func report(_ reason: StopReason?, _ machine: Machine, _ log: ConsoleLog) throws
        -> Int32
    {
        guard let reason else {
            throw XError(
                .busy,
                "the guest was ended after \(options.timeout ?? 0) seconds: give it more with --timeout"
            )
        }
        // The guest's log knows nothing of that.
        if case .memoryLost = reason { throw XError(.hostCall, "\(reason)") }
        if let end = machine.postMortem { StandardError.write("\(end)\n") }
        // A panic with its registers and calls has some forty.
        let tail = log.tail(lines: 50)
        if options.console != .stdio, options.console != ConsoleChoice.none, !tail.isEmpty {
            StandardError.write("the kernel's last lines:\n\(tail)\n")
        }
        throw XError(
            .invalidFormat,
            "\(reason) before the command had ended: see the kernel's log (--console)")
    }

    /// The control socket of a machine with a name.
    private func makeControl(
        _ machine: Machine, _ session: AgentSession?, _ log: ConsoleLog
    ) throws -> ControlServer? {
        guard let name = options.name else { return nil }
        let started = HostThread.monotonicNow
        let command = options.command
        let arguments =
            resumption?.saved.arguments ?? Array(ProcessInfo.processInfo.arguments.dropFirst())
        return try ControlServer(name: name, machine: machine, log: log) {
            let configuration = machine.configuration
            return ControlMessage.Status(
                name: name, process: getpid(), platform: configuration.platform.rawValue,
                processorCount: configuration.processorCount,
                memoryByteCount: configuration.memoryByteCount,
                seconds: Double(HostThread.monotonicNow.nanoseconds &- started.nanoseconds) / 1e9,
                command: command)
        } notes: {
            let saved = SavedRun(
                arguments: arguments, directory: FileManager.default.currentDirectoryPath,
                session: session?.capture())
            return (try? JSONEncoder().encode(saved)).map { [SavedRun.note: $0] } ?? [:]
        }
    }

    // MARK: With an initramfs of the user's

    private func runWithOwnInitramfs(
        _ configuration: inout MachineConfiguration, _ progress: Progress
    ) throws -> Int32? {
        // The console is all there is of such a guest, and so has standard output.
        let log = try ConsoleLog(options.console ?? .stdio, stream: STDOUT_FILENO)
        let input = ConsoleInput()
        let made = configuration.devicesToMake
        let machine = try Machine(
            configuration, resuming: resumption?.snapshot,
            output: { port, bytes in if port == ConsoleInput.port { log.append(bytes) } },
            room: { port in if port == ConsoleInput.port { input.flush() } })
        configuration.releaseFiles()
        sayWhatIsMade(made)
        input.attach(machine)
        let control = try makeControl(machine, nil, log)
        defer { input.close() }
        let terminal = Terminal.isInteractive
        if terminal { try Terminal.enterRawMode() }
        defer { Terminal.leaveRawMode() }
        let pump = InputPump(STDIN_FILENO) { event in
            guard case .bytes(let bytes) = event else { return }
            guard terminal else { return input.feed(bytes) }
            let (typed, leaves) = EscapeKey.split(bytes[...])
            if leaves { machine.stop() }
            input.feed(typed)
        }
        defer { resumption?.workingSet?.record(machine) }
        try machine.start()
        pump.start()
        let reason = machine.wait(seconds: options.timeout)
        if reason == nil {
            machine.stop()
            _ = machine.wait(seconds: 10)
        }
        control?.close(reason)
        pump.stop()
        Terminal.leaveRawMode()
        if options.stats { printStatistics(machine) }
        if reason == .reset, control?.wantsRestart == true { return nil }
        switch reason {
        case .poweredOff, .reset, .suspended, .requested: return 0
        default: return try report(reason, machine, log)
        }
    }
}
