internal import CEngine
internal import X86

// The way through a block, and the instructions that are the same on the host.

extension BlockTranslation {
    /// Makes the translation. `page` are the bytes of the page it lies in.
    mutating func translate(_ page: UnsafeRawBufferPointer) -> Entries {
        let (residency, usesX87) = choose()
        segment = 0
        mark(place(0))
        let entries = begin(residency, usesX87: usesX87)
        emitCodeCheck()
        for current in segments.indices {
            segment = current
            let isLast = current == segments.count &- 1
            for place in 0..<count {
                index = place
                mark(self.place(place))
                let number = segments[current].first &+ place
                let kind = kinds[number]
                role = groups.role(number)
                isGroupLive = groups.isLive(behind: number)
                let use = uses[number]
                let behind = demands[number]
                let isEnd = place == count &- 1
                guard let instruction = instructions[number], !kind.isHandler else {
                    handlerCount += 1
                    if isEnd {
                        leaveToInterpreter()
                        return entries
                    }
                    callHandler()
                    continue
                }
                if kind.endsBlock {
                    if isEnd, !isLast {
                        emitInnerTransfer(kind, instruction)
                        continue
                    }
                    emitTransfer(kind, instruction)
                    finish()
                    return entries
                }
                let start = Int(unsafe op(place).pointee.pageOffset)
                let bytes = unsafe GuestBytes(
                    UnsafeRawBufferPointer(rebasing: page[min(start, page.count)...]), instruction)
                let required = prepareFlags(for: instruction, use, behind)
                emit(kind, instruction, bytes, flags: required)
                endMisses()
                changeFlags(instruction, use, behind)
            }
        }
        index = count
        emitFallThrough()
        finish()
        return entries
    }

    /// Decides about each instruction of the translation before any is made, and says what the
    /// entries have to bring into the host's registers.
    private mutating func choose() -> (VectorResidency, usesX87: Bool) {
        var residency = VectorResidency.none
        var usesX87 = false
        kinds.removeAll(keepingCapacity: true)
        uses.removeAll(keepingCapacity: true)
        groups.begin()
        for current in segments.indices {
            segment = current
            for place in 0..<count {
                let instruction = instructions[segments[current].first &+ place]
                var kind = TranslationKind(
                    instruction, vectors: availability, x87: x87Availability, isWide: isWide)
                if !isPossible(kind, instruction, place) { kind = .handler }
                residency = max(residency, kind.residency)
                if case .x87 = kind { usesX87 = true }
                kinds.append(kind)
                uses.append(kind.flagUse(instruction))
                guard usesGroups else { continue }
                groups.add(
                    instruction, instruction.flatMap { groupAccess(kind, $0, place) },
                    isBarrier: kind.isHandler)
            }
        }
        groups.end()
        for number in uses.indices where groups.isMember(number) {
            // What the group's probe has found cannot miss.
            uses[number].observes = false
        }
        FlagDemand.find(behind: uses, &demands)
        return (residency, usesX87)
    }

    private mutating func leaveToInterpreter() {
        writeX87Note()
        saveFlags()
        countExit(instructions[segments[segment].first &+ index], .handler)
        exit(to: index)
        finish()
    }

    /// The encoding of the host can say it.
    private func isPossible(
        _ kind: TranslationKind, _ instruction: Instruction?, _ index: Int
    ) -> Bool {
        guard let instruction else { return false }
        if case .nothing = kind { return true }
        if instruction.form.isVEX, !hasScratch(for: instruction) { return false }
        let offset = Int(unsafe op(index).pointee.pageOffset)
        if instruction.hasMemoryOperand {
            guard let access = GuestAccess(instruction, pageOffset: offset) else { return false }
            if case .loadAddress = kind { return true }
            if access.byteCount == 0 { return false }
        }
        return !hasConflictingHighByte(instruction)
    }

    /// AH to BH go without a REX prefix only.
    private func hasConflictingHighByte(_ instruction: Instruction) -> Bool {
        func isHighByte(_ operand: Operand) -> Bool {
            if case .register(.highByte, _) = operand { true } else { false }
        }
        guard
            isHighByte(instruction.operand0) || isHighByte(instruction.operand1)
                || isHighByte(instruction.operand2)
        else { return false }
        if instruction.hasMemoryOperand { return true }
        // The other register may be one that the host keeps above the eighth.
        let stackPointer = Operand.register(.general, 4)
        return instruction.operand0 == stackPointer || instruction.operand1 == stackPointer
            || instruction.operand2 == stackPointer
    }

    private mutating func emit(
        _ kind: TranslationKind, _ instruction: Instruction, _ bytes: GuestBytes, flags: FlagSet
    ) {
        switch kind {
        case .x87: emitX87(instruction, bytes, flags: flags)
        case .same, .vector: emitSame(instruction, bytes, flags: flags)
        case .vex, .wideVector: emitVEX(instruction, bytes)
        case .loadAddress: emitLoadAddress(instruction)
        case .push: emitPush(instruction)
        case .pop: emitPop(instruction)
        case .leave: emitLeave()
        case .divide: emitDivide(instruction, bytes)
        case .nothing, .handler, .conditionalJump, .counterJump, .jump, .call, .ret: break
        }
    }

    // MARK: The same on the host

    private mutating func emitSame(
        _ instruction: Instruction, _ bytes: GuestBytes, flags: FlagSet
    ) {
        let form = instruction.form
        var opcode = HostOpcode(bytes.opcode, map: bytes.map, wide: bytes.isWide)
        opcode.hasOperandSizePrefix =
            form.mandatoryPrefix == 2
            || bytes.hasOperandSizePrefix && !(form.mandatoryPrefix == 1)
        if form.mandatoryPrefix == 3 { opcode.repeatPrefix = 0xf3 }
        if form.mandatoryPrefix == 4 { opcode.repeatPrefix = 0xf2 }
        opcode.isLocked = instruction.prefixes.contains(.lock)
        guard form.hasModRM || form.addsRegister else {
            requireFlags(flags)
            emitImplied(opcode, bytes)
            return
        }
        if let operand = Self.stateOperand(instruction, bytes) {
            requireFlags(flags)
            emit(operand, opcode, bytes)
            return
        }
        var scratch = ScratchRegisters(.r10, .r11)
        var place = HostPlace.register(0)
        if instruction.hasMemoryOperand {
            guard let access = access(instruction) else { return }
            let isAtomic = opcode.isLocked || instruction.mnemonic == .xchg
            let needsAlignment = looksAtAddress(Self.needsAlignment(instruction) ? 16 : 0)
            let operand = probe(
                access, write: Self.writesMemory(instruction),
                inFirst: mustCompute(flags) || needsAlignment || isAtomic)
            if needsAlignment { requireAlignment(.r10) }
            if isAtomic, access.byteCount > 1 { requireOneLine(access.byteCount) }
            place = .memory(operand.address)
            scratch = ScratchRegisters(operand.free)
        }
        requireFlags(flags)
        var register = (bytes.modRM &>> 3) & 7
        switch form.registerField {
        case .general:
            register = scratch.number(
                bytes.register, isByte: form.hasByteRegisterField, bytes, &opcode)
        case .some: register = bytes.register
        case nil: break
        }
        if form.addsRegister {
            let isByte = bytes.map == 0 && bytes.opcode & 0xf8 == 0xb0
            register = scratch.number(bytes.opcodeRegister, isByte: isByte, bytes, &opcode)
        } else if !instruction.hasMemoryOperand {
            place = .register(
                form.registerOrMemoryField == .general
                    ? scratch.number(
                        bytes.registerOrMemory, isByte: form.hasByteRegisterOrMemoryField, bytes,
                        &opcode)
                    : bytes.registerOrMemory)
        }
        var loaded: UInt16 = 0xffff
        let target = instruction.operand0.generalRegister
        if target != 0, Self.replaces(instruction, UInt8(target.trailingZeroBitCount)) {
            loaded &= ~target
        }
        scratch.load(loaded, &assembler)
        if form.addsRegister {
            emitOpcodeRegister(opcode, instruction, bytes, register)
        } else {
            assembler.instruction(opcode, register: register, place)
        }
        assembler.immediate(of: bytes)
        scratch.store(Self.writtenRegisters(instruction), &assembler)
    }

    /// Scratch registers that stand for guest registers which stay in `CPUState`.
    struct ScratchRegisters {
        private let first: HostRegister
        private let second: HostRegister
        /// The guest registers they stand for, in this order.
        private var firstGuest: UInt8?
        private var secondGuest: UInt8?

        /// Two different guest registers have to share the only one, where there is no second.
        init(_ first: HostRegister, _ second: HostRegister? = nil) {
            self.first = first
            self.second = second ?? .r11
        }

        /// Brings those of the guest registers that are held.
        func load(_ guests: UInt16, _ assembler: inout Assembler) {
            if let firstGuest, guests & 1 &<< UInt16(firstGuest) != 0 {
                assembler.load(first, HostLayout.generalRegister(Int(firstGuest)))
            }
            if let secondGuest, guests & 1 &<< UInt16(secondGuest) != 0 {
                assembler.load(second, HostLayout.generalRegister(Int(secondGuest)))
            }
        }

        /// Takes those of the guest registers back that are held.
        func store(_ guests: UInt16, _ assembler: inout Assembler) {
            if let firstGuest, guests & 1 &<< UInt16(firstGuest) != 0 {
                assembler.store(HostLayout.generalRegister(Int(firstGuest)), first)
            }
            if let secondGuest, guests & 1 &<< UInt16(secondGuest) != 0 {
                assembler.store(HostLayout.generalRegister(Int(secondGuest)), second)
            }
        }

        /// The host's number of a general-purpose register operand.
        mutating func number(_ guest: UInt8) -> UInt8 { host(guest).number }

        /// The same of one that may be a byte register.
        mutating func number(
            _ guest: UInt8, isByte: Bool, _ bytes: GuestBytes, _ opcode: inout HostOpcode
        ) -> UInt8 {
            // AH to BH.
            if isByte, bytes.rex == 0, guest >= 4, guest < 8 { return guest }
            let host = host(guest).number
            if isByte, host >= 4 { opcode.needsREX = true }
            return host
        }

        private mutating func host(_ guest: UInt8) -> HostRegister {
            if let host = HostLayout.host(guest) { return host }
            if firstGuest == nil || firstGuest == guest {
                firstGuest = guest
                return first
            }
            secondGuest = guest
            return second
        }
    }

    /// Accumulator forms with an immediate, and instructions without operands.
    private mutating func emitImplied(_ opcode: HostOpcode, _ bytes: GuestBytes) {
        if opcode.hasOperandSizePrefix { assembler.byte(0x66) }
        if opcode.isWide { assembler.byte(0x48) }
        if bytes.map != 0 { assembler.byte(0x0f) }
        assembler.byte(bytes.opcode)
        assembler.immediate(of: bytes)
    }

    /// The register is in the opcode: BSWAP, MOV of an immediate, XCHG with the accumulator.
    private mutating func emitOpcodeRegister(
        _ opcode: HostOpcode, _ instruction: Instruction, _ bytes: GuestBytes, _ host: UInt8
    ) {
        if instruction.mnemonic == .xchg {
            var exchange = opcode
            exchange.opcode = 0x87
            assembler.instruction(exchange, register: 0, .register(host))
            return
        }
        if opcode.hasOperandSizePrefix { assembler.byte(0x66) }
        let rex = (opcode.isWide ? 8 : 0) | (host & 8) &>> 3
        if rex != 0 || opcode.needsREX { assembler.byte(0x40 | rex) }
        if bytes.map != 0 { assembler.byte(0x0f) }
        assembler.byte(bytes.opcode & 0xf8 | host & 7)
    }

    /// The memory operand of the current instruction.
    func access(_ instruction: Instruction) -> GuestAccess? {
        GuestAccess(instruction, pageOffset: Int(unsafe op(index).pointee.pageOffset))
    }

    /// The memory operand is written.
    static func writesMemory(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .cmp, .test, .bt, .mul, .div, .idiv: return false
        case .imul: return false
        case .xchg, .xadd, .cmpxchg: return true
        default: return instruction.operand0 == .memory
        }
    }

    /// A vector operand that raises #GP unless it is a multiple of 16.
    static func needsAlignment(_ instruction: Instruction) -> Bool {
        guard instruction.memory.byteCount == 16 else { return false }
        switch instruction.mnemonic {
        case .movups, .movupd, .movdqu, .lddqu, .pcmpestri, .pcmpestrm, .pcmpistri, .pcmpistrm:
            return false
        default: return true
        }
    }

    /// General-purpose registers that the instruction names and may change, one bit each.
    private static func writtenRegisters(_ instruction: Instruction) -> UInt16 {
        switch instruction.mnemonic {
        case .cmp, .test, .bt, .mul: 0
        case .xchg, .xadd:
            instruction.operand0.generalRegister | instruction.operand1.generalRegister
        default: instruction.operand0.generalRegister
        }
    }
}
