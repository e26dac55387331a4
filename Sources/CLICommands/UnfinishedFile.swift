import Glibc
import Synchronization

/// The path to remove, where a signal handler finds it; 0: none. Owner: the process.
private let unfinishedPath = Atomic<UInt>(0)

/// A signal that ends the program: remove the file, then die of it as if nobody had caught it.
private let dieOfSignal: @convention(c) (Int32) -> Void = { number in
    let address = unfinishedPath.exchange(0, ordering: .acquiringAndReleasing)
    // SAFETY: a C string that `enter` made and nobody frees.
    if let path = unsafe UnsafePointer<CChar>(bitPattern: address) { _ = unsafe unlink(path) }
    signal(number, SIG_DFL)
    raise(number)
}

/// A file that is of no use before it is whole: a signal that ends the program removes it.
enum UnfinishedFile {
    /// From now on the file at `path`, which this program made, is removed by such a signal.
    static func enter(_ path: String) {
        // SAFETY: stays for the handler, which may be at work at any time.
        unfinishedPath.store(UInt(bitPattern: unsafe strdup(path)), ordering: .releasing)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] {
            // What is ignored stays so: nohup(1).
            if let before = signal(number, dieOfSignal), isIgnored(before) {
                signal(number, SIG_IGN)
            }
        }
    }

    private static func isIgnored(_ handler: @escaping @convention(c) (Int32) -> Void) -> Bool {
        // SAFETY: SIG_IGN is the number 1, not a function.
        unsafe unsafeBitCast(handler, to: Int.self) == 1
    }

    /// The file is whole, or gone: it is left alone.
    static func leave() { unfinishedPath.store(0, ordering: .releasing) }
}
