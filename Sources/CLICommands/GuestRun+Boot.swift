import Boot
import Foundation
import Machine
import Vocabulary

// What is booted, or goes on.
extension GuestRun {
    mutating func configure(_ progress: Progress) throws -> MachineConfiguration {
        var configuration = try options.baseConfiguration()
        changes.apply(to: &configuration)
        if let resumption {
            try resumption.snapshot.apply(to: &configuration)
            configuration.restoresLazily = resumption.isLazy
            configuration.prefetches = resumption.workingSet?.prefetches ?? []
            return configuration
        }
        let report: KernelStore.ProgressHandler = { progress.step($0) }
        // Images that were laid over disks are none that a key tells of.
        let isCached = options.cached && changes.disks == nil
        if isCached, try goesOnWithBoot(&configuration) { return configuration }
        let plain = configuration
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
        if isCached {
            cache = try BootCache(BootKey(options, plain, kernel: stock, busybox: busybox))
        }
        return configuration
    }

    /// Whether a guest has booted just so before, and goes on.
    private mutating func goesOnWithBoot(
        _ configuration: inout MachineConfiguration
    ) throws -> Bool {
        let store = try KernelStore()
        var stock: KernelStore.Kernel?
        if case .stock(let name) = options.kernel {
            stock = try store.fetched(name)
            if stock == nil { return false }
        }
        let cache = try BootCache(
            BootKey(options, configuration, kernel: stock, busybox: try store.busybox()))
        guard let found = cache.find() else { return false }
        self.cache = cache
        resumption = found
        options.settlePlatform(of: &configuration, as: try found.snapshot.platform)
        try found.snapshot.apply(to: &configuration)
        configuration.restoresLazily = true
        configuration.prefetches = found.workingSet?.prefetches ?? []
        return true
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
    func sayWhatIsMade(_ devices: [String]) {
        for device in devices where !options.quiet {
            StandardError.write(
                "martlet: made the TAP device '\(device)', which goes with the guest; give the host "
                    + "an address there: sudo ip addr add ADDRESS/24 dev \(device)\n")
        }
    }
}
