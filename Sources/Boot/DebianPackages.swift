import Glibc
import Vocabulary

/// Debian's package tools, used without root and without installing.
struct DebianPackages: Sendable {
    struct Package: Sendable {
        var name: String
        var version: String

        /// As it stands in file names: the colon of an epoch is written `%3a`.
        var fileVersion: String {
            version.split(separator: ":", omittingEmptySubsequences: false).joined(separator: "%3a")
        }

        init(name: String, version: String) {
            self.name = name
            self.version = version
        }

        init(name: String, fileVersion: String) {
            let parts = fileVersion.split(separator: "%", maxSplits: 1).map(String.init)
            let isEpoch = parts.count == 2 && parts[1].hasPrefix("3a")
            self.init(
                name: name,
                version: isEpoch ? parts[0] + ":" + parts[1].dropFirst(2) : fileVersion)
        }
    }

    /// Of the cache; own package lists are kept below it where the host has none.
    let directory: String
    /// Where apt-cache and apt-get lie; nil for PATH.
    let toolDirectory: String?
    var archive = PackageArchive.host

    /// The kernel's package that the empty package `name` stands for.
    ///
    /// From Linux 7 on Debian's linux-image-RELEASE is empty too: the kernel is in linux-binary-RELEASE.
    func resolve(dependencyOf name: String) throws(XError) -> Package {
        if archive != .host { try updateOwnLists(about: name) }
        guard let image = try dependency(of: name, "linux-image-") else {
            throw XError(.notFound, "the package \(name) stands for no kernel: give --kernel PATH")
        }
        return try package(try dependency(of: image, "linux-binary-") ?? image)
    }

    /// The first package that `name` depends on and whose name starts so.
    private func dependency(of name: String, _ prefix: String) throws(XError) -> String? {
        let text = try query(["depends", "--important", name], about: name)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0].hasSuffix("Depends:"), words[1].hasPrefix(prefix) {
                return String(words[1])
            }
        }
        return nil
    }

    /// The package in the version the package manager would install.
    func package(_ name: String) throws(XError) -> Package {
        let text = try query(["policy", name], about: name)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "Candidate:", words[1] != "(none)" {
                return Package(name: name, version: String(words[1]))
            }
        }
        throw Self.unknown(name)
    }

    /// Puts the package's file as `package.deb` into `folder`.
    func download(_ package: Package, to folder: String) throws(XError) {
        try Self.checkSpace(folder)
        let arguments = ["download", "\(package.name)=\(package.version)"]
        var result = try apt("apt-get", arguments, in: folder)
        if result.status != 0, !result.errors.contains("No space left") {
            // The host's lists may be older than the archive.
            try updateOwnLists(about: package.name)
            result = try apt("apt-get", arguments, in: folder)
        }
        guard result.status == 0 else { throw Self.failure(result, about: package.name) }
        let files = try Initramfs.names(in: folder)
        guard let file = files.first(where: { $0.hasSuffix(".deb") }),
            unsafe rename(folder + "/" + file, folder + "/package.deb") == 0
        else {
            throw XError(.notFound, "apt-get fetched no file for \(package.name)")
        }
    }

    /// Unpacks `package.deb` of `folder`, only what `pattern` selects.
    func unpack(_ folder: String, _ pattern: String?, to target: String) throws(XError) {
        // dpkg-deb and tar at the two ends of a pipe; the paths are arguments, not text of the script.
        let script = "dpkg-deb --fsys-tarfile \"$1\" | tar -x --no-same-owner -C \"$2\" -f - $3 $4"
        var arguments = ["sh", "-f", "-c", script, "sh", folder + "/package.deb", target]
        if let pattern { arguments += ["--wildcards", pattern] }
        let result = try HostCommand.run(arguments)
        guard result.status == 0 else { throw Self.failure(result, about: folder + "/package.deb") }
    }

    private func query(_ arguments: [String], about name: String) throws(XError) -> String {
        let first = try apt("apt-cache", arguments, in: nil)
        if first.status == 0, first.output.contains(":") { return first.output }
        try updateOwnLists(about: name)
        let second = try apt("apt-cache", arguments, in: nil)
        guard second.status == 0, second.output.contains(":") else { throw Self.unknown(name) }
        return second.output
    }

    private func tool(_ name: String) -> String { toolDirectory.map { $0 + "/" + name } ?? name }

    private var ownLists: String { archive.directory(in: directory) }

    private func apt(
        _ program: String, _ arguments: [String], in folder: String?
    ) throws(XError) -> HostCommand.Result {
        let hasLists = HostFiles.exists(ownLists + "/lists/complete")
        let options = hasLists ? archive.options(ownLists) : []
        do {
            return try HostCommand.run(
                [tool(program)] + options + ["-q", "-o", "APT::Sandbox::User="] + arguments,
                in: folder)
        } catch {
            guard error.code == .notFound else { throw error }
            throw XError(
                .notFound,
                "this host has no '\(program)', so no stock kernel can be fetched: give one with "
                    + "--kernel PATH and --initrd PATH", cause: error)
        }
    }

    /// Package lists of our own, for a host that has none or old ones and a user who is not root.
    private func updateOwnLists(about name: String) throws(XError) {
        try archive.prepare(ownLists)
        try Self.checkSpace(ownLists)
        let result = try HostCommand.run(
            [tool("apt-get")] + archive.options(ownLists) + [
                "-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none", "update",
            ])
        guard result.status == 0, !result.errors.contains("Failed to fetch") else {
            throw Self.failure(result, about: name)
        }
        try HostFiles.write(ownLists + "/lists/complete", "\n")
    }

    /// Fetching and unpacking need about so much, in bytes.
    private static let neededSpace: UInt64 = 256 << 20

    private static func checkSpace(_ path: String) throws(XError) {
        var information = statvfs()
        guard unsafe statvfs(path, &information) == 0 else { return }
        let free = UInt64(information.f_bavail) &* UInt64(information.f_frsize)
        guard free >= neededSpace else {
            throw XError(
                .hostCall,
                "no space to fetch a package: '\(path)' has \(free >> 20) MiB free of the "
                    + "\(neededSpace >> 20) MiB needed; set XDG_CACHE_HOME to another disk")
        }
    }

    private static func unknown(_ name: String) -> XError {
        XError(
            .notFound,
            "the package manager knows no package \(name): is this an amd64 Debian with its main "
                + "archive? Otherwise give --kernel PATH")
    }

    /// One line from what the tools said.
    static func failure(_ result: HostCommand.Result, about name: String) -> XError {
        let lines = result.errors.split(separator: "\n").map(String.init)
        let offline = [
            "Could not resolve", "Temporary failure", "Could not connect", "Unable to connect",
            "Network is unreachable", "Connection timed out", "Connection refused",
        ]
        if lines.contains(where: { $0.contains("No space left") }) {
            return XError(
                .hostCall,
                "no space left while fetching \(name): free some, or set XDG_CACHE_HOME")
        }
        if lines.contains(where: { line in offline.contains { line.contains($0) } }) {
            return XError(
                .hostCall,
                "cannot fetch \(name): the package manager is offline; connect, or give "
                    + "--kernel PATH")
        }
        let reason = lines.first { $0.hasPrefix("E: ") } ?? lines.last ?? "status \(result.status)"
        return XError(.hostCall, "cannot fetch \(name): \(reason)")
    }
}
