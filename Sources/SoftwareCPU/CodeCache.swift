internal import CEngine
internal import CHost
public import GuestMemory
internal import HostIO
internal import Synchronization
public import VirtualCPU

/// The decoded blocks and translations of one machine: all of its engines run the same ones.
///
/// Blocks are looked up and run without a lock. They are built, translated and dropped under one, so
/// that a page is marked as one with code exactly while there may be blocks of it, and whoever stores
/// to it drops them for everyone. When a generation of blocks is full the next one begins; engines
/// change over where they hold no instruction, and the old one is given back once nobody is inside.
///
/// Owner: the machine, and its engines. Any thread.
@safe
public final class CodeCache: Sendable {
    /// Room of one generation; the next begins when any of it is used up. Takes host memory as it is used.
    struct Size: Sendable {
        /// Of 32 bytes each: 46 MiB, so that a compiler's fit.
        var instructionCount = 1472 * 1024
        var codeByteCount = 21 << 20
        /// Of both.
        var byteCount = 54 << 20
    }

    /// An engine's place in the cache. Owner: the engine.
    final class Resident: Sendable {
        /// The oldest generation that the engine may hold instructions of or have calls in; 0: none,
        /// it runs no guest code.
        let oldest = Atomic<UInt64>(0)
        let events: PendingEvents

        init(_ events: PendingEvents) { self.events = events }
    }

    /// What the lock guards.
    struct Contents: Sendable {
        var newest: CodeArena
        /// Full generations that somebody may be in.
        var earlier: [CodeArena] = []
        var residents: [Resident] = []
        /// Pages decoded from while others ran, who may not have heard of it yet.
        var unheardPages: [UInt64] = []
        /// Pages this cache has marked, at the place their number says; not all of them have one.
        var knownPages = [UInt64](repeating: .max, count: 256)
        var statistics = CodeCacheStatistics()
    }

    let contents: RankedLock<Contents>
    /// Number of the newest generation.
    let newest = Atomic<UInt64>(1)
    /// There are earlier ones.
    let hasEarlier = Atomic<Bool>(false)
    /// `unheardPages` has some.
    let hasUnheard = Atomic<Bool>(false)
    /// Among the observers of the memory.
    private let observer = Atomic<Int>(0)
    private let threshold: UInt8?
    private let size: Size
    /// What tools want to know of translations.
    let observation: CodeObservation
    /// Translations of earlier runs; nil: none are kept.
    let store: CodeStore?
    /// Of the engines that count.
    private let formCounts = RankedLock([FormCounts](), owner: "form-counts", rank: .leaf)
    private static let canSerialize = chost_can_serialize_threads() != 0

    /// - Parameters:
    ///   - memory: of the machine. Engines that share it share this cache.
    ///   - translation: whether blocks become host code.
    ///   - observation: what tools want to know of that.
    ///   - store: has translations of earlier runs, and gets those of this one. Not used by who wants to
    ///     know the places of instructions, which it does not have.
    public convenience init(
        memory: GuestMemory, translation: TranslationPolicy = .off,
        observation: CodeObservation = .none, store: CodeStore? = nil
    ) {
        self.init(
            memory: memory, translation: translation, size: Size(), observation: observation,
            store: store)
    }

    init(
        memory: GuestMemory, translation: TranslationPolicy, size: Size,
        observation: CodeObservation = .none, store: CodeStore? = nil
    ) {
        self.size = size
        var observation = observation
        let store = observation.keepsPlaces || translation == .off ? nil : store
        // So that there is one kind of code, whoever asks for statistics.
        if store != nil { observation.countsForms = true }
        self.observation = observation
        self.store = store
        if case .afterRuns(let count) = translation { threshold = count } else { threshold = nil }
        contents = RankedLock(
            Contents(newest: Self.arena(1, threshold, size, observation, store)), owner: "code",
            rank: .codeCache)
        let drop: @Sendable (CodeChange, UInt64) -> Void = { [weak self] change, page in
            if change == .written { self?.drop(page: page) }
        }
        observer.store(memory.observeCode(drop), ordering: .relaxed)
    }

    private static func arena(
        _ number: UInt64, _ threshold: UInt8?, _ size: Size, _ observation: CodeObservation,
        _ store: CodeStore?
    ) -> CodeArena {
        CodeArena(
            number: number, capacity: size.instructionCount, byteCapacity: size.byteCount,
            translator: threshold.flatMap {
                try? Translator(
                    threshold: $0, byteCount: size.codeByteCount, observation: observation,
                    store: store)
            })
    }

    /// Blocks become host code. False although it was asked for: the host forbids executable memory.
    public var isTranslating: Bool { contents.withLock { $0.newest.translator != nil } }

    public var statistics: CodeCacheStatistics {
        contents.withLock { contents in
            var result = contents.statistics
            for arena in contents.earlier + [contents.newest] {
                result.instructionByteCount &+= UInt64(arena.byteCount)
                guard let translator = arena.translator else { continue }
                result.add(translator)
                result.codeByteCountInUse &+= UInt64(translator.byteCount)
            }
            result.storedByteCount = store?.fileByteCount ?? 0
            result.storeIndexByteCount = store?.indexByteCount ?? 0
            result.damagedEntries = store?.damagedCount ?? 0
            result.keptTranslations = store?.keptCount ?? 0
            return result
        }
    }

    /// How often each instruction form left translated code so far, if that is counted.
    public var exitsByForm: [FormExits] { FormCounts.sum(formCounts.withLock { $0 }) }

    /// Counters for one more engine; nil: nothing is counted.
    func makeFormCounts() -> FormCounts? {
        guard observation.countsForms else { return nil }
        let counts = FormCounts()
        formCounts.withLock { $0.append(counts) }
        return counts
    }

    // MARK: Dropping

    /// Drops every block of the page, for everyone. Nobody goes on with code of theirs after the
    /// instruction that runs.
    func drop(page: UInt64) { contents.withLock { drop(page: page, $0) } }

    func drop(page: UInt64, _ contents: Contents) {
        // Dictionaries compute with floating point, which must leave no trace in the guest's MXCSR.
        let control = vector_host_mxcsr()
        var retired = contents.newest.invalidate(page: page)
        for arena in contents.earlier where arena.invalidate(page: page) { retired = true }
        vector_set_host_mxcsr(control)
        // One vCPU's own instructions are in order.
        if retired, contents.residents.count > 1, Self.canSerialize { chost_serialize_threads() }
    }

    /// Another cache of the same memory has blocks of the page that may be out of date.
    func tellOthers(of page: UInt64, _ memory: GuestMemory) {
        memory.announce(.written, page, by: observer.load(ordering: .relaxed))
    }

    // MARK: Generations

    /// Takes an engine in, which begins with the newest generation.
    func admit(_ resident: Resident) -> CodeArena {
        contents.withLock { contents in
            contents.residents.append(resident)
            return contents.newest
        }
    }

    func dismiss(_ resident: Resident) {
        contents.withLock { contents in
            contents.residents.removeAll { $0 === resident }
            giveBack(&contents)
        }
    }

    /// The generation after `arena`, which is full.
    func next(after arena: CodeArena) -> CodeArena {
        contents.withLock { contents in
            if contents.newest !== arena { return contents.newest }
            contents.earlier.append(arena)
            hasEarlier.store(true, ordering: .relaxed)
            contents.newest = Self.arena(
                arena.number &+ 1, threshold, size, observation, store)
            contents.statistics.generations &+= 1
            newest.store(contents.newest.number, ordering: .sequentiallyConsistent)
            for resident in contents.residents { resident.events.raise(.codeChanged) }
            return contents.newest
        }
    }

    /// The newest generation. The engine of `resident` holds no instruction of any other, and has no
    /// call in one.
    func change(_ resident: Resident) -> CodeArena {
        contents.withLock { contents in
            resident.oldest.store(contents.newest.number, ordering: .sequentiallyConsistent)
            giveBack(&contents)
            return contents.newest
        }
    }

    /// The engine of `resident` has left guest code.
    func leave(_ resident: Resident) {
        resident.oldest.store(0, ordering: .releasing)
        if hasEarlier.load(ordering: .relaxed) { contents.withLock { giveBack(&$0) } }
    }

    /// Gives back what nobody is in.
    private func giveBack(_ contents: inout Contents) {
        if contents.earlier.isEmpty { return }
        var oldest = UInt64.max
        for resident in contents.residents {
            // Who comes in at this moment says so first, and then finds out that it is out of date.
            let number = resident.oldest.load(ordering: .sequentiallyConsistent)
            if number != 0 { oldest = min(oldest, number) }
        }
        while let arena = contents.earlier.first, arena.number < oldest {
            if let translator = arena.translator { contents.statistics.add(translator) }
            arena.giveBack()
            contents.earlier.removeFirst()
        }
        hasEarlier.store(!contents.earlier.isEmpty, ordering: .relaxed)
    }
}

extension CodeCacheStatistics {
    mutating func add(_ translator: Translator) {
        translations &+= translator.statistics.translations
        translatedInstructions &+= translator.statistics.translatedInstructions
        handlerInstructions &+= translator.statistics.handlerInstructions
        codeByteCount &+= translator.statistics.codeByteCount
        // Added up where the guest's MXCSR is in force, too: no floating point.
        translationNanoseconds &+= translator.statistics.nanoseconds
        reusedTranslations &+= translator.statistics.reusedTranslations
        refusedEntries &+= translator.statistics.refusedTranslations
    }
}
