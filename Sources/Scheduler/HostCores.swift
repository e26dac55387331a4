internal import CHost
internal import Glibc

/// The processors of the host that this process may use.
enum HostCores {
    /// 1024 processors, what the C library's own set holds.
    private static let wordCount = 16

    /// Their numbers, in order; at least one.
    static var allowed: [Int] {
        var words = [UInt64](repeating: 0, count: wordCount)
        // SAFETY: the buffer has the length that is given.
        let size = unsafe words.withUnsafeMutableBytes { buffer in
            unsafe buffer.baseAddress.map { unsafe chost_get_affinity($0, UInt64(buffer.count)) }
                ?? -1
        }
        guard size > 0 else { return [0] }
        let cores = (0..<wordCount * 64).filter { words[$0 >> 6] & 1 << UInt64($0 & 63) != 0 }
        return cores.isEmpty ? [0] : cores
    }

    /// Ties the calling thread to these processors. What the host refuses is left as it is.
    static func setAffinity(_ cores: [Int]) {
        var words = [UInt64](repeating: 0, count: wordCount)
        for core in cores where core >= 0 && core < wordCount * 64 {
            words[core >> 6] |= 1 << UInt64(core & 63)
        }
        // SAFETY: as above.
        unsafe words.withUnsafeBytes { buffer in
            if let base = buffer.baseAddress {
                _ = unsafe chost_set_affinity(base, UInt64(buffer.count))
            }
        }
    }

    /// The cores that get a worker: those allowed, but no more than the control group's quota pays
    /// for, since time beyond it only makes all of them stand still.
    static var forWorkers: [Int] {
        let cores = allowed
        guard let quota = groupQuota else { return cores }
        return Array(cores.prefix(max(1, Int(quota.rounded(.up)))))
    }

    /// Processor time for each second of real time that the control group (v2, and all above it)
    /// gives this process; nil: as much as there is.
    private static var groupQuota: Double? {
        guard let membership = read("/proc/self/cgroup") else { return nil }
        let path = membership.split(separator: "\n").first { $0.hasPrefix("0::") }
        var folder = path.map { String($0.dropFirst(3)) } ?? "/"
        var least: Double?
        while true {
            if let text = read("/sys/fs/cgroup\(folder)/cpu.max"), let quota = quota(of: text) {
                least = min(least ?? quota, quota)
            }
            guard let slash = folder.lastIndex(of: "/"), folder != "/", !folder.isEmpty else {
                return least
            }
            folder = String(folder[..<slash])
        }
    }

    /// `cpu.max`: microseconds or `max`, then the period in microseconds.
    static func quota(of text: String) -> Double? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let time = Double(words[0]), let period = Double(words[1]),
            time > 0, period > 0
        else { return nil }
        return time / period
    }

    /// A small file of the kernel's.
    private static func read(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
