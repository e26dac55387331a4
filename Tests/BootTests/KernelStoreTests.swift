import Glibc
import Testing
import Vocabulary

@testable import Boot

/// A folder that goes away with the test.
final class Folder {
    let path: String

    init() throws {
        var name = Array("/tmp/martlet-store-test.XXXXXX".utf8CString)
        _ = unsafe mkdtemp(&name)
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { HostFiles.removeTree(path) }

    func script(_ name: String, _ text: String) throws {
        try HostFiles.makeDirectories(path + "/tools")
        try HostFiles.write(path + "/tools/" + name, "#!/bin/sh\n" + text + "\n")
        unsafe chmod(path + "/tools/" + name, 0o755)
    }

    var store: KernelStore {
        get throws {
            try KernelStore(cacheDirectory: path + "/cache", toolDirectory: path + "/tools")
        }
    }
}

private let networkTests = unsafe getenv("MARTLET_TEST_NETWORK") != nil

@Suite struct KernelStoreTests {
    private static let policy = """
        case "$*" in
        *depends*) echo linux-image-amd64; echo "  Depends: linux-image-1.2-amd64" ;;
        *) echo "x:"; echo "  Installed: (none)"; echo "  Candidate: 1:1.2-3" ;;
        esac
        """

    /// Makes a package with `tree` as apt-get would fetch it.
    private static let download = """
        for last; do :; done
        case "$last" in linux-image-1.2-amd64=1:1.2-3) ;; *) exit 100 ;; esac
        mkdir -p t/DEBIAN t/boot t/lib/modules/1.2-amd64/kernel/a
        printf 'Package: linux-image-1.2-amd64\\nVersion: 1:1.2-3\\nArchitecture: amd64\\n' >t/DEBIAN/control
        printf 'Maintainer: x <x@y>\\nDescription: x\\n' >>t/DEBIAN/control
        printf kernel >t/boot/vmlinuz-1.2-amd64
        printf 'x\\0depends=b-two,in\\0y' >t/lib/modules/1.2-amd64/kernel/a/one.ko
        printf 'x\\0depends=\\0y' >t/lib/modules/1.2-amd64/kernel/a/b-two.ko
        echo kernel/in.ko >t/lib/modules/1.2-amd64/modules.builtin
        dpkg-deb --build t x.deb >/dev/null && rm -r t
        """

    @Test func aKernelIsFetchedOnceAndCheckedOnUse() throws {
        let folder = try Folder()
        try folder.script("apt-cache", Self.policy)
        try folder.script("apt-get", Self.download)
        let store = try folder.store
        let kernel = try store.kernel("debian")
        #expect(kernel.packageVersion == "linux-image-1.2-amd64_1%3a1.2-3")
        #expect(kernel.release == "1.2-amd64")
        #expect(try HostFiles.read(kernel.path) == Array("kernel".utf8))
        // From the cache from now on, even without tools.
        try folder.script("apt-cache", "exit 1")
        try folder.script("apt-get", "exit 1")
        #expect(try store.kernel("debian") == kernel)
        let modules = try KernelModules(directory: try store.modulesDirectory(of: kernel))
        #expect(try modules.load(["one", "in"]).map(\.name) == ["b_two", "one"])
        let missing = #expect(throws: XError.self) { try modules.load(["three"]) }
        #expect(missing?.message.contains("three") == true)
        try HostFiles.write(kernel.path, "Kernel")
        let changed = #expect(throws: XError.self) { try store.kernel("debian") }
        #expect(changed?.code == .invalidFormat)
        #expect(try Initramfs.names(in: store.cacheDirectory) == ["kernels", "lock"])
    }

    /// Debian's own archive, and the three packages that a kernel is from Linux 7 on.
    @Test(.enabled(if: HostFiles.exists("/usr/share/keyrings/debian-archive-keyring.gpg")))
    func theBackportedKernelComesFromDebiansArchive() throws {
        let folder = try Folder()
        try folder.script(
            "apt-cache",
            """
            case "$*" in *stable-backports/sources.list*status*) ;; *) exit 100 ;; esac
            for last; do :; done
            case "$*" in
            *"depends --important linux-image-amd64") echo "  Depends: linux-image-7.1-amd64" ;;
            *depends*) echo "  Depends: linux-base"; echo "  Depends: linux-binary-7.1-amd64" ;;
            *) echo "x:"; echo "  Candidate: 7.1-1~bpo1" ;;
            esac
            """)
        try folder.script(
            "apt-get",
            """
            case "$*" in *stable-backports/sources.list*status*) ;; *) exit 100 ;; esac
            case "$*" in *update) exit 0 ;; esac
            for last; do :; done
            name=${last%=7.1-1~bpo1}
            mkdir -p t/DEBIAN t/usr/lib/modules/7.1-amd64/kernel
            case $name in
            linux-binary-7.1-amd64) printf kernel >t/usr/lib/modules/7.1-amd64/vmlinuz ;;
            linux-modules-7.1-amd64) printf 'x\\0depends=\\0y' >t/usr/lib/modules/7.1-amd64/kernel/a.ko ;;
            *) exit 100 ;;
            esac
            printf "Package: $name\\nVersion: 1\\nArchitecture: amd64\\n" >t/DEBIAN/control
            printf 'Maintainer: x <x@y>\\nDescription: x\\n' >>t/DEBIAN/control
            dpkg-deb --build t x.deb >/dev/null && rm -r t
            """)
        let store = try folder.store
        let kernel = try store.kernel("debian-backports")
        #expect(kernel.packageVersion == "linux-binary-7.1-amd64_7.1-1~bpo1")
        #expect(kernel.release == "7.1-amd64")
        #expect(try HostFiles.read(kernel.path) == Array("kernel".utf8))
        let line = String(
            decoding: try HostFiles.read(
                store.cacheDirectory + "/apt-stable-backports/sources.list"), as: UTF8.self)
        #expect(line.hasPrefix("deb [signed-by=/usr/share/keyrings/debian-archive-keyring."))
        let modules = try KernelModules(directory: try store.modulesDirectory(of: kernel))
        #expect(try modules.load(["a"]).map(\.name) == ["a"])
    }

    @Test func failuresSayWhatToDo() throws {
        let folder = try Folder()
        let store = try folder.store
        #expect(throws: XError.self) { try store.kernel("../x") }
        let none = #expect(throws: XError.self) { try store.pull("debian") }
        #expect(none?.message.contains("--kernel") == true)
        try folder.script("apt-cache", Self.policy)
        try folder.script("apt-get", "echo 'Err: Could not resolve deb.debian.org' >&2; exit 100")
        let offline = #expect(throws: XError.self) { try store.pull("debian") }
        #expect(offline?.message.contains("offline") == true)
        try folder.script("apt-get", "echo 'E: x (No space left on device)' >&2; exit 100")
        let full = #expect(throws: XError.self) { try store.pull("debian") }
        #expect(full?.message.contains("XDG_CACHE_HOME") == true)
        try folder.script("apt-cache", "exit 100")
        try folder.script("apt-get", "exit 0")
        let unknown = #expect(throws: XError.self) { try store.pull("debian-rt") }
        #expect(unknown?.message.contains("linux-image-rt-amd64") == true)
        for error in [none, offline, full, unknown] {
            #expect(error?.message.contains("\n") == false)
        }
    }

    @Test func twoPullsAtOnceFetchOnce() async throws {
        let folder = try Folder()
        try folder.script("apt-cache", Self.policy)
        try folder.script("apt-get", "echo x >>\(folder.path)/count; " + Self.download)
        let store = try folder.store
        try await withThrowingTaskGroup(of: KernelStore.Kernel.self) { group in
            for _ in 0..<2 { group.addTask { try store.pull("debian") } }
            for try await kernel in group { #expect(kernel.release == "1.2-amd64") }
        }
        #expect(try HostFiles.read(folder.path + "/count").count == 2)
    }

    @Test func digestsAreSHA256() {
        #expect(
            SHA256.hexadecimal([])
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            SHA256.hexadecimal(Array("abc".utf8))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hexadecimal([UInt8](repeating: 0x61, count: 1000))
                == "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3")
    }

    /// The real archive; takes a network and half a minute.
    @Test(.enabled(if: networkTests))
    func theRealArchive() throws {
        let folder = try Folder()
        let store = try KernelStore(cacheDirectory: folder.path)
        let kernel = try store.kernel("debian-cloud") { print($0) }
        print(kernel)
        #expect(try BootLoader.unpack(try HostFiles.read(kernel.path)).pvhEntry != nil)
        let busybox = try store.busybox { print($0) }
        #expect(busybox.applets.contains { $0.hasSuffix("/sh") })
        let modules = try KernelModules(directory: try store.modulesDirectory(of: kernel))
        let loaded = try modules.load(["virtio_net", "ext4"])
        print(loaded.map { "\($0.name) \($0.bytes.count)" })
        #expect(loaded.allSatisfy { $0.bytes.starts(with: [0x7f, 0x45]) })
    }
}
