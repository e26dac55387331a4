internal import Boot
internal import CHost
public import Networks
internal import Paging
public import Trace
import Vocabulary

/// What a machine is made of. A value: two machines of equal configuration are built alike.
public struct MachineConfiguration: Sendable {
    /// Which paravirtual interface the guest finds. Linux takes one at a boot.
    public enum Platform: String, Sendable, CaseIterable {
        case kvm, xen, none
    }

    /// What runs the guest's instructions.
    public enum Engine: String, Sendable, CaseIterable {
        case interpreter
        /// Host code of what runs often, the interpreter for the rest.
        case translator
    }

    /// What a vCPU does that touches a page which the host does not have.
    public enum PageFaults: String, Sendable, CaseIterable {
        /// A KVM guest runs something else meanwhile, if it is in a program; any other halts.
        case async
        /// The vCPU halts, and takes interrupts.
        case halt
        /// The vCPU's worker waits, as of hosts without either; to be compared with.
        case block
    }

    /// What the machine is called; nil: it has no name. Addresses of its networks are made of it.
    public var name: String?
    /// Virtual processors, 1 to 255.
    public var processorCount = 1
    /// Guest RAM in bytes, a multiple of 4096, 16 MiB to 2 TiB.
    public var memoryByteCount: UInt64 = 512 << 20
    /// Bytes of it that the host keeps in its memory at most, the rest in a file; nil: all of it.
    public var residentByteCount: UInt64?
    /// The folder of that file.
    public var swapDirectory = "/var/tmp"
    public var pageFaults = PageFaults.async
    /// Of a snapshot: its memory is read when the guest touches it, not before it runs.
    public var restoresLazily = false
    /// Chunks of the snapshot, 64 KiB of the memory each, by number, that are read before the guest touches
    /// them, in this order, while nobody waits for another and there is room (`residentByteCount`). Any
    /// numbers are harmless. Only with `restoresLazily`; see `Machine.touchedChunks`.
    public var prefetches: [UInt32] = []
    public var platform = Platform.kvm
    public var engine = Engine.interpreter
    public var processor = ProcessorChoice.auto
    public var scheduling = SchedulingConfiguration()
    /// xvda, xvdb and so on, of a Xen guest; at most 16.
    public var disks: [DiskAttachment] = []
    /// eth0, eth1 and so on, of a Xen guest; at most 8.
    public var networks: [NetworkAttachment] = []
    /// Where the store of a Xen guest is served on a UNIX socket; nil: nowhere.
    public var storeSocket: String?
    /// The bytes of a bzImage or an ELF vmlinux.
    public var kernel: [UInt8] = []
    /// The bytes of the initramfs; empty for none.
    public var initialRAMDisk: [UInt8] = []
    /// How devices complete their work.
    public var interrupts = InterruptOptions()
    /// Gets what happens, if somebody wants to know; the caller closes it after the machine's end.
    public var trace: TraceRecorder?
    /// Gets where the guest spends its time, if somebody wants to know; the same.
    public var profile: GuestProfile?
    /// Gets what translated code is, for the host's tools; the same.
    public var perfMap: PerfMap?
    /// Has translations of earlier runs, and gets those of this one; the same. Of use to the translator.
    public var persistentCode: PersistentCode?
    /// Counts which instruction forms leave translated code for the interpreter.
    public var countsForms = false
    /// The kernel's command line, at most 2047 bytes.
    public var commandLine = MachineConfiguration.defaultCommandLine

    /// Console on the first UART; no clever timer or port tests that need hardware we do not have.
    public static let defaultCommandLine = defaultCommandLine(of: .kvm)

    /// The same; a Xen guest's console is hvc0, and it has no use for more than one UART.
    public static func defaultCommandLine(of platform: Platform) -> String {
        let console =
            platform == .xen ? "console=hvc0 8250.nr_uarts=1" : "console=ttyS0 8250.nr_uarts=4"
        return console + " reboot=k panic=-1 random.trust_cpu=on"
    }

    /// The hardware address of each network interface.
    public var hardwareAddresses: [MACAddress] {
        networks.enumerated().map { number, attachment in
            attachment.address ?? MACAddress(seed: name ?? "martlet", index: number)
        }
    }

    /// The terminal in the guest that `Machine.commandPort` is.
    public var commandTerminal: String { platform == .xen ? "/dev/hvc1" : "/dev/ttyS1" }

    public init() {}

    /// Whether a kernel, a bzImage or an ELF file, can be a Xen guest; nil: it is none.
    public static func canRunOnXen(_ kernel: [UInt8]) -> Bool? {
        (try? BootLoader.unpack(kernel))?.isXenGuest
    }

    /// Gives the memory of kernel and initramfs back to the host: a machine that has been made has them in
    /// its own.
    public mutating func releaseFiles() {
        kernel = []
        initialRAMDisk = []
        chost_return_free_memory()
    }

    /// The smallest and largest memory of a guest, in bytes.
    public static let memoryByteCountRange: ClosedRange<UInt64> = 32 << 20...2 << 40

    /// Identifiers of local APICs are 0 to 254.
    public static let processorCountRange = 1...255

    /// Throws what is wrong with the values, for a person to read.
    public func validate() throws {
        guard Self.processorCountRange.contains(processorCount) else {
            throw XError(
                .invalidArgument,
                "\(processorCount) vCPUs: give between \(Self.processorCountRange.lowerBound) and "
                    + "\(Self.processorCountRange.upperBound) with --cpus")
        }
        guard Self.memoryByteCountRange.contains(memoryByteCount) else {
            throw XError(
                .invalidArgument,
                "memory of \(memoryByteCount >> 20) MiB: give between "
                    + "\(Self.memoryByteCountRange.lowerBound >> 20)M and "
                    + "\(Self.memoryByteCountRange.upperBound >> 40)T with --memory")
        }
        if let residentByteCount, residentByteCount < Pager.smallestResidentByteCount {
            throw XError(
                .invalidArgument,
                "\(residentByteCount >> 20) MiB resident: a guest needs "
                    + "\(Pager.smallestResidentByteCount >> 20)M, give more with --resident")
        }
        try scheduling.validate()
        _ = try processor.model(for: engine)
        guard memoryByteCount.isMultiple(of: 4096) else {
            throw XError(
                .invalidArgument, "memory of \(memoryByteCount) bytes is not a multiple of 4096")
        }
        try interrupts.validate()
        guard disks.isEmpty || platform == .xen else {
            throw XError(
                .unsupported,
                "the platform '\(platform.rawValue)' has no disks yet: use --platform xen with --disk"
            )
        }
        guard disks.count <= 16 else {
            throw XError(.invalidArgument, "\(disks.count) disks: a guest has at most 16")
        }
        guard networks.isEmpty || platform == .xen else {
            throw XError(
                .unsupported,
                "the platform '\(platform.rawValue)' has no networks yet: use --platform xen with "
                    + "--net")
        }
        guard networks.count <= 8 else {
            throw XError(
                .invalidArgument, "\(networks.count) networks: a guest has at most 8")
        }
        guard storeSocket == nil || platform == .xen else {
            throw XError(
                .unsupported,
                "the platform '\(platform.rawValue)' has no XenStore: use --platform xen with "
                    + "--xenstore-socket")
        }
        guard commandLine.utf8.count < 2048 else {
            throw XError(
                .invalidArgument,
                "the kernel's command line has \(commandLine.utf8.count) bytes, Linux takes 2047: "
                    + "shorten --append")
        }
    }
}
