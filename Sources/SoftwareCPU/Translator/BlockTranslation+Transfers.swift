internal import CEngine
internal import X86

// What ends a block: jumps, calls, returns, and the end of what was decoded.

extension BlockTranslation {
    mutating func emitTransfer(_ kind: TranslationKind, _ instruction: Instruction) {
        writeX87Note()
        if case .conditionalJump = kind { requireFlags() }
        saveFlags()
        if case .conditionalJump = kind { payAndKeepFlags() } else { pay() }
        switch kind {
        case .conditionalJump: emitConditionalJump(instruction)
        case .counterJump: emitCounterJump(instruction)
        case .jump: emitJump(instruction)
        case .call: emitCall(instruction)
        default: emitReturn(instruction)
        }
    }

    /// A jump to the block that comes next in the translation; a conditional one leaves it where it goes
    /// the other way.
    mutating func emitInnerTransfer(_ kind: TranslationKind, _ instruction: Instruction) {
        guard case .conditionalJump = kind else { return }
        requireFlags()
        let target = target(instruction)
        let following = unsafe Int(segments[segment &+ 1].header[1].pageOffset)
        if following == target {
            exitAside(assembler.jump(code: instruction.condition ^ 1), to: next)
        } else {
            exitAside(assembler.jump(code: instruction.condition), to: target)
        }
    }

    /// To an offset from the page's start, from the middle of the translation.
    mutating func leaveBlock(to offset: Int) { emitDirect(to: offset, from: start) }

    /// Offsets within the page of the current instruction and of the one behind it.
    private var start: Int { Int(unsafe op(index).pointee.pageOffset) }
    private var next: Int { Int(unsafe op(index).pointee.offsetBehind) }

    /// The target of a relative branch, as an offset from the page's start.
    private func target(_ instruction: Instruction) -> Int {
        next &+ Int(truncatingIfNeeded: Int64(bitPattern: instruction.immediate))
    }

    /// A block there is in the page, and so can be jumped to: none that crosses into the next.
    private func isInPage(_ offset: Int) -> Bool { offset >= 0 && offset <= 4096 - 15 }

    /// Behind the last instruction that is not a transfer.
    mutating func emitFallThrough() {
        writeX87Note()
        saveFlags()
        pay()
        let offset = Int(unsafe op(count &- 1).pointee.offsetBehind)
        emitDirect(to: offset, from: 0)
    }

    /// To an offset from the page's start, or back to the run loop with the current instruction.
    private mutating func emitDirect(to offset: Int, from source: Int) {
        if isInPage(offset) {
            goOn(assembler.replaceableJump(), at: offset, from: source, or: index)
            return
        }
        computeTarget(offset)
        emitThroughCache()
    }

    /// The linear address at an offset from the page's start, into R10.
    private mutating func computeTarget(_ offset: Int) {
        assembler.load(.r10, HostLayout.codePage)
        assembler.loadAddress(
            .r10, HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: offset)))
    }

    private mutating func emitConditionalJump(_ instruction: Instruction) {
        requireFlags()
        let (target, code) = (target(instruction), instruction.condition)
        emitBothWays(
            isInPage(target) ? assembler.replaceableJump(code: code) : assembler.jump(code: code),
            to: target)
    }

    /// JRCXZ.
    private mutating func emitCounterJump(_ instruction: Instruction) {
        emitBothWays(assembler.replaceableCounterJump(), to: target(instruction))
    }

    /// Behind the jump `taken`, which is replaceable if its target is in the page.
    private mutating func emitBothWays(_ taken: Assembler.Patch, to target: Int) {
        if isInPage(target) {
            goOn(taken, at: target, from: start, or: index)
            emitNotTaken()
        } else {
            emitNotTaken()
            assembler.bind(taken)
            computeTarget(target)
            emitThroughCache()
        }
    }

    /// Until what follows is translated, the interpreter decides again.
    private mutating func emitNotTaken() {
        let offset = next
        if isInPage(offset) {
            goOn(assembler.replaceableJump(), at: offset, from: start, or: index)
        } else {
            computeTarget(offset)
            emitThroughCache()
        }
    }

    private mutating func emitJump(_ instruction: Instruction) {
        if instruction.operand0 == .relative {
            emitDirect(to: target(instruction), from: start)
            return
        }
        guard loadTarget(instruction) else { return exit(to: index) }
        endWithHandler()
        emitThroughCache()
    }

    /// The target of an indirect jump or call into R10. False: the interpreter has to do it.
    private mutating func loadTarget(_ instruction: Instruction) -> Bool {
        guard instruction.operandSize == 8 else { return false }
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return false }
            let operand = probe(access, write: false)
            assembler.load(.r10, operand.address)
            return true
        }
        guard case .register(.general, let number) = instruction.operand0 else { return false }
        if let host = HostLayout.host(number) {
            assembler.move(.r10, host)
        } else {
            assembler.load(.r10, HostLayout.generalRegister(Int(number)))
        }
        return true
    }

    /// Misses leave for the interpreter, which runs the whole transfer.
    private mutating func endWithHandler() {
        if misses.isEmpty { return }
        exit(misses, to: index)
        misses.removeAll()
    }

    /// Looks the linear address in R10 up in the jump cache: R11 is then the entry's offset. Misses
    /// leave before anything has changed.
    private mutating func findInCache() {
        // See `jumpCacheEntry`: SHR by 4, XOR of the low bytes, AND; times the size of an entry.
        assembler.instruction(HostOpcode(0x8b), register: 11, .register(10))
        assembler.instruction(HostOpcode(0xc1), register: 5, .register(11))
        assembler.byte(4)
        assembler.instruction(HostOpcode(0x32), register: 11, .register(10))
        assembler.instruction(HostOpcode(0x81), register: 4, .register(11))
        assembler.integer32(Int32(JUMP_CACHE_ENTRY_COUNT &- 1))
        assembler.instruction(HostOpcode(0xc1), register: 4, .register(11))
        assembler.byte(5)
        assembler.instruction(
            HostOpcode(0x3b, wide: true), register: 10, .memory(HostLayout.jumpAddress(.r11)))
        let address = assembler.jump(.notEqual)
        assembler.load(.r10, HostLayout.jumpContext(upper: isUpper))
        assembler.instruction(
            HostOpcode(0x3b, wide: true), register: 10,
            .memory(HostLayout.jumpEntryContext(.r11)))
        exit(Misses(Patches(address, assembler.jump(.notEqual))), to: index)
    }

    /// Goes on at the block of the jump cache's entry R11.
    private mutating func enterFromCache() {
        assembler.load(.r10, HostLayout.jumpAddress(.r11))
        assembler.instruction(HostOpcode(0x81, wide: true), register: 4, .register(10))
        assembler.integer32(-4096)
        assembler.store(HostLayout.codePage, .r10)
        assembler.instruction(HostOpcode(0xff), register: 4, .memory(HostLayout.jumpCode(.r11)))
    }

    private mutating func emitThroughCache() {
        findInCache()
        enterFromCache()
    }

    private mutating func emitCall(_ instruction: Instruction) {
        guard instruction.operandSize == 8 else { return exit(to: index) }
        let target = target(instruction)
        let isDirect = instruction.operand0 == .relative
        let isLocal = isDirect && isInPage(target)
        if !isLocal {
            if isDirect {
                computeTarget(target)
            } else if !loadTarget(instruction) {
                return exit(to: index)
            }
            findInCache()
            assembler.store(SharedRoutines.scratchSlot, .r11)
        }
        let operand = probe(
            GuestAccess(register: 4, displacement: -8, byteCount: 8), write: true)
        endWithHandler()
        computeReturn(into: operand.free)
        assembler.store(operand.address, operand.free)
        moveStack(by: -8)
        if isLocal {
            goOn(assembler.replaceableJump(), at: target, from: start, or: nil)
        } else {
            assembler.load(.r11, SharedRoutines.scratchSlot)
            enterFromCache()
        }
    }

    /// The linear address behind the current instruction.
    private mutating func computeReturn(into register: HostRegister) {
        assembler.load(register, HostLayout.codePage)
        assembler.loadAddress(
            register, HostAddress(base: register, displacement: Int32(truncatingIfNeeded: next)))
    }

    private mutating func emitReturn(_ instruction: Instruction) {
        guard instruction.operandSize == 8 else { return exit(to: index) }
        let operand = probe(
            GuestAccess(register: 4, displacement: 0, byteCount: 8), write: false)
        endWithHandler()
        assembler.load(.r10, operand.address)
        findInCache()
        moveStack(by: 8 &+ Int32(truncatingIfNeeded: instruction.immediate & 0xffff))
        enterFromCache()
    }
}
