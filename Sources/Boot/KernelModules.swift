public import Vocabulary

/// Picks kernel modules with what they depend on, in loading order.
///
/// The dependencies come from the modules themselves (`depends=` in `.modinfo`), since
/// `modules.dep` exists only after an installation.
public struct KernelModules: Sendable {
    /// A module unpacked to plain ELF.
    public struct Module: Sendable {
        /// With underscores, as the kernel shows it.
        public var name: String
        public var bytes: [UInt8]
    }

    private var paths: [String: String] = [:]
    private var builtIn: Set<String> = []

    /// - Parameter directory: `/lib/modules/RELEASE` of a kernel.
    public init(directory: String) throws(XError) {
        if let list = try? HostFiles.read(directory + "/modules.builtin") {
            for line in String(decoding: list, as: UTF8.self).split(separator: "\n") {
                builtIn.insert(Self.name(of: String(line)))
            }
        }
        var folders = [directory]
        while let folder = folders.popLast() {
            for name in try Initramfs.names(in: folder) {
                let path = folder + "/" + name
                if name.contains(".ko") {
                    paths[Self.name(of: name)] = path
                } else if !name.contains(".") {
                    // `build` and `source` are links to what is not there.
                    if name != "build", name != "source" { folders.append(path) }
                }
            }
        }
    }

    /// Those modules and what they need, each once, dependencies first.
    ///
    /// - Throws: `XError.notFound` for a name the kernel has neither as a module nor built in.
    public func load(_ names: [String]) throws(XError) -> [Module] {
        var result: [Module] = []
        var done: Set<String> = []
        for name in names { try add(Self.name(of: name), neededBy: nil, &done, &result) }
        return result
    }

    private func add(
        _ name: String, neededBy parent: String?, _ done: inout Set<String>,
        _ result: inout [Module]
    ) throws(XError) {
        guard !builtIn.contains(name), done.insert(name).inserted else { return }
        guard let path = paths[name] else {
            let reason = parent.map { ", which \($0) needs" } ?? ""
            throw XError(.notFound, "the kernel has no module '\(name)'\(reason)")
        }
        var bytes = try HostFiles.read(path)
        if !path.hasSuffix(".ko") { bytes = try KernelDecompression.unpack(bytes[...]) }
        for dependency in Self.dependencies(bytes) {
            try add(dependency, neededBy: name, &done, &result)
        }
        // What a guest's kernel would ask modprobe for; one that is built in or missing is no error.
        for wanted in Self.softDependencies(bytes) {
            for candidate in [wanted, wanted + "_generic"] where paths[candidate] != nil {
                try add(candidate, neededBy: name, &done, &result)
            }
        }
        result.append(Module(name: name, bytes: bytes))
    }

    /// `kernel/fs/fuse/virtio-fs.ko.xz` is `virtio_fs`.
    static func name(of path: String) -> String {
        let file = path.split(separator: "/").last ?? ""
        let stem = file.split(separator: ".").first ?? ""
        return String(stem.map { $0 == "-" ? "_" : $0 })
    }

    /// The names after `depends=`.
    static func dependencies(_ module: [UInt8]) -> [String] {
        (value(of: "depends", in: module) ?? "").split(separator: ",").map { name(of: String($0)) }
    }

    /// The names after `softdep=pre:`. Algorithms come as `crypto-NAME`, and the module that always has
    /// one is NAME or NAME_generic (crypto/api.c asks for the first).
    static func softDependencies(_ module: [UInt8]) -> [String] {
        var words = (value(of: "softdep", in: module) ?? "").split(separator: " ")
        guard words.first == "pre:" else { return [] }
        words = Array(words.dropFirst().prefix { $0 != "post:" })
        return words.map { word in
            let name = name(of: String(word))
            return name.hasPrefix("crypto_") ? String(name.dropFirst(7)) : name
        }
    }

    /// What stands behind `key=` at the start of a string in the file.
    private static func value(of key: String, in module: [UInt8]) -> String? {
        let key = Array("\0\(key)=".utf8)
        var start = 0
        while start + key.count < module.count {
            guard let found = module[start...].firstIndex(of: 0) else { return nil }
            if module[found...].starts(with: key) {
                let text = module[(found + key.count)...].prefix { $0 != 0 }
                return String(decoding: text, as: UTF8.self)
            }
            start = found + 1
        }
        return nil
    }
}
