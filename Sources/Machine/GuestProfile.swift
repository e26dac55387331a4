internal import Boot
internal import Glibc
internal import HostIO
internal import SoftwareCPU
internal import Synchronization
public import Vocabulary

/// Says where the guest spends its time: looks at each vCPU that runs some thousand times a second, and
/// writes what it saw as collapsed stacks, which flame graph tools and speedscope read.
///
/// A line is `vcpu0;kernel;SYMBOL N`, `vcpu0;user;ADDRESS-SPACE;PAGE N`; with `[interpreter]` or `[exit]`
/// behind it where no translated code ran. A vCPU that halts is not looked at. Owner: who configures the
/// machine. Any thread.
public final class GuestProfile: Sendable {
    /// Nanoseconds between two looks: about a thousand a second, and never in step with a guest's timer.
    private static let period: UInt64 = 1_003_000
    /// Places that are told apart at most: a guest could run in ever new ones.
    private static let placeCount = 100_000

    private struct State {
        var thread: HostThread?
        var symbols = KernelSymbols()
        var counts: [ProfilePlace: UInt64] = [:]
        var lost: [UInt64] = []
    }

    private let path: String
    private let descriptor: Descriptor
    private let state = RankedLock(State(), owner: "profile", rank: .leaf)
    private let bell = SleepWord()
    private let isStopping = Atomic<Bool>(false)

    /// Makes the file.
    ///
    /// - Throws: `XError` if the host lets us write no such file, or the process has another use for the
    ///   signal.
    public init(path: String) throws(XError) {
        self.path = path
        do {
            descriptor = try Descriptor(path: path, flags: O_WRONLY | O_CREAT | O_TRUNC)
        } catch {
            throw XError(
                .hostCall, "cannot write the profile to \(path): \(error.message)", cause: error)
        }
        guard GuestSampler.install() else {
            throw XError(
                .busy, "cannot profile: the process has another use for the signal SIGPROF")
        }
    }

    /// Looks at vCPUs, given in their order, until `stop`. Once.
    func start(_ samplers: [GuestSampler], _ symbols: KernelSymbols) throws(XError) {
        state.withLock { $0.symbols = symbols }
        let thread = try HostThread.spawn(name: "profile") { [self] in watch(samplers) }
        state.withLock { $0.thread = thread }
    }

    /// The vCPUs have ended.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        bell.ring()
        state.withLock { state in
            defer { state.thread = nil }
            return state.thread
        }?.join()
    }

    private func watch(_ samplers: [GuestSampler]) {
        var due = HostThread.monotonicNow.nanoseconds
        var counts: [ProfilePlace: UInt64] = [:]
        let symbols = state.withLock { $0.symbols }
        while !isStopping.load(ordering: .acquiring) {
            // Where the host was late, looks are left out, not made up for.
            due = max(due &+ Self.period, HostThread.monotonicNow.nanoseconds)
            while !isStopping.load(ordering: .acquiring),
                HostThread.monotonicNow.nanoseconds < due
            {
                bell.wait(after: bell.rings, until: due)
            }
            for sampler in samplers { sampler.strike() }
            for (vcpu, sampler) in samplers.enumerated() {
                while let sample = sampler.take() {
                    var place = ProfilePlace(vcpu, sample, symbols)
                    if counts.count >= Self.placeCount, counts[place] == nil { place.code = .other }
                    counts[place, default: 0] += 1
                }
            }
        }
        let lost = samplers.map(\.lostCount)
        state.withLock { [counts] in
            $0.counts = counts
            $0.lost = lost
        }
    }

    /// Writes what was seen, most often first. Once, after the machine's end.
    ///
    /// - Throws: why the file is not complete.
    public func close() throws(XError) {
        stop()
        let (counts, symbols, lost) = state.withLock { ($0.counts, $0.symbols, $0.lost) }
        var lines: [String: UInt64] = [:]
        for (place, count) in counts { lines[place.stack(symbols), default: 0] += count }
        for (vcpu, count) in lost.enumerated() where count > 0 {
            lines["vcpu\(vcpu);[lost]"] = count
        }
        let text = lines.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.key) \($0.value)\n" }.joined()
        do {
            try writeAll(descriptor.rawValue, Array(text.utf8))
        } catch {
            throw XError(
                .hostCall,
                "the profile is not complete: cannot write to \(path): \(error.message); "
                    + "give --profile a file with more room", cause: error)
        }
    }
}

/// What a line of a profile counts.
struct ProfilePlace: Hashable, Sendable {
    /// Where in the guest.
    enum Code: Hashable, Sendable {
        /// The number of a kernel symbol.
        case symbol(Int)
        /// The kernel's, and nobody knows whose: a page.
        case kernel(page: UInt64)
        /// CPL 1 to 3: the physical address of the page table, and a page.
        case user(space: UInt64, page: UInt64)
        /// There are too many places.
        case other
    }

    var vcpu: Int
    var code: Code
    var activity: GuestSampler.Sample.Activity

    init(_ vcpu: Int, _ sample: GuestSampler.Sample, _ symbols: KernelSymbols) {
        self.vcpu = vcpu
        activity = sample.activity
        let page = sample.address & ~0xfff
        if Self.isUser(sample, symbols) {
            code = .user(space: sample.pageTable, page: page)
        } else if let index = Self.symbol(sample.address, symbols) {
            code = .symbol(index)
        } else {
            code = .kernel(page: page)
        }
    }

    /// Before it has its own page tables the kernel runs where it was loaded.
    private static func symbol(_ address: UInt64, _ symbols: KernelSymbols) -> Int? {
        let loaded = address < 1 << 31 ? address &+ KernelSymbols.lowestAddress : address
        return symbols.index(of: loaded)
    }

    /// Who changes the privilege level (SYSCALL, IRET) has done that some time before the guest goes on
    /// elsewhere: then the address says whose instruction it is.
    private static func isUser(
        _ sample: GuestSampler.Sample, _ symbols: KernelSymbols
    ) -> Bool {
        let isUser = sample.privilegeLevel > 0
        guard sample.activity == .interpreted, symbols.count > 0 else { return isUser }
        let isUpper = sample.address >> 63 != 0
        return isUser ? !isUpper : !isUpper && symbol(sample.address, symbols) == nil
    }

    /// The line without its count. Symbols are a kernel's bytes: what would end a frame or the line is
    /// replaced.
    func stack(_ symbols: KernelSymbols) -> String {
        let place =
            switch code {
            case .symbol(let index):
                "kernel;"
                    + String(
                        symbols[index].name.map {
                            $0 == ";" || $0.isWhitespace || $0.isNewline ? "_" : $0
                        })
            case .kernel(let page): "kernel;" + hexadecimal(page)
            case .user(let space, let page):
                "user;space-" + hexadecimal(space) + ";" + hexadecimal(page)
            case .other: "[other]"
            }
        let how =
            switch activity {
            case .translated: ""
            case .interpreted: ";[interpreter]"
            case .exit: ";[exit]"
            }
        return "vcpu\(vcpu);" + place + how
    }
}
