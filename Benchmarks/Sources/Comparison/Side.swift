/// Who runs the work: a column of the table.
public struct Side: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Martlet with an engine of that name.
        case martlet(engine: String)
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
        case .martlet(let engine): engine
        case .qemu(let boot): boot.rawValue
        case .native: "native"
        }
    }

    /// The side that all others are compared with.
    public static let reference = Side(.qemu(.bzImage))

    public var isMartlet: Bool {
        if case .martlet = kind { return true }
        return false
    }

    /// Whether the row is measured on this side: other ways to boot have only the row `boot`.
    public func measures(_ row: Row) -> Bool {
        switch (kind, row.kind) {
        case (.martlet, _), (.qemu, .boot), (.qemu(.bzImage), .program), (.native, .program): true
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
    public var initramfs: String
    /// The folder with the programs on the host.
    public var programs: String

    public init(
        martlet: String, bzImage: String, uncompressedKernel: String, initramfs: String,
        programs: String
    ) {
        self.martlet = martlet
        self.bzImage = bzImage
        self.uncompressedKernel = uncompressedKernel
        self.initramfs = initramfs
        self.programs = programs
    }
}

extension Side {
    /// The guest's memory on both sides, in MiB.
    static let memory = 512

    /// Words that Martlet gives every kernel; QEMU gets the same.
    static let commandLine = "console=ttyS0 8250.nr_uarts=4 reboot=k panic=-1 random.trust_cpu=on"

    /// The program to start and its arguments.
    ///
    /// - Parameter rows: names of the rows to run in the guest, in order; none to boot only.
    public func command(
        processorCount: Int, rows: [String], _ materials: Materials
    ) -> [String] {
        // Read by the guest's /init.
        let request = "bench.rows=" + rows.joined(separator: ",")
        switch kind {
        case .martlet(let engine):
            return [
                materials.martlet, "run", "--quiet", "--stats", "--engine", engine, "--cpus",
                "\(processorCount)", "--memory", "\(Self.memory)M", "--kernel", materials.bzImage,
                "--initrd", materials.initramfs, "--console", "stdio", "--append", request,
            ]
        case .qemu(let boot):
            let kernel = boot == .bzImage ? materials.bzImage : materials.uncompressedKernel
            let machine = boot == .microvm ? ["-M", "microvm"] : []
            return [materials.qemu, "-accel", "tcg,thread=multi"] + machine + [
                "-smp", "\(processorCount)", "-m", "\(Self.memory)", "-nographic", "-no-reboot",
                "-nic", "none", "-kernel", kernel, "-initrd", materials.initramfs, "-append",
                Self.commandLine + " " + request,
            ]
        case .native:
            return [
                "/usr/bin/env", "-i", "BENCH=\(materials.programs)",
                materials.programs + "/busybox", "sh", materials.programs + "/rows.sh",
            ] + rows
        }
    }
}
