import CFuzzHost
import Foundation
import FuzzTargets

/// A page that a child tells its parent through which case it is at.
@safe
final class ProgressPage: Sendable {
    private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>

    /// Makes the file if it is not there.
    init(path: String) throws {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, 4096) == 0,
            let page = unsafe fuzz_shared_page(descriptor)
        else { throw CocoaError(.fileWriteUnknown) }
        close(descriptor)
        // SAFETY: mapped for as long as the process lives; only touched by the atomics below.
        unsafe words = page
    }

    /// The case that runs, or that is next.
    var index: UInt64 {
        get { unsafe fuzz_shared_load(words, 0) }
        set { unsafe fuzz_shared_store(words, 0, newValue) }
    }
}

/// Cases one after the other, in a process that may die of them.
struct Batch {
    /// How a child ends that saw a promise broken; it printed which.
    static let faultStatus: Int32 = 3

    let type: any FuzzTarget.Type
    let seed: UInt64
    let first: UInt64
    let seconds: Double
    let progressPath: String

    func run() throws {
        let progress = try ProgressPage(path: progressPath)
        let target = try type.init()
        let end = ContinuousClock.now.advanced(by: .seconds(seconds))
        var index = first
        while ContinuousClock.now < end {
            for _ in 0..<16 {
                progress.index = index
                var random = FuzzRandom(seed: seed, index: index)
                let bytes = target.makeCase(&random)
                if let fault = target.run(bytes) { Self.leave(fault) }
                index += 1
            }
            progress.index = index
            if let fault = memoryFault() { Self.leave(fault) }
        }
    }

    /// Too much memory was taken by one of the last cases.
    private func memoryFault() -> String? {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else {
            return nil
        }
        let peak = UInt64(max(0, usage.ru_maxrss)) << 10
        return peak > type.memoryLimit ? "peak memory \(peak >> 20) MiB" : nil
    }

    private static func leave(_ fault: String) -> Never {
        print(fault)
        fflush(nil)
        exit(faultStatus)
    }
}
