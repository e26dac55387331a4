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
        /// SHA-256 of the bzImage, in lower-case hexadecimal.
        public var digest: String
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

    /// The names that `kernel` and `pull` take: the kernels of the host's Debian, and the newest one
    /// backported to Debian's stable release, whatever the host's release is.
    public static let names = ["debian", "debian-cloud", "debian-rt", "debian-backports"]

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

    /// The kernel of that name as it was fetched, which nobody has looked at since; nil: there is none.
    public func fetched(_ name: String) throws(XError) -> Kernel? {
        try Self.check(name)
        return try cached(name, isChecked: false)
    }

    /// The newest kernel of that name which the package manager knows; fetched unless it is there.
    public func pull(
        _ name: String, progress: ProgressHandler = { _ in }
    ) throws(XError) -> Kernel {
        try Self.check(name)
        try HostFiles.makeDirectories(cacheDirectory + "/kernels")
        let lock = try CacheLock(cacheDirectory + "/lock", progress: progress)
        defer { lock.release() }
        let (packages, package) = try choose(name, progress: progress)
        let directory = "\(cacheDirectory)/kernels/\(package.name)_\(package.fileVersion)"
        if try load(directory) == nil {
            HostFiles.removeTree(directory)
            try fetch(package, of: packages, to: directory, progress: progress) {
                (temporary) throws(XError) in
                try packages.unpack(temporary, "*/vmlinuz*", to: temporary)
                try Self.keepKernel(of: package, in: temporary)
                try HostFiles.write(temporary + "/archive", packages.archive.text + "\n")
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
        try fetch(package, of: packages, to: directory, progress: progress) {
            (temporary) throws(XError) in
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
        if kernel.packageVersion.hasPrefix("linux-binary-") {
            try fetchModules(of: kernel, to: temporary)
            try packages.unpack(temporary, "*/lib/modules/*", to: temporary)
        } else {
            try packages.unpack(kernel.directory, "*/lib/modules/*", to: temporary)
        }
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
    /// The package of the kernel of that name, and where it comes from.
    private func choose(
        _ name: String, progress: ProgressHandler
    ) throws(XError) -> (DebianPackages, DebianPackages.Package) {
        func resolve(
            _ package: String, _ archive: PackageArchive
        ) throws(XError) -> (DebianPackages, DebianPackages.Package) {
            var source = packages
            source.archive = archive
            progress("asking the package manager for \(package)")
            return (source, try source.resolve(dependencyOf: package))
        }
        if name == "debian-backports" {
            return try resolve("linux-image-amd64", .debian(suite: "stable-backports"))
        }
        let package = "linux-image\(name.dropFirst("debian".count))-amd64"
        do {
            return try resolve(package, .host)
        } catch {
            // The host's package manager is there but has no Debian: Ubuntu's, for one.
            guard error.code == .notFound, error.cause == nil else { throw error }
            return try resolve(package, .debian(suite: "stable"))
        }
    }

    /// Makes `vmlinuz`, its digest and `release` of what was unpacked: `/boot/vmlinuz-RELEASE`, or
    /// `/usr/lib/modules/RELEASE/vmlinuz` from Linux 7 on.
    private static func keepKernel(
        of package: DebianPackages.Package, in folder: String
    ) throws(XError) {
        var found: (path: String, release: String)?
        if HostFiles.exists(folder + "/boot") {
            for name in try Initramfs.names(in: folder + "/boot") where name.hasPrefix("vmlinuz-") {
                found = (folder + "/boot/" + name, String(name.dropFirst("vmlinuz-".count)))
            }
        } else if HostFiles.exists(folder + "/usr/lib/modules") {
            for release in try Initramfs.names(in: folder + "/usr/lib/modules") {
                found = (folder + "/usr/lib/modules/\(release)/vmlinuz", release)
            }
        }
        guard let found else {
            throw XError(.invalidFormat, "the package \(package.name) has no kernel")
        }
        let bytes = try HostFiles.read(found.path)
        try HostFiles.write(folder + "/vmlinuz.sha256", SHA256.hexadecimal(bytes) + "\n")
        try HostFiles.write(folder + "/release", found.release + "\n")
        guard unsafe rename(found.path, folder + "/vmlinuz") == 0 else {
            throw HostFiles.unwritable(folder + "/vmlinuz", errno)
        }
        HostFiles.removeTree(folder + "/boot")
        HostFiles.removeTree(folder + "/usr")
    }

    /// From Linux 7 on the modules are a package of their own, of the same version.
    private func fetchModules(of kernel: Kernel, to folder: String) throws(XError) {
        var source = packages
        source.archive = PackageArchive(text: try Self.line(kernel.directory + "/archive"))
        let version = kernel.packageVersion.split(separator: "_").last.map(String.init) ?? ""
        try source.download(
            DebianPackages.Package(name: "linux-modules-" + kernel.release, fileVersion: version),
            to: folder)
    }

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

    private func cached(_ name: String, isChecked: Bool = true) throws(XError) -> Kernel? {
        let path = "\(cacheDirectory)/kernels/\(name).current"
        guard HostFiles.exists(path) else { return nil }
        let version = try Self.line(path)
        guard !version.isEmpty, !version.contains("/") else { return nil }
        return try load("\(cacheDirectory)/kernels/\(version)", isChecked: isChecked)
    }

    /// Nil if it is not there; throws if it is not what was fetched.
    private func load(_ directory: String, isChecked: Bool = true) throws(XError) -> Kernel? {
        let path = directory + "/vmlinuz"
        guard HostFiles.exists(path) else { return nil }
        let expected = try Self.line(path + ".sha256")
        if isChecked, SHA256.hexadecimal(try HostFiles.read(path)) != expected {
            throw XError(
                .invalidFormat,
                "the kernel '\(path)' was changed since it was fetched: remove '\(directory)' "
                    + "and run martlet pull")
        }
        let version = directory.split(separator: "/").last.map(String.init) ?? ""
        return Kernel(
            packageVersion: version, release: try Self.line(directory + "/release"), path: path,
            directory: directory, digest: expected)
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
        _ package: DebianPackages.Package, of source: DebianPackages, to directory: String,
        progress: ProgressHandler,
        prepare: (String) throws(XError) -> Void
    ) throws(XError) {
        let temporary = "\(cacheDirectory)/fetching.\(getpid())"
        HostFiles.removeTree(temporary)
        try HostFiles.makeDirectories(temporary)
        defer { HostFiles.removeTree(temporary) }
        progress("fetching \(package.name) \(package.version)")
        try source.download(package, to: temporary)
        progress("unpacking \(package.name)")
        try prepare(temporary)
        guard unsafe rename(temporary, directory) == 0 else {
            throw HostFiles.unwritable(directory, errno)
        }
    }
}
