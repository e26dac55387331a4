import CHost
import Foundation
import Glibc

/// What the host's processor offers, as far as the interpreter leans on it.
struct HostProcessor {
    var brand: String
    /// Names of the features that are needed and absent.
    var missing: [String]

    init() {
        brand = Self.brandString()
        let leaf1 = chost_cpuid(1, 0)
        let extended = chost_cpuid(0x8000_0001, 0)
        let needed: [(String, Bool)] = [
            ("CX16", leaf1.ecx >> 13 & 1 == 1), ("LAHF", extended.ecx & 1 == 1),
            ("POPCNT", leaf1.ecx >> 23 & 1 == 1), ("SSE3", leaf1.ecx & 1 == 1),
            ("SSSE3", leaf1.ecx >> 9 & 1 == 1), ("SSE4.1", leaf1.ecx >> 19 & 1 == 1),
            ("SSE4.2", leaf1.ecx >> 20 & 1 == 1), ("AES", leaf1.ecx >> 25 & 1 == 1),
            ("PCLMUL", leaf1.ecx >> 1 & 1 == 1),
        ]
        missing = needed.filter { !$0.1 }.map(\.0)
    }

    private static func brandString() -> String {
        guard chost_cpuid(0x8000_0000, 0).eax >= 0x8000_0004 else { return "x86-64" }
        var bytes: [UInt8] = []
        for leaf in UInt32(0x8000_0002)...0x8000_0004 {
            let result = chost_cpuid(leaf, 0)
            for word in [result.eax, result.ebx, result.ecx, result.edx] {
                for shift in [0, 8, 16, 24] as [UInt32] {
                    bytes.append(UInt8(truncatingIfNeeded: word >> shift))
                }
            }
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            .trimmingCharacters(in: .whitespaces)
    }
}

extension Doctor {
    static func hostProcessor() -> DoctorFinding {
        let processor = HostProcessor()
        if processor.missing.isEmpty {
            return DoctorFinding(
                subject: "host processor", verdict: .good,
                detail: "\(processor.brand): x86-64-v2, AES and PCLMUL", remedy: nil)
        }
        return DoctorFinding(
            subject: "host processor", verdict: .broken,
            detail: "\(processor.brand): without \(processor.missing.joined(separator: ", "))",
            remedy: "use a host of 2010 or later, or give this virtual machine the CPU model 'host'"
        )
    }

    /// Maps a memfd readable and executable, and runs `mov eax, 42; ret` from it.
    static func executableMemory() -> DoctorFinding {
        func refused(_ what: String) -> DoctorFinding {
            DoctorFinding(
                subject: "executable memory", verdict: .degraded,
                detail: "\(what): \(errnoText())",
                remedy: "only the interpreter works here; allow it in the host's seccomp or SELinux"
            )
        }
        let descriptor = unsafe chost_memfd_create("martlet-doctor", 0)
        guard descriptor >= 0 else { return refused("memfd_create is refused") }
        defer { close(descriptor) }
        let code: [UInt8] = [0xb8, 42, 0, 0, 0, 0xc3]
        guard DescriptorOutput.write(code, to: descriptor), ftruncate(descriptor, 4096) == 0 else {
            return refused("a memory file cannot be written")
        }
        let mapping = unsafe mmap(
            nil, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, descriptor, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            return refused("mapping code is refused")
        }
        // SAFETY: the page holds the six bytes above, a whole function, and nobody writes it now.
        let answer = unsafe chost_call(mapping)
        _ = unsafe munmap(mapping, 4096)
        return DoctorFinding(
            subject: "executable memory", verdict: answer == 42 ? .good : .degraded,
            detail: "code of our own ran from a read-and-execute mapping", remedy: nil)
    }

    static func userNamespaces() -> DoctorFinding {
        let child = fork_unshare()
        if child == 0 {
            return DoctorFinding(
                subject: "user namespaces", verdict: .good,
                detail: "a process of its own namespace was made", remedy: nil)
        }
        return DoctorFinding(
            subject: "user namespaces", verdict: .degraded,
            detail: "refused",
            remedy:
                "nothing needs them yet; 'sysctl kernel.unprivileged_userns_clone=1' allows them")
    }

    /// Runs unshare(1), which ends with 0 if the kernel lets us have a user namespace.
    private static func fork_unshare() -> Int32 {
        runQuietly(["/usr/bin/unshare", "--user", "/bin/true"])
    }

    static func memory() -> DoctorFinding {
        let available = availableMemory() >> 20
        if available >= 768 {
            return DoctorFinding(
                subject: "memory", verdict: .good, detail: "\(available) MiB available", remedy: nil
            )
        }
        return DoctorFinding(
            subject: "memory", verdict: .degraded, detail: "\(available) MiB available",
            remedy: "a guest needs about 512 MiB: close something or give '--memory 256M'")
    }

    /// MemAvailable of the host in bytes; 0 if it cannot be read.
    static func availableMemory() -> UInt64 {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else {
            return 0
        }
        for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let digits = line.filter { $0.isNumber }
            return (UInt64(digits) ?? 0) << 10
        }
        return 0
    }

    static func packages() -> [DoctorFinding] {
        let needed: [(subject: String, paths: [String], package: String, why: String)] = [
            ("apt-get", ["/usr/bin/apt-get"], "apt", "'martlet pull' gets kernels through it"),
            ("dpkg-deb", ["/usr/bin/dpkg-deb"], "dpkg", "'martlet pull' unpacks kernels with it"),
            (
                "busybox", ["/bin/busybox", "/usr/bin/busybox"], "busybox-static",
                "the guest's shell and tools"
            ),
        ]
        return needed.map { item in
            if let path = item.paths.first(where: FileManager.default.isExecutableFile) {
                return DoctorFinding(
                    subject: item.subject, verdict: .good, detail: path, remedy: nil)
            }
            return DoctorFinding(
                subject: item.subject, verdict: .degraded, detail: "not found (\(item.why))",
                remedy: "apt-get install \(item.package)")
        }
    }

    /// Runs a program with nothing on its standard streams; its exit status, or -1.
    static func runQuietly(_ command: [String]) -> Int32 {
        guard let program = command.first else { return -1 }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = Array(command.dropFirst())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }
}
