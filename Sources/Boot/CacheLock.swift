import Glibc
import Vocabulary

/// Held by the one process that changes the cache; the kernel lets it go if the process dies.
struct CacheLock {
    private let descriptor: Int32

    /// Waits until it is free, and says so.
    init(_ path: String, progress: KernelStore.ProgressHandler) throws(XError) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw HostFiles.unwritable(path, errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        progress("waiting for another martlet that fetches something")
        while flock(descriptor, LOCK_EX) != 0 {
            let number = errno
            if number == EINTR { continue }
            close(descriptor)
            throw HostFiles.unwritable(path, number)
        }
    }

    func release() { close(descriptor) }
}
