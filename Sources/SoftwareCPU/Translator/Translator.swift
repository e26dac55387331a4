internal import CEngine
internal import CHost
internal import HostIO
internal import Vocabulary
internal import X86

/// Makes host code of blocks that are run often.
///
/// A translation has the shape of an instruction handler and takes the place of its block's header:
/// the run loop, links and the jump cache know no difference. Translations of a page find each other
/// without the run loop.
///
/// Owner: `CodeArena`. Changed while the lock of `CodeCache` is held; others may execute any of the
/// code at any time. New code is published when it is finished, and what is changed in old code are
/// jumps and entries that are made to be replaced by one store (`CodeMemory.replace`).
final class Translator {
    /// How often a block is interpreted first.
    let threshold: UInt8
    let memory: CodeMemory
    let routines: SharedRoutines
    /// The translation that is being made.
    var block: BlockTranslation
    /// The first free byte.
    private(set) var position: Int
    private var entries: [Key: BlockTranslation.Entries] = [:]
    /// Jumps that wait for the translation of a block, by its page.
    private var waiting: [UInt64: [Wait]] = [:]
    /// What the engine's instructions may belong to.
    private var features = InstructionFeatures.base
    /// Translations that others take the place of.
    private var superseded: [Key: BlockTranslation.Entries] = [:]
    /// When the groups of a block had missed often, by the host's counter.
    private var misses: [Key: UInt64] = [:]
    var statistics = Statistics()
    private let observation: CodeObservation
    private var places = TranslationPlaces()
    /// Translations of earlier runs, which gets those of this one.
    let store: CodeStore?
    /// A page as it is translated from, if what becomes of it is kept.
    private var pageCopy: [UInt8] = []
    /// Blocks that the store's translations have turned out not to be for.
    var refused: Set<UInt> = []

    struct Statistics {
        var translations: UInt64 = 0
        var translatedInstructions: UInt64 = 0
        /// Instructions in them that their handlers run.
        var handlerInstructions: UInt64 = 0
        var codeByteCount: UInt64 = 0
        /// Time that making translations took.
        var nanoseconds: UInt64 = 0
        /// Taken from the store.
        var reusedTranslations: UInt64 = 0
        /// Found there, and for other bytes.
        var refusedTranslations: UInt64 = 0
    }

    private struct Key: Hashable {
        var physical: UInt64
        var mode: UInt32
    }

    private struct Wait {
        var target: Key
        var patch: Assembler.Patch
        var isPolled: Bool
    }

    /// - Parameter threshold: 1 translates every block at its second run.
    init(
        threshold: UInt8, byteCount: Int, observation: CodeObservation = .none,
        store: CodeStore? = nil
    ) throws(XError) {
        self.threshold = max(1, threshold)
        self.observation = observation
        self.store = store
        memory = try CodeMemory(byteCount: byteCount, isNamed: observation.translated != nil)
        var assembler = Assembler(memory, at: 0)
        routines = SharedRoutines(&assembler)
        position = assembler.position
        block = BlockTranslation(assembler, routines)
        block.observation = observation
        if store != nil {
            block.assembler.relocations.keep(routinesEnd: position)
            pageCopy = [UInt8](repeating: 0, count: 4096)
        }
        observation.translated?(memory.address(of: 0), position, nil)
    }

    /// Bytes of code.
    var byteCount: Int { position }

    /// The place in its page of the instruction whose code is at a host address, if it is in here.
    func pageOffset(of hostAddress: UInt64) -> UInt16? {
        let offset = hostAddress &- memory.address(of: 0)
        guard offset < UInt64(position) else { return nil }
        return places.pageOffset(at: Int(offset))
    }

    /// Where code memory begins, and where translated code goes on with a block that has no translation.
    var codeMemory: UInt64 { memory.address(of: 0) }
    var interpretingCode: UInt64 { memory.address(of: routines.interpret) }

    /// Where translated code goes on with a block that it finds in the jump cache. Without the lock.
    func continuation(of header: UnsafeMutablePointer<DecodedInstruction>) -> UInt64 {
        let offset = unsafe header.translation
        return memory.address(of: offset == 0 ? routines.interpret : Int(offset))
    }

    /// Translates the block, whose bytes are at `bytes` and which runs at `linear`. False: there is
    /// no room.
    func translate(
        _ header: UnsafeMutablePointer<DecodedInstruction>, of code: CodeArena,
        bytes: UnsafeRawBufferPointer, linear: UInt64, features: InstructionFeatures
    ) -> Bool {
        self.features = features
        let start = HostThread.monotonicNow
        defer { noteTime(since: start) }
        unsafe begin(header, linear)
        if store == nil {
            unsafe addBlocks(from: header, code, bytes)
            return unsafe make(header, bytes: bytes, linear: linear)
        }
        // What is kept says which bytes it was made of: nobody writes to these.
        unsafe pageCopy.withUnsafeMutableBytes { unsafe $0.copyMemory(from: bytes) }
        let copy = pageCopy
        return unsafe copy.withUnsafeBytes { copy in
            unsafe addBlocks(from: header, code, copy)
            return unsafe make(header, bytes: copy, linear: linear)
        }
    }

    /// Translates the block of an instruction that reaches into the next page; `code` is looked at
    /// first each time. `bytes` are those of the page and what follows. False: there is no room.
    func translateCrossing(
        _ header: UnsafeMutablePointer<DecodedInstruction>, code: [CodePart],
        bytes: UnsafeRawBufferPointer, linear: UInt64, features: InstructionFeatures
    ) -> Bool {
        self.features = features
        let start = HostThread.monotonicNow
        defer { noteTime(since: start) }
        unsafe begin(header, linear)
        if unsafe decode(header, bytes, into: &block) { unsafe block.add(header) }
        block.code = code
        return unsafe make(header, bytes: bytes, linear: linear)
    }

    private func begin(_ header: UnsafeMutablePointer<DecodedInstruction>, _ linear: UInt64) {
        unsafe block.reset(
            at: position, isUpper: linear &>> 63 != 0, mode: header.mode,
            usesGroups: header.missesOfGroups != 0)
    }

    /// Makes the translation of the blocks that were added.
    private func make(
        _ header: UnsafeMutablePointer<DecodedInstruction>, bytes: UnsafeRawBufferPointer,
        linear: UInt64
    ) -> Bool {
        // The bytes are not what they were.
        if block.segments.isEmpty { return true }
        let entries = unsafe block.translate(bytes)
        if block.assembler.isFull { return false }
        // Alone, a handler is called sooner by the interpreter.
        if !block.code.isEmpty, block.handlerCount > 0 { return true }
        unsafe keep(header, entries, bytes: bytes, linear: linear, features: features)
        statistics.codeByteCount &+= UInt64(block.assembler.position &- position)
        places.append(block.marks)
        statistics.translations &+= 1
        statistics.translatedInstructions &+= UInt64(block.instructions.count)
        statistics.handlerInstructions &+= UInt64(block.handlerCount)
        unsafe publish(
            header, entries, block.links, isShared: block.code.isEmpty,
            end: block.assembler.position, linear: linear)
        return true
    }

    /// The code up to `end` is finished: takes it in, and has the block run it.
    func publish(
        _ header: UnsafeMutablePointer<DecodedInstruction>, _ entries: BlockTranslation.Entries,
        _ links: [BlockTranslation.Link], isShared: Bool, end: Int, linear: UInt64
    ) {
        observation.translated?(
            memory.address(of: position), end &- position,
            linear & ~0xfff | UInt64(unsafe header.pointee.pageOffset))
        position = end
        unsafe connect(links, key(header), isShared ? entries : nil, using: block.assembler)
        unsafe header.translation = UInt32(truncatingIfNeeded: entries.polled)
        unsafe cengine_set_handler(header, handler(at: entries.handler))
    }

    /// The block was dropped: whoever still jumps to its translation goes back to the run loop. False:
    /// it has none.
    func retire(_ header: UnsafeMutablePointer<DecodedInstruction>) -> Bool {
        guard unsafe header.translation != 0,
            let old = unsafe entries.removeValue(forKey: key(header))
        else { return false }
        memory.lead(from: old.polled, to: old.stale)
        memory.lead(from: old.unpolled, to: old.stale)
        unsafe header.translation = 0
        return true
    }

    /// How often the groups of a block may miss before somebody looks.
    static let missesOfGroups: UInt8 = 64

    /// Cycles that so many misses of a block have to last. A miss costs some hundred to leave by, and
    /// some forty for each of the block's instructions, which the interpreter runs then; a fourth of
    /// the time is more than groups gain.
    private static func leastCycles(_ instructionCount: Int) -> UInt64 {
        UInt64(missesOfGroups) &* max(1200, UInt64(truncatingIfNeeded: instructionCount) &* 160)
    }

    /// Where the accesses lie across two pages or may never be made together, each has to probe.
    func groupsMissOften(_ header: UnsafeMutablePointer<DecodedInstruction>) {
        // Another vCPU has seen it too, or the block was dropped.
        guard unsafe header.missesOfGroups == 0, unsafe header.translation != 0 else { return }
        unsafe header.missesOfGroups = Self.missesOfGroups
        let key = unsafe key(header)
        let now = chost_rdtsc()
        let last = misses.updateValue(now, forKey: key)
        guard let last, let old = entries[key],
            unsafe now &- last < Self.leastCycles(header.pointee.instructionCount)
        else { return }
        _ = unsafe retire(header)
        superseded[key] = old
        misses[key] = nil
        unsafe header.missesOfGroups = 0
        unsafe header.runsToTranslation = 1
        unsafe cengine_set_handler(header, countingHeader)
    }

    /// Links of a page's blocks that were dropped are not filled in any more.
    func forgetLinks(page: UInt64) {
        if !superseded.isEmpty {
            superseded = superseded.filter { $0.key.physical & ~0xfff != page }
        }
        if !waiting.isEmpty { waiting[page] = nil }
    }

    // MARK: -

    func noteTime(since start: Instant) {
        let now = HostThread.monotonicNow.nanoseconds
        statistics.nanoseconds &+= now &- min(start.nanoseconds, now)
    }

    private func handler(at offset: Int) -> InstructionHandler {
        // SAFETY: code memory holds a routine with the arguments and the result of a handler there.
        unsafe unsafeBitCast(
            UInt(truncatingIfNeeded: memory.address(of: offset)), to: InstructionHandler.self)
    }

    /// Takes the instructions of a block in. False: the bytes are not what they were, which the engine
    /// will hear about.
    func decode(
        _ header: UnsafeMutablePointer<DecodedInstruction>, _ bytes: UnsafeRawBufferPointer,
        into block: inout BlockTranslation
    ) -> Bool {
        let count = unsafe header.pointee.instructionCount
        for index in 1..<(count &+ 1) {
            let op = unsafe header[index]
            let start = unsafe Int(op.pageOffset)
            guard start < bytes.count else { return false }
            let window = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[start..<min(start &+ 15, bytes.count)])
            switch unsafe Decoder.decode(window, mode: .code64, features: features) {
            case .instruction(let instruction):
                guard unsafe instruction.length == op.length else { return false }
                block.add(instruction)
            case .fault: block.add(nil)
            }
        }
        return count > 0
    }

    private func key(_ header: UnsafeMutablePointer<DecodedInstruction>) -> Key {
        unsafe Key(
            physical: header.physical, mode: header.mode)
    }

    /// Joins the new translation with those that are there, and lets it wait for the others. Nobody
    /// may jump to it without `own`.
    private func connect(
        _ links: [BlockTranslation.Link], _ key: Key, _ own: BlockTranslation.Entries?,
        using assembler: Assembler
    ) {
        if let own { publish(own, key, using: assembler) }
        let page = key.physical & ~0xfff
        for link in links {
            let target = Key(physical: page | UInt64(link.target), mode: key.mode)
            if let entry = entries[target] {
                assembler.rebind(link.patch, to: link.isPolled ? entry.polled : entry.unpolled)
            } else {
                waiting[page, default: []].append(
                    Wait(target: target, patch: link.patch, isPolled: link.isPolled))
            }
        }
    }

    private func publish(
        _ own: BlockTranslation.Entries, _ key: Key, using assembler: Assembler
    ) {
        entries[key] = own
        if let old = superseded.removeValue(forKey: key) {
            memory.lead(from: old.polled, to: own.polled)
            memory.lead(from: old.unpolled, to: own.unpolled)
        }
        let page = key.physical & ~0xfff
        for wait in waiting[page] ?? [] where wait.target == key {
            assembler.rebind(wait.patch, to: wait.isPolled ? own.polled : own.unpolled)
        }
        waiting[page]?.removeAll { $0.target == key }
    }
}
