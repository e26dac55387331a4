public import Vocabulary

/// What goes into the initramfs of a guest that runs commands: the agent, a shell and its tools.
public enum GuestSystem {
    /// The agent's program, a static x86-64 ELF file.
    public static var agent: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(GuestAgentImage.words.count * 8)
        for word in GuestAgentImage.words {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return Array(bytes.prefix(GuestAgentImage.byteCount))
    }

    /// The tree of folders, device nodes and small files that every guest has, with the agent as /init.
    ///
    /// - Parameters:
    ///   - busybox: adds its program and a link for each applet; nil for none.
    ///   - modules: kernel modules, which the agent loads in this order.
    ///   - nameServer: its address; nil for none.
    public static func initramfs(
        busybox: KernelStore.Busybox?, modules: [KernelModules.Module] = [],
        nameServer: String? = nil
    ) throws(XError) -> Initramfs {
        var tree = Initramfs()
        for folder in ["dev", "etc", "proc", "run", "sys", "usr/bin", "usr/sbin", "var"] {
            try tree.addDirectory(folder)
        }
        try tree.addDirectory("root", permissions: 0o700)
        try tree.addDirectory("tmp", permissions: 0o1777)
        for (link, target) in [
            ("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"),
        ] {
            try tree.addSymbolicLink(link, to: target)
        }
        try tree.addDirectory("usr/lib")
        try tree.addDirectory("usr/lib64")
        try tree.addCharacterDevice("dev/console", major: 5, minor: 1, permissions: 0o600)
        try tree.addCharacterDevice("dev/null", major: 1, minor: 3, permissions: 0o666)
        try tree.addFile("init", agent, permissions: 0o755)
        try tree.addFile("etc/passwd", Array("root:x:0:0:root:/root:/bin/sh\n".utf8))
        try tree.addFile("etc/group", Array("root:x:0:\ntty:x:5:\n".utf8))
        try tree.addFile("etc/hosts", Array("127.0.0.1 localhost\n::1 localhost\n".utf8))
        try tree.addFile("etc/profile", Array("export PS1='\\h:\\w\\$ '\n".utf8))
        if let nameServer {
            try tree.addFile("etc/resolv.conf", Array("nameserver \(nameServer)\n".utf8))
        }
        if let busybox {
            try tree.addHost(busybox.path, as: "usr/bin/busybox")
            for applet in busybox.applets {
                let name = applet.split(separator: "/").last.map(String.init) ?? applet
                if name.isEmpty || name == "busybox" || name == "init" { continue }
                let folder = applet.contains("sbin/") ? "usr/sbin/" : "usr/bin/"
                try tree.addSymbolicLink(folder + name, to: "/usr/bin/busybox")
            }
        }
        if !modules.isEmpty {
            var list = ""
            for module in modules {
                let path = "usr/lib/modules/martlet/\(module.name).ko"
                try tree.addFile(path, module.bytes)
                list += "/\(path)\n"
            }
            try tree.addFile("etc/martlet/modules", Array(list.utf8))
        }
        return tree
    }

    /// Where `--file HOST:GUEST` puts a file: `/bin/x` and the like go where the links point.
    public static func resolve(_ guestPath: String) -> String {
        for folder in ["bin", "sbin", "lib", "lib64"] where guestPath.hasPrefix("/\(folder)/") {
            return "/usr" + guestPath
        }
        return guestPath
    }
}
