/// Who runs the work: a column of the table.
public struct Side: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Martlet with an engine of that name, with or without directed yield.
        case martlet(engine: String, yields: Bool)
        /// `qemu-system-x86_64 -accel tcg` with the kernel as it is booted by default.
        case qemu(QEMUBoot)
        /// The programs on the host itself.
        case native
    }

    /// How QEMU gets the kernel.
    public enum QEMUBoot: String, Sendable, Hashable, CaseIterable {
        /// The bzImage, as everyone starts it: firmware, and the kernel unpacks itself.
        case bzImage = "qemu"
        /// The unpacked kernel by its PVH entry, as Martlet starts it.
        case uncompressed = "qemu-pvh"
        /// The same on QEMU's small machine without firmware tables for PCI.
        /// On a busy host its guest finds no clock to measure by, and may wait for ever.
        case microvm = "qemu-microvm"
    }

    public var kind: Kind

    public init(_ kind: Kind) { self.kind = kind }

    public var name: String {
        switch kind {
        case .martlet(let engine, true): engine
        case .martlet(let engine, false): engine + "-no-yield"
        case .qemu(let boot): boot.rawValue
        case .native: "native"
        }
    }

    /// The side to be faster than.
    public static let reference = Side(.qemu(.bzImage))
    /// The side to come near to.
    public static let native = Side(.native)

    public var isMartlet: Bool {
        if case .martlet = kind { return true }
        return false
    }

    /// The same side with directed yield.
    var yielding: Side {
        if case .martlet(let engine, _) = kind {
            return Side(.martlet(engine: engine, yields: true))
        }
        return self
    }

    /// All sides, Martlet's engines first.
    ///
    /// - Parameters:
    ///   - engines: those wanted; empty for all that are available.
    ///   - available: those that this Martlet has, the fastest last.
    /// - Throws: `ComparisonError` for an engine that is not available.
    public static func all(
        engines: [String], available: [String]
    ) throws(ComparisonError) -> [Side] {
        for engine in engines where !available.contains(engine) {
            throw ComparisonError(
                "no engine '\(engine)': ENGINES takes \(available.joined(separator: ","))")
        }
        let chosen = engines.isEmpty ? available : available.filter { engines.contains($0) }
        var sides = chosen.map { Side(.martlet(engine: $0, yields: true)) }
        if let fastest = chosen.last {
            sides.append(Side(.martlet(engine: fastest, yields: false)))
        }
        return sides + QEMUBoot.allCases.map { Side(.qemu($0)) } + [.native]
    }

    /// Whether the row is measured on this side: other ways to boot have only the row `boot`, and
    /// with few vCPUs; directed yield is left out only there and where there are many.
    public func measures(_ row: Row, processorCount: Int) -> Bool {
        switch (kind, row.kind) {
        case (.martlet(_, true), _), (.qemu(.bzImage), .boot), (.qemu(.bzImage), .program),
            (.native, .program):
            true
        case (.martlet(_, false), .boot): processorCount > 2
        case (.qemu, .boot): processorCount <= 2
        default: false
        }
    }
}

/// Files that every side gets, and where the programs to start are.
public struct Materials: Sendable {
    public var martlet: String
    public var qemu = "qemu-system-x86_64"
    /// The stock kernel, and what is in it.
    public var bzImage: String
    public var uncompressedKernel: String
    /// With nothing but a shell, and with all programs.
    public var bootInitramfs: String
    public var initramfs: String
    /// The folder with the programs on the host, and one for what they write.
    public var programs: String
    public var scratch: String

    /// All below one folder but Martlet.
    public init(martlet: String, folder: String) {
        self.martlet = martlet
        bzImage = folder + "/vmlinuz"
        uncompressedKernel = folder + "/vmlinux"
        bootInitramfs = folder + "/initramfs-boot"
        initramfs = folder + "/initramfs"
        programs = folder + "/programs"
        scratch = folder + "/scratch"
    }
}

/// What a side is started for.
public enum Work: Sendable, Equatable {
    /// To come up.
    case boot
    /// To run those rows, in order.
    case rows([String])
}

extension Side {
    /// The guest's memory on both sides, in MiB.
    static let memory = 512

    /// Words that Martlet gives every kernel; QEMU gets the same.
    static let commandLine = "console=ttyS0 8250.nr_uarts=4 reboot=k panic=-1 random.trust_cpu=on"

    /// The program to start and its arguments.
    public func command(processorCount: Int, _ work: Work, _ materials: Materials) -> [String] {
        var rows: [String] = []
        if case .rows(let names) = work { rows = names }
        let initramfs = work == .boot ? materials.bootInitramfs : materials.initramfs
        // Read by the guest's /init.
        let request = "bench.rows=" + rows.joined(separator: ",")
        switch kind {
        case .martlet(let engine, let yields):
            return [
                materials.martlet, "run", "--quiet", "--stats", "--engine", engine, "--cpus",
                "\(processorCount)", "--memory", "\(Self.memory)M", "--kernel", materials.bzImage,
                "--initrd", initramfs, "--console", "stdio", "--append", request,
            ] + (yields ? [] : ["--directed-yield", "off"])
        case .qemu(let boot):
            let kernel = boot == .bzImage ? materials.bzImage : materials.uncompressedKernel
            let machine = boot == .microvm ? ["-M", "microvm"] : []
            return [materials.qemu, "-accel", "tcg,thread=multi"] + machine + [
                "-smp", "\(processorCount)", "-m", "\(Self.memory)", "-nographic", "-no-reboot",
                "-nic", "none", "-kernel", kernel, "-initrd", initramfs, "-append",
                Self.commandLine + " " + request,
            ]
        case .native:
            return [
                "/usr/bin/env", "-i", "BENCH=\(materials.programs)",
                "SCRATCH=\(materials.scratch)", materials.programs + "/timed", "processors",
                "\(processorCount)", materials.programs + "/busybox", "sh",
                materials.programs + "/rows.sh",
            ] + rows
        }
    }
}
