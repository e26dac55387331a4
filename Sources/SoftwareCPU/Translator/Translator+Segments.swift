internal import CEngine
internal import X86

// Which blocks a translation follows: straight on from one to the next where conditional jumps lead
// forward, as if they were not taken; where those lead backward, as if they were; and where jumps lead
// to in the page. Most blocks are five instructions long; together they need less looking at events and
// less saving of flags. A loop comes several times, and accesses that go on from one time to the next
// share a probe.

extension Translator {
    private static let mostBlocks = 8
    /// The same block at most.
    private static let mostTimes = 4
    private static let mostInstructions = 64

    /// Adds the block of `header` to the translation and those it goes on with, as far as they have been
    /// run before. None: the bytes are not what they were, which the engine will hear about.
    func addBlocks(
        from header: UnsafeMutablePointer<DecodedInstruction>, _ code: CodeArena,
        _ bytes: UnsafeRawBufferPointer
    ) {
        guard unsafe decode(header, bytes, into: &block) else { return }
        unsafe block.add(header)
        let page = unsafe header.physical & ~0xfff
        while block.segments.count < Self.mostBlocks {
            guard let offset = continuation,
                let next = unsafe code.find(
                    page | UInt64(offset), mode: header.mode),
                block.segments.count(where: { unsafe $0.header == next }) < Self.mostTimes,
                unsafe decode(next, bytes, into: &block),
                block.instructions.count <= Self.mostInstructions, !block.needsMoreState
            else { return block.removeUnusedInstructions() }
            unsafe block.add(next)
        }
    }

    /// Where the last block goes on in its page; nil: anywhere.
    private var continuation: Int? {
        guard let segment = block.segments.last, let last = block.instructions.last,
            let last
        else { return nil }
        let start = unsafe Int(segment.header[segment.count].pageOffset)
        let end = unsafe Int(segment.header[segment.count].offsetBehind)
        var target = end
        switch TranslationKind(last, vectors: .available, x87: .available) {
        case .handler, .call, .ret, .counterJump: return nil
        case .jump:
            guard last.operand0 == .relative else { return nil }
            target = end &+ Int(truncatingIfNeeded: Int64(bitPattern: last.immediate))
        case .conditionalJump:
            let taken = end &+ Int(truncatingIfNeeded: Int64(bitPattern: last.immediate))
            if taken >= 0, taken <= start { target = taken }
        default: break
        }
        return target >= 0 && target < 4096 ? target : nil
    }
}

extension BlockTranslation {
    /// The instructions that no block has taken use vector registers or the FPU, and none of the others
    /// do.
    var needsMoreState: Bool {
        let start = segments.last.map { $0.first &+ $0.count } ?? 0
        for uses in [Self.isX87, Self.usesVectors, Self.usesWideVectors]
        where contains(instructions[start...], uses) {
            if !contains(instructions[..<start], uses) { return true }
        }
        return false
    }

    private func contains(
        _ instructions: ArraySlice<Instruction?>, _ uses: (Instruction) -> Bool
    ) -> Bool {
        instructions.contains { $0.map(uses) ?? false }
    }

    private static func usesVectors(_ instruction: Instruction) -> Bool {
        instruction.form.registerField == .xmm
    }

    private static func usesWideVectors(_ instruction: Instruction) -> Bool {
        let form = instruction.form
        return form.isVEX && (form.registerField == .xmm || form.vectorField == .xmm)
    }
}
