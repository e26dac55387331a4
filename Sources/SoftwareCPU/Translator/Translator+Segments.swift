internal import CEngine
internal import X86

// Which blocks a translation follows: straight on from one to the next where conditional jumps are not
// taken, and where jumps lead forward in the page. Most blocks are five instructions long; together
// they need less looking at events and less saving of flags.

extension Translator {
    private static let mostBlocks = 6
    private static let mostInstructions = 64

    /// The block of `header` and those it goes on with, as far as they have been run before. Empty:
    /// the bytes are not what they were, which the engine will hear about.
    func segments(
        from header: UnsafeMutablePointer<DecodedInstruction>, _ code: CodeArena,
        _ bytes: UnsafeRawBufferPointer
    ) -> [BlockTranslation.Segment] {
        guard let first = unsafe segment(header, bytes) else { return [] }
        var result = [first]
        var count = first.instructions.count
        let page = unsafe UInt64(bitPattern: header.pointee.displacement) & ~0xfff
        while result.count < Self.mostBlocks {
            guard let last = result.last, let offset = continuation(of: last),
                let next = unsafe code.find(
                    page | UInt64(offset), mode: header.pointee.mode),
                let following = unsafe segment(next, bytes),
                count &+ following.instructions.count <= Self.mostInstructions,
                !following.needsMoreState(than: result)
            else { break }
            count &+= following.instructions.count
            result.append(following)
        }
        return result
    }

    /// Where the block goes on in its page, forward; nil: anywhere.
    private func continuation(of segment: BlockTranslation.Segment) -> Int? {
        guard let last = segment.instructions.last, let last else { return nil }
        let count = segment.instructions.count
        let start = unsafe Int(segment.header[count].pageOffset)
        let end = unsafe Int(segment.header[count &+ 1].pageOffset)
        var target = end
        switch TranslationKind(last, vectors: .available, x87: .available) {
        case .handler, .call, .ret: return nil
        case .jump:
            guard last.operand0 == .relative else { return nil }
            target = end &+ Int(truncatingIfNeeded: Int64(bitPattern: last.immediate))
        default: break
        }
        return target > start && target < 4096 ? target : nil
    }

    private func segment(
        _ header: UnsafeMutablePointer<DecodedInstruction>, _ bytes: UnsafeRawBufferPointer
    ) -> BlockTranslation.Segment? {
        guard let instructions = unsafe decode(header, bytes), !instructions.isEmpty else {
            return nil
        }
        return unsafe BlockTranslation.Segment(header: header, instructions: instructions)
    }
}

extension BlockTranslation.Segment {
    /// It uses vector registers or the FPU, and none of the others do.
    func needsMoreState(than others: [BlockTranslation.Segment]) -> Bool {
        for uses in [Self.usesX87, Self.usesVectors, Self.usesWideVectors] where uses(self) {
            if !others.contains(where: uses) { return true }
        }
        return false
    }

    private static func usesX87(_ segment: BlockTranslation.Segment) -> Bool {
        segment.instructions.contains { $0.map(BlockTranslation.isX87) ?? false }
    }

    private static func usesVectors(_ segment: BlockTranslation.Segment) -> Bool {
        segment.instructions.contains { $0?.form.registerField == .xmm }
    }

    private static func usesWideVectors(_ segment: BlockTranslation.Segment) -> Bool {
        segment.instructions.contains {
            guard let form = $0?.form, form.isVEX else { return false }
            return form.registerField == .xmm || form.vectorField == .xmm
        }
    }
}
