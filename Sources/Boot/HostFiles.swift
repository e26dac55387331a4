import Glibc
import Vocabulary

/// Files of the host, whole.
enum HostFiles {
    /// No kernel or module is larger than this.
    static let largestFile = 1 << 30

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    static func read(_ path: String) throws(XError) -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Initramfs.unreadable(path, errno) }
        defer { close(file) }
        var information = stat()
        guard unsafe fstat(file, &information) == 0 else { throw Initramfs.unreadable(path, errno) }
        guard information.st_mode & S_IFMT != S_IFDIR else {
            throw Initramfs.unreadable(path, EISDIR)
        }
        guard information.st_size <= largestFile else {
            throw XError(
                .unsupported,
                "'\(path)' has \(information.st_size >> 20) MiB, more than any kernel: give another file"
            )
        }
        var bytes = [UInt8](repeating: 0, count: Int(information.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { room in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[filled...])
                return unsafe Glibc.read(file, rest.baseAddress, rest.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Initramfs.unreadable(path, errno) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// A file in the cache whose reader sees all of it or nothing.
    static func write(_ path: String, _ text: String) throws(XError) {
        try write(path, Array(text.utf8))
    }

    static func write(_ path: String, _ bytes: [UInt8]) throws(XError) {
        let temporary = path + ".new\(getpid())"
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw unwritable(temporary, errno) }
        var written = 0
        var number: Int32 = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(
                    file, $0.baseAddress.unsafelyUnwrapped + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                number = count < 0 ? errno : ENOSPC
                break
            }
            written += count
        }
        close(file)
        guard written == bytes.count else {
            unsafe unlink(temporary)
            throw unwritable(path, number)
        }
        guard unsafe rename(temporary, path) == 0 else { throw unwritable(path, errno) }
    }

    static func makeDirectories(_ path: String) throws(XError) {
        var prefix = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            prefix += "/" + part
            if unsafe mkdir(prefix, 0o755) != 0, errno != EEXIST {
                let number = errno
                if exists(prefix) { continue }
                throw unwritable(prefix, number)
            }
        }
    }

    /// Quietly does nothing if it is not there.
    static func removeTree(_ path: String) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return }
        if information.st_mode & S_IFMT == S_IFDIR {
            for name in (try? Initramfs.names(in: path)) ?? [] { removeTree(path + "/" + name) }
            unsafe rmdir(path)
        } else {
            unsafe unlink(path)
        }
    }

    static func unwritable(_ path: String, _ number: Int32) -> XError {
        if number == ENOSPC || number == EDQUOT {
            return XError(
                .hostCall,
                "no space left for '\(path)': free some, or set XDG_CACHE_HOME to another disk")
        }
        let reason = unsafe String(cString: strerror(number))
        return XError(
            .hostCall,
            "cannot write '\(path)': \(reason); set XDG_CACHE_HOME to a folder you can write to")
    }
}
