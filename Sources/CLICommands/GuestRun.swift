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
        var isLazy = false
        /// It is another machine from now on.
        var isAnother = false
        /// Of the cache: it has booted, and has no program yet.
        var isBoot = false
        /// What is read ahead, or recorded.
        var workingSet: SnapshotWorkingSet?

        init(
            _ snapshot: MachineSnapshot, _ saved: SavedRun, isLazy: Bool = false,
            isAnother: Bool = false
        ) {
            self.snapshot = snapshot
            self.saved = saved
            self.isLazy = isLazy
            self.isAnother = isAnother
        }
    }

    var options: RunCommand
    /// What is other than the options say.
    var changes: RunChanges
    var resumption: Resumption?
    /// Where guests are kept that have booted, if they are.
    var cache: BootCache?
    private var hasStarted = false

    init(
        _ options: RunCommand, _ changes: RunChanges = RunChanges(),
        resuming resumption: Resumption? = nil
    ) {
        self.options = options
        self.changes = changes
        self.resumption = resumption
    }

    /// Runs the guest to its end. Returns the status to exit with.
    func run() throws -> Int32 {
        var run = self
        while true {
            do {
                if let status = try run.runOnce() { return status }
            } catch {
                // One of the cache that cannot go on here is booted.
                guard run.resumption?.isBoot == true, !run.hasStarted else { throw error }
                run.cache?.remove()
            }
            run.resumption = nil
        }
    }

    /// Runs the guest until it ends. Nil: it is to be booted again.
    private mutating func runOnce() throws -> Int32? {
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

    // MARK: With the agent

    private mutating func runWithAgent(
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
        if let resumption, let saved = resumption.saved.session {
            session.restore(
                saved, AgentProtocol.Identity(configuration, isAnother: resumption.isAnother))
        }
        if let cache, resumption == nil { keepBoot(machine, session, cache) }
        let control = try makeControl(machine, session, log)
        hasStarted = true
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
        changes.disks = machine.diskSpecifications
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

    /// The guest is kept when it has booted; its program begins after that, or when that fails.
    private func keepBoot(_ machine: Machine, _ session: AgentSession, _ cache: BootCache) {
        let isQuiet = options.quiet
        session.holdStart {
            let thread = try? HostThread.spawn(name: "keep-boot") {
                do {
                    try cache.keep(machine, session)
                } catch {
                    if !isQuiet {
                        StandardError.write("martlet: the boot was not kept: \(error)\n")
                    }
                }
                session.begin()
            }
            if thread == nil { session.begin() }
        }
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
        if case .memoryLost = reason {
            if resumption?.isBoot == true { cache?.remove() }
            throw XError(.hostCall, "\(reason)")
        }
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
        let isBooted = resumption?.isBoot ?? true
        let arguments =
            (isBooted ? nil : resumption?.saved.arguments)
            ?? Array(ProcessInfo.processInfo.arguments.dropFirst())
        return try ControlServer(name: name, machine: machine, log: log) {
            let configuration = machine.configuration
            return ControlMessage.Status(
                name: name, process: getpid(), platform: configuration.platform.rawValue,
                processorCount: configuration.processorCount,
                memoryByteCount: configuration.memoryByteCount,
                seconds: Double(HostThread.monotonicNow.nanoseconds &- started.nanoseconds) / 1e9,
                command: command)
        } notes: { [changes] in
            var changes = changes
            changes.disks = machine.diskSpecifications
            let saved = SavedRun(
                arguments: arguments, directory: FileManager.default.currentDirectoryPath,
                session: session?.capture(hangsUp: machine.configuration.platform == .xen),
                changes: changes)
            return (try? JSONEncoder().encode(saved)).map { [SavedRun.note: $0] } ?? [:]
        } noted: {
            session?.thaw()
        }
    }

    // MARK: With an initramfs of the user's

    private mutating func runWithOwnInitramfs(
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
        changes.disks = machine.diskSpecifications
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
