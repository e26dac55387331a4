import Vocabulary

/// Where packages come from.
enum PackageArchive: Sendable, Equatable {
    /// What the host's package manager is set up with.
    case host
    /// A suite of Debian's own archive, whatever the host is. Nothing of the host's set-up is read
    /// or changed; the archive's keys are those of the package debian-archive-keyring.
    case debian(suite: String)

    /// As it is kept beside a fetched kernel.
    init(text: String) {
        self = text == Self.host.text ? .host : .debian(suite: text)
    }

    var text: String {
        switch self {
        case .host: "host"
        case .debian(let suite): suite
        }
    }

    /// Below the cache: package lists of our own.
    func directory(in cache: String) -> String {
        switch self {
        case .host: cache + "/apt"
        case .debian(let suite): cache + "/apt-" + suite
        }
    }

    /// Options for apt that make it use lists in `directory` (apt.conf(5)).
    func options(_ directory: String) -> [String] {
        var pairs = [
            "Dir::State::lists=\(directory)/lists", "Dir::Cache=\(directory)/cache",
        ]
        if case .debian = self {
            pairs += [
                "Dir::Etc::sourcelist=\(directory)/sources.list", "Dir::Etc::sourceparts=-",
                "Dir::Etc::preferences=/dev/null", "Dir::Etc::preferencesparts=-",
                "Dir::State::status=\(directory)/status", "APT::Default-Release=",
                // A suite's name passes to the next release some day.
                "Acquire::AllowReleaseInfoChange=true",
                // The kernel is for the guest.
                "APT::Architecture=amd64", "APT::Architectures=amd64",
            ]
        }
        return pairs.flatMap { ["-o", $0] }
    }

    /// Writes what `options` name.
    func prepare(_ directory: String) throws(XError) {
        try HostFiles.makeDirectories(directory + "/lists/partial")
        try HostFiles.makeDirectories(directory + "/cache/archives/partial")
        guard case .debian(let suite) = self else { return }
        guard let keys = Self.keyrings.first(where: HostFiles.exists) else {
            throw XError(
                .notFound,
                "this host has no keys of Debian's archive: install debian-archive-keyring, or "
                    + "give --kernel PATH")
        }
        let line = "deb [signed-by=\(keys)] http://deb.debian.org/debian \(suite) main\n"
        try HostFiles.write(directory + "/sources.list", line)
        try HostFiles.write(directory + "/status", "")
    }

    private static let keyrings = ["gpg", "pgp"].map {
        "/usr/share/keyrings/debian-archive-keyring.\($0)"
    }
}
