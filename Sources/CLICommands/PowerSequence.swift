import HostIO
import Machine
import Vocabulary

/// Asking a guest to end, with its acknowledgement, time-outs, and force at the end where that is wanted.
/// Each step is told.
struct PowerSequence {
    /// What it needs of the machine.
    struct Guest {
        var ask: (PowerRequest) throws -> Void
        var hasAcknowledged: () -> Bool
        var withdraw: () -> Bool
        var stop: () -> Void
        /// How it ended; nil while it runs.
        var end: () -> String?
    }

    static let acknowledgeSeconds = 10.0
    static let endSeconds = 60.0

    var request: PowerRequest
    /// A guest that does not do it is ended.
    var isForced: Bool
    var acknowledgeSeconds: Double
    var endSeconds: Double
    var guest: Guest

    /// - Throws: `XError`: the guest does not listen, does not acknowledge or does not end, and is not
    ///   forced to.
    func run(_ step: (String) -> Void) throws {
        do {
            try guest.ask(request)
        } catch {
            guard isForced else { throw error }
            step((error as? XError)?.message ?? "\(error)")
            return force(step)
        }
        step("asked the guest for '\(request.rawValue)'")
        guard wait(acknowledgeSeconds, until: { guest.hasAcknowledged() || guest.end() != nil })
        else {
            let isWithdrawn = guest.withdraw()
            // It may have taken it at the last moment.
            if isWithdrawn || !isForced {
                let what =
                    "the guest did not acknowledge '\(request.rawValue)' in "
                    + "\(text(acknowledgeSeconds)) seconds"
                guard isForced else {
                    throw XError(
                        .busy,
                        what + (isWithdrawn ? "; the request was taken back" : "")
                            + ": give it more time, or use martlet stop")
                }
                step(what)
                return force(step)
            }
            return try waitForEnd(step)
        }
        if guest.end() == nil { step("the guest has acknowledged it") }
        try waitForEnd(step)
    }

    private func waitForEnd(_ step: (String) -> Void) throws {
        if wait(endSeconds, until: { guest.end() != nil }) { return tellEnd(step) }
        let what = "the guest has not ended after \(text(endSeconds)) seconds"
        guard isForced else {
            throw XError(.busy, what + ": give it more time, or use martlet stop")
        }
        step(what)
        force(step)
    }

    private func force(_ step: (String) -> Void) {
        guest.stop()
        step("ended it by force")
        if wait(10, until: { guest.end() != nil }) { tellEnd(step) }
    }

    private func tellEnd(_ step: (String) -> Void) {
        if let end = guest.end() { step("the machine has ended: \(end)") }
    }

    private func text(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? String(Int(seconds)) : String(seconds)
    }

    private func wait(_ seconds: Double, until condition: () -> Bool) -> Bool {
        let deadline = HostThread.monotonicNow.nanoseconds &+ UInt64(max(0, seconds) * 1e9)
        while !condition() {
            if HostThread.monotonicNow.nanoseconds >= deadline { return false }
            HostThread.sleep(nanoseconds: 10_000_000)
        }
        return true
    }
}
