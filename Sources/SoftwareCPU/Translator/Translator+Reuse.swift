internal import CEngine
internal import HostIO
internal import X86

// Translations that are kept from one run to the next: see `CodeStore`.

extension StoredTranslation.Key {
    /// Of the block of `header`, which runs at `linear`.
    init(
        _ header: UnsafeMutablePointer<DecodedInstruction>, linear: UInt64,
        features: InstructionFeatures
    ) {
        unsafe self.init(
            features: features.rawValue, mode: header.mode,
            pageOffset: header.pointee.pageOffset, isUpper: linear &>> 63 != 0,
            usesGroups: header.missesOfGroups != 0)
    }

    /// What entries for the block are looked up by. `page` is the one that it lies in.
    func tag(
        of header: UnsafeMutablePointer<DecodedInstruction>, page: UnsafeRawBufferPointer
    ) -> UInt32 {
        let start = Int(pageOffset)
        let end = unsafe min(
            Int(header[header.pointee.instructionCount].offsetBehind), start &+ Self.tagByteCount,
            page.count)
        guard start < end else { return 1 }
        return unsafe tag(UnsafeRawBufferPointer(rebasing: page[start..<end]))
    }
}

extension Translator {
    /// After so many runs of a block it is looked whether the store has its translation. Sooner, programs
    /// that fill generations of code fill many more of them; a boot takes as long with 2.
    static let runsToReuse: UInt8 = 32

    /// What becomes of an attempt to take a translation from the store.
    enum Reuse {
        case published
        /// There is none for the block, which is to be translated.
        case nothing
        /// No room for the translation or the blocks that come with it.
        case noRoom
        /// The block is interpreted some more times first.
        case later
    }

    /// How often the new block of `header` is interpreted first.
    func runs(
        of header: UnsafeMutablePointer<DecodedInstruction>, linear: UInt64,
        features: InstructionFeatures, page: UnsafeRawBufferPointer
    ) -> UInt8 {
        guard let store, !store.isEmpty else { return threshold }
        let key = unsafe StoredTranslation.Key(header, linear: linear, features: features)
        let tag = unsafe key.tag(of: header, page: page)
        return store.mayHave(tag) ? min(threshold, Self.runsToReuse) : threshold
    }

    /// Gives the block of `header` the translation that the store has for it, if it has one that was made
    /// of the same bytes.
    ///
    /// - Parameter blockAt: the block at an offset of the page, which is decoded if it has to be.
    func reuse(
        _ header: UnsafeMutablePointer<DecodedInstruction>, page: UnsafeRawBufferPointer,
        linear: UInt64, features: InstructionFeatures,
        blockAt: (Int) -> BlockAttempt
    ) -> Reuse {
        guard let store, !store.isEmpty else { return .nothing }
        let key = unsafe StoredTranslation.Key(header, linear: linear, features: features)
        let tag = unsafe key.tag(of: header, page: page)
        // The second time it has been run as often as others are.
        guard store.mayHave(tag),
            unsafe refused.isEmpty || refused.remove(Self.identity(header)) == nil
        else { return .nothing }
        let start = HostThread.monotonicNow
        defer { noteTime(since: start) }
        let found = store.find(tag) { unsafe $0.key == key && $0.wasMade(of: page) }
        let result =
            found.map { unsafe reuse($0, for: header, linear: linear, blockAt) } ?? .nothing
        guard case .nothing = result else { return result }
        statistics.refusedTranslations &+= 1
        // Blocks whose groups were given up have been run often, and new ones a few times.
        guard threshold > Self.runsToReuse, key.usesGroups else { return .nothing }
        unsafe refused.insert(Self.identity(header))
        unsafe postpone(header, by: threshold &- Self.runsToReuse)
        return .later
    }

    private static func identity(_ header: UnsafeMutablePointer<DecodedInstruction>) -> UInt {
        UInt(bitPattern: header)
    }

    /// The block is interpreted so many more times first.
    func postpone(_ header: UnsafeMutablePointer<DecodedInstruction>, by runs: UInt8) {
        unsafe header.runsToTranslation = runs
        unsafe cengine_set_handler(header, countingHeader)
    }

    private func reuse(
        _ found: StoredTranslation, for header: UnsafeMutablePointer<DecodedInstruction>,
        linear: UInt64, _ blockAt: (Int) -> BlockAttempt
    ) -> Reuse {
        var headers: [UnsafeMutablePointer<DecodedInstruction>] = unsafe []
        for (number, block) in found.blocks.enumerated() {
            var own = unsafe header
            if number > 0 {
                switch blockAt(block.start) {
                case .block(let next), .doubtful(let next): unsafe own = unsafe next
                case .needsRoom: return .noRoom
                case .mailFirst:
                    // It is read before the block runs the next time.
                    unsafe postpone(header, by: 1)
                    return .later
                case .needsNextPage: return .nothing
                }
            }
            guard unsafe Self.isSame(own, block) else { return .nothing }
            unsafe headers.append(own)
        }
        for number in 0..<found.relocationCount {
            if case .instruction(let index, let block) = found.relocation(number).target,
                unsafe index >= headers[block].pointee.recordCount
            {
                return .nothing
            }
        }
        return unsafe place(found, headers, linear: linear) ? .published : .noRoom
    }

    /// The block was decoded as it was then: it is as long.
    private static func isSame(
        _ header: UnsafeMutablePointer<DecodedInstruction>, _ block: StoredTranslation.Block
    ) -> Bool {
        let count = unsafe header.pointee.instructionCount
        return unsafe count == block.instructionCount
            && Int(header[count].offsetBehind) == block.end
    }

    /// Copies the code behind that of the others and fills in what is different here. False: there is no
    /// room.
    private func place(
        _ stored: StoredTranslation, _ headers: [UnsafeMutablePointer<DecodedInstruction>],
        linear: UInt64
    ) -> Bool {
        let start = (position &+ 15) & ~15
        let end = start &+ stored.codeByteCount
        guard end <= memory.byteCount else { return false }
        unsafe stored.copyCode(to: memory.writable + start)
        let ways = routines.all
        for number in 0..<stored.relocationCount {
            let relocation = stored.relocation(number)
            let place = start &+ relocation.place
            let code = unsafe UnsafeMutableRawPointer(memory.writable + place)
            switch relocation.target {
            case .instruction(let index, let block):
                let address = unsafe UInt64(UInt(bitPattern: headers[block] + index))
                unsafe code.storeBytes(of: address, as: UInt64.self)
            case .routine(let routine):
                guard routine < ways.count else { return false }
                unsafe code.storeBytes(
                    of: UInt32(truncatingIfNeeded: ways[routine] &- (place &+ 4)), as: UInt32.self)
            }
        }
        let links = (0..<stored.linkCount).map {
            let link = stored.link($0)
            return BlockTranslation.Link(
                patch: start &+ link.patch, target: link.target, isPolled: link.isPolled)
        }
        let own = stored.entries
        statistics.reusedTranslations &+= 1
        unsafe publish(
            headers[0],
            BlockTranslation.Entries(
                handler: start &+ own.handler, polled: start &+ own.polled,
                unpolled: start &+ own.unpolled, stale: start),
            links, isShared: true, end: end, linear: linear)
        return true
    }

    /// Gives the store the translation that has been made, as it is now: no link of it is patched yet.
    func keep(
        _ header: UnsafeMutablePointer<DecodedInstruction>, _ entries: BlockTranslation.Entries,
        bytes: UnsafeRawBufferPointer, linear: UInt64, features: InstructionFeatures
    ) {
        guard let store, block.code.isEmpty else { return }
        let start = entries.stale
        var key = unsafe StoredTranslation.Key(header, linear: linear, features: features)
        // As it was made: others may be counting misses of one that was given up.
        key.usesGroups = block.usesGroups
        let blocks = block.segments.map { segment in
            unsafe StoredTranslation.Block(
                start: Int(segment.header[1].pageOffset),
                end: Int(segment.header[segment.count].offsetBehind),
                instructionCount: segment.count)
        }
        let links = block.links.map {
            BlockTranslation.Link(
                patch: $0.patch &- start, target: $0.target, isPolled: $0.isPolled)
        }
        let relocations = block.assembler.relocations.all.map {
            Relocation(place: $0.place &- start, target: $0.target)
        }
        let stored = unsafe StoredTranslation(
            key, blocks: blocks,
            entries: BlockTranslation.Entries(
                handler: entries.handler &- start, polled: entries.polled &- start,
                unpolled: entries.unpolled &- start),
            links: links, relocations: relocations, routines: routines.all,
            code: UnsafeBufferPointer(
                start: memory.writable + start, count: block.assembler.position &- start),
            page: bytes)
        guard let stored else { return }
        store.keep(stored, unsafe key.tag(of: header, page: bytes))
    }
}
