import Glibc
public import Vocabulary

/// Stock kernels and tools, from the host's package manager without installing anything.
///
/// Everything lies in `$XDG_CACHE_HOME/martlet`. Several processes may use it at once: a lock file
/// is held while something is fetched, and what is complete appears by one rename.
public struct KernelStore: Sendable {
    /// A kernel in the cache, checked against the digest taken when it was fetched.
    public struct Kernel: Sendable, Equatable {
        /// The Debian package and its version, e.g. `linux-image-6.1.0-37-amd64_6.1.140-1`.
        public var packageVersion: String
        /// What `uname -r` says in the guest.
        public var release: String
        /// The bzImage.
        public var path: String
        /// The folder in the cache.
        public var directory: String
    }

    /// A static busybox in the cache.
    public struct Busybox: Sendable, Equatable {
        public var path: String
        /// Paths of its applets, e.g. `usr/bin/head`.
        public var applets: [String]

        public init(path: String, applets: [String]) {
            self.path = path
            self.applets = applets
        }
    }

    /// Called with a line that says what is done now.
    public typealias ProgressHandler = @Sendable (String) -> Void

    /// The names that `kernel` and `pull` take.
    public static let names = ["debian", "debian-cloud", "debian-rt"]

    /// The cache, `$XDG_CACHE_HOME/martlet`.
    public let cacheDirectory: String
    let packages: DebianPackages

    /// - Parameter cacheDirectory: nil for the user's, by `$XDG_CACHE_HOME` or `$HOME`.
    public init(cacheDirectory: String? = nil) throws(XError) {
        try self.init(cacheDirectory: cacheDirectory, toolDirectory: nil)
    }

    /// - Parameter toolDirectory: where apt-cache and apt-get lie; nil for PATH.
    init(cacheDirectory: String?, toolDirectory: String?) throws(XError) {
        if let cacheDirectory {
            self.cacheDirectory = cacheDirectory
        } else if let cache = Self.environment("XDG_CACHE_HOME"), cache.hasPrefix("/") {
            self.cacheDirectory = cache + "/martlet"
        } else if let home = Self.environment("HOME"), home.hasPrefix("/") {
            self.cacheDirectory = home + "/.cache/martlet"
        } else {
            throw XError(
                .notFound, "no folder for fetched kernels: set XDG_CACHE_HOME to one")
        }
        packages = DebianPackages(
            directory: self.cacheDirectory, toolDirectory: toolDirectory)
    }

    /// The kernel of that name: from the cache if there is one, else fetched.
    public func kernel(
        _ name: String, progress: ProgressHandler = { _ in }
    ) throws(XError) -> Kernel {
        try Self.check(name)
        if let kernel = try cached(name) { return kernel }
        return try pull(name, progress: progress)
    }

    /// The newest kernel of that name which the package manager knows; fetched unless it is there.
    public func pull(
        _ name: String, progress: ProgressHandler = { _ in }
    ) throws(XError) -> Kernel {
        try Self.check(name)
        try HostFiles.makeDirectories(cacheDirectory + "/kernels")
        let lock = try CacheLock(cacheDirectory + "/lock", progress: progress)
        defer { lock.release() }
        let suffix = name.dropFirst("debian".count)
        progress("asking the package manager for linux-image\(suffix)-amd64")
        let package = try packages.resolve(dependencyOf: "linux-image\(suffix)-amd64")
        let directory = "\(cacheDirectory)/kernels/\(package.name)_\(package.fileVersion)"
        if try load(directory) == nil {
            HostFiles.removeTree(directory)
            try fetch(package, to: directory, progress: progress) { (temporary) throws(XError) in
                try packages.unpack(temporary, "./boot", to: temporary)
                let found = try Initramfs.names(in: temporary + "/boot")
                guard let image = found.first(where: { $0.hasPrefix("vmlinuz-") }) else {
                    throw XError(
                        .invalidFormat, "the package \(package.name) has no kernel in /boot")
                }
                let bytes = try HostFiles.read(temporary + "/boot/" + image)
                try HostFiles.write(temporary + "/vmlinuz.sha256", SHA256.hexadecimal(bytes) + "\n")
                try HostFiles.write(
                    temporary + "/release", String(image.dropFirst("vmlinuz-".count)) + "\n")
                guard unsafe rename(temporary + "/boot/" + image, temporary + "/vmlinuz") == 0
                else {
                    throw HostFiles.unwritable(temporary + "/vmlinuz", errno)
                }
                HostFiles.removeTree(temporary + "/boot")
            }
        }
        guard let kernel = try load(directory) else {
            throw XError(.notFound, "'\(directory)' went away while it was fetched: try again")
        }
        try HostFiles.write(
            "\(cacheDirectory)/kernels/\(name).current", kernel.packageVersion + "\n")
        return kernel
    }

    /// A static busybox: from the cache, else fetched.
    public func busybox(progress: ProgressHandler = { _ in }) throws(XError) -> Busybox {
        let directory = cacheDirectory + "/busybox"
        if let found = Self.busybox(in: directory) { return found }
        try HostFiles.makeDirectories(cacheDirectory)
        let lock = try CacheLock(cacheDirectory + "/lock", progress: progress)
        defer { lock.release() }
        if let found = Self.busybox(in: directory) { return found }
        HostFiles.removeTree(directory)
        let package = try packages.package("busybox-static")
        try fetch(package, to: directory, progress: progress) { (temporary) throws(XError) in
            try packages.unpack(temporary, nil, to: temporary)
            let places = ["/bin/busybox", "/usr/bin/busybox"].map { temporary + $0 }
            guard let program = places.first(where: HostFiles.exists) else {
                throw XError(.invalidFormat, "the package busybox-static has no busybox")
            }
            let list = try HostCommand.run([program, "--list-full"])
            guard list.status == 0, unsafe rename(program, temporary + "/busybox") == 0 else {
                throw XError(.hostCall, "the fetched busybox does not run on this host")
            }
            try HostFiles.write(temporary + "/applets", list.output)
            HostFiles.removeTree(temporary + "/usr")
            HostFiles.removeTree(temporary + "/bin")
        }
        guard let found = Self.busybox(in: directory) else {
            throw XError(.notFound, "'\(directory)' went away while it was fetched: try again")
        }
        return found
    }

    /// The folder with the kernel's modules, unpacked when first asked for.
    public func modulesDirectory(
        of kernel: Kernel, progress: ProgressHandler = { _ in }
    ) throws(XError) -> String {
        let directory = kernel.directory + "/modules"
        if HostFiles.exists(directory) { return directory }
        let lock = try CacheLock(cacheDirectory + "/lock", progress: progress)
        defer { lock.release() }
        if HostFiles.exists(directory) { return directory }
        progress("unpacking the modules of \(kernel.release)")
        let temporary = kernel.directory + "/modules.new"
        HostFiles.removeTree(temporary)
        defer { HostFiles.removeTree(temporary) }
        try HostFiles.makeDirectories(temporary)
        try packages.unpack(kernel.directory, "*/lib/modules/*", to: temporary)
        let places = ["/lib/modules/", "/usr/lib/modules/"].map { temporary + $0 + kernel.release }
        guard let found = places.first(where: HostFiles.exists) else {
            throw XError(.invalidFormat, "the package \(kernel.packageVersion) has no modules")
        }
        guard unsafe rename(found, directory) == 0 else {
            throw HostFiles.unwritable(directory, errno)
        }
        return directory
    }
}

extension KernelStore {
    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    private static func check(_ name: String) throws(XError) {
        guard names.contains(name) else {
            throw XError(
                .invalidArgument,
                "no kernel is named '\(name)': give \(names.joined(separator: ", "))")
        }
    }

    private func cached(_ name: String) throws(XError) -> Kernel? {
        let path = "\(cacheDirectory)/kernels/\(name).current"
        guard HostFiles.exists(path) else { return nil }
        let version = try Self.line(path)
        guard !version.isEmpty, !version.contains("/") else { return nil }
        return try load("\(cacheDirectory)/kernels/\(version)")
    }

    /// Nil if it is not there; throws if it is not what was fetched.
    private func load(_ directory: String) throws(XError) -> Kernel? {
        let path = directory + "/vmlinuz"
        guard HostFiles.exists(path) else { return nil }
        let expected = try Self.line(path + ".sha256")
        guard SHA256.hexadecimal(try HostFiles.read(path)) == expected else {
            throw XError(
                .invalidFormat,
                "the kernel '\(path)' was changed since it was fetched: remove '\(directory)' "
                    + "and run martlet pull")
        }
        let version = directory.split(separator: "/").last.map(String.init) ?? ""
        return Kernel(
            packageVersion: version, release: try Self.line(directory + "/release"), path: path,
            directory: directory)
    }

    private static func line(_ path: String) throws(XError) -> String {
        let text = String(decoding: try HostFiles.read(path), as: UTF8.self)
        return text.split(separator: "\n").first.map(String.init) ?? ""
    }

    private static func busybox(in directory: String) -> Busybox? {
        guard HostFiles.exists(directory + "/busybox"),
            let list = try? HostFiles.read(directory + "/applets")
        else { return nil }
        let applets = String(decoding: list, as: UTF8.self).split(separator: "\n").map(String.init)
        return Busybox(path: directory + "/busybox", applets: applets)
    }

    /// Fetches a package into a temporary folder, has it prepared there, and renames it.
    private func fetch(
        _ package: DebianPackages.Package, to directory: String, progress: ProgressHandler,
        prepare: (String) throws(XError) -> Void
    ) throws(XError) {
        let temporary = "\(cacheDirectory)/fetching.\(getpid())"
        HostFiles.removeTree(temporary)
        try HostFiles.makeDirectories(temporary)
        defer { HostFiles.removeTree(temporary) }
        progress("fetching \(package.name) \(package.version)")
        try packages.download(package, to: temporary)
        progress("unpacking \(package.name)")
        try prepare(temporary)
        guard unsafe rename(temporary, directory) == 0 else {
            throw HostFiles.unwritable(directory, errno)
        }
    }
}
