import ArgumentParser
import Boot
import Foundation
import Machine
import Trace
import Vocabulary

/// `martlet run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Boots a Linux kernel and runs a command in it, or a shell.",
        usage: "martlet run [options] [-- COMMAND ARG...]")

    @Option(
        help: ArgumentHelp(
            "The kernel: \(KernelStore.names.joined(separator: ", ")), or a bzImage or ELF file.",
            valueName: "name|path"))
    var kernel = KernelChoice.stock("debian")

    @Option(help: ArgumentHelp("An initramfs to use as it is.", valueName: "path"))
    var initrd: String?

    @Option(help: ArgumentHelp("More words for the kernel's command line.", valueName: "string"))
    var append: String?

    @Option(help: ArgumentHelp("Virtual processors.", valueName: "n"))
    var cpus = 1

    @Option(help: ArgumentHelp("Guest memory, e.g. 512M or 2G.", valueName: "size"))
    var memory = MemorySize(byteCount: 512 << 20)

    @Option(
        help: ArgumentHelp(
            "The paravirtual interface: kvm, xen, none, or auto: xen if the kernel knows it, else kvm.",
            valueName: "name"))
    var platform = PlatformChoice.auto

    @Option(
        help: ArgumentHelp("The processor the guest finds: auto, v2, v3, host.", valueName: "name"))
    var cpu = ProcessorOption.auto

    @Option(
        help: ArgumentHelp(
            "What runs the guest: auto, interpreter, translator, kvm.", valueName: "name"))
    var engine = EngineChoice.auto

    @Option(
        help: ArgumentHelp(
            "Puts a host file or folder tree into the guest; repeatable.",
            valueName: "host:guest"))
    var file: [FileMapping] = []

    @Option(
        help: ArgumentHelp(
            "Loads a module of the stock kernel, with what it needs; repeatable.",
            valueName: "name"))
    var module: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the kernel's log goes: stdio, file:PATH, none.", valueName: "where"))
    var console: ConsoleChoice?

    @Option(
        help: ArgumentHelp(
            "Names the machine, for martlet ps, stop, poweroff, reboot and sysrq.",
            valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Ends the guest after so many seconds.", valueName: "seconds"))
    var timeout: Double?

    @Flag(
        help: ArgumentHelp(
            "Goes on with a guest of the same kernel, files and devices that has booted before.",
            discussion: "The first time it is kept when it has booted."))
    var cached = false

    @OptionGroup(title: "Paging")
    var paging: PagingOptions

    @OptionGroup(title: "Scheduling")
    var scheduling: SchedulingOptions
    @Option(
        help: ArgumentHelp(
            "How devices complete: threaded, each queue in a thread of its own, or inline.",
            valueName: "how"))
    var interrupts = InterruptChoice.threaded

    @Option(
        help: ArgumentHelp(
            "Real-time priorities of interrupt threads, 1 to 99, 0 for none: uart0=50,timer=80.",
            valueName: "device=n,..."))
    var interruptPriority: InterruptPriorities?

    @OptionGroup(title: "Disks and networks")
    var attachments: AttachmentOptions

    @Option(
        help: ArgumentHelp(
            "Writes schedule, interrupt and exit events to a file for ui.perfetto.dev.",
            valueName: "path"))
    var trace: String?

    @Option(
        help: ArgumentHelp(
            "Writes where the guest spends its time to a file for flame graph tools.",
            valueName: "path"))
    var profile: String?

    @Flag(help: "Names translated code for the host's perf, in /tmp/perf-PID.map.")
    var perfMap = false

    @Option(
        help: ArgumentHelp(
            "Keeps translated code in a folder, for later runs of the same kernel and programs.",
            valueName: "folder"))
    var codeCache: String?

    @Flag(help: "Prints statistics as JSON on standard error at the end.")
    var stats = false

    @Flag(help: "Prints no progress.")
    var quiet = false

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("The command to run in the guest.", valueName: "command"))
    var command: [String] = []

    /// Refuses what this version does not have, with what to do instead.
    func checkAvailability() throws {
        switch engine {
        case .auto, .interpreter, .translator: break
        case .kvm:
            throw XError(
                .unsupported,
                "the engine 'kvm' is not there yet: use --engine interpreter or auto")
        }
        if let timeout, !(timeout > 0 && timeout < 1e9) {
            throw XError(
                .invalidArgument, "--timeout \(timeout): give a number of seconds above 0")
        }
        guard initrd == nil || (command.isEmpty && file.isEmpty && module.isEmpty) else {
            throw XError(
                .invalidArgument,
                "--initrd has its own programs: leave COMMAND, --file and --module out, or --initrd"
            )
        }
        guard initrd == nil || !cached else {
            throw XError(
                .invalidArgument,
                "--cached waits for Martlet's agent, which --initrd has not: leave one of them out")
        }
        guard cpus >= 1 else {
            throw XError(.invalidArgument, "--cpus \(cpus): give 1 or more")
        }
    }

    /// The machine's configuration as far as the options alone decide it.
    func baseConfiguration() throws -> MachineConfiguration {
        try checkAvailability()
        var configuration = MachineConfiguration()
        configuration.name = name
        configuration.processorCount = cpus
        configuration.memoryByteCount = memory.byteCount
        configuration.engine = engine == .interpreter ? .interpreter : .translator
        configuration.processor = cpu.choice
        configuration.scheduling = scheduling.configuration
        paging.apply(to: &configuration)
        configuration.platform = platform.platform
        configuration.disks = try attachments.disks()
        configuration.networks = try attachments.networks(of: configuration.platform)
        configuration.storeSocket = attachments.xenstoreSocket
        configuration.commandLine = commandLine(of: configuration.platform)
        configuration.interrupts.mode = interrupts == .inline ? .inline : .threaded
        configuration.interrupts.priorities = interruptPriority?.values ?? [:]
        try configuration.validate()
        configuration.countsForms = stats
        if let trace { configuration.trace = try TraceRecorder(path: trace) }
        if let profile { configuration.profile = try GuestProfile(path: profile) }
        if perfMap { configuration.perfMap = try PerfMap() }
        if let codeCache {
            configuration.persistentCode = try PersistentCode(directory: codeCache)
        }
        return configuration
    }

    private func commandLine(of platform: MachineConfiguration.Platform) -> String {
        MachineConfiguration.defaultCommandLine(of: platform) + (append.map { " " + $0 } ?? "")
    }

    /// A guest that has booted before has found its platform.
    func settlePlatform(
        of configuration: inout MachineConfiguration, as platform: MachineConfiguration.Platform
    ) {
        guard platform != configuration.platform else { return }
        configuration.platform = platform
        configuration.networks = []
        configuration.commandLine = commandLine(of: platform)
    }

    /// With the kernel read: one that is no Xen guest has KVM's interface instead, unless somebody chose.
    func settlePlatform(of configuration: inout MachineConfiguration) throws {
        guard platform == .auto, MachineConfiguration.canRunOnXen(configuration.kernel) == false
        else { return }
        guard !attachments.needXen else {
            throw XError(
                .unsupported,
                "the kernel has no drivers for disks, networks and store (CONFIG_XEN): leave --disk, "
                    + "--net, --publish and --xenstore-socket out, or give another --kernel")
        }
        settlePlatform(of: &configuration, as: .kvm)
    }

    func run() throws {
        let status = try GuestRun(self).run()
        if status != 0 { throw ExitCode(status) }
    }
}
