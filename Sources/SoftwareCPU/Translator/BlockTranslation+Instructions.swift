internal import CEngine
internal import X86

// The way through a block, and the instructions that are the same on the host.

extension BlockTranslation {
    /// Makes the translation. `page` are the bytes of the page it lies in.
    mutating func translate(_ page: UnsafeRawBufferPointer) -> Entries {
        let kinds = segments.indices.map { number in
            segment = number
            return self.kinds()
        }
        let all = kinds.joined()
        groups = probeGroups(kinds)
        var uses = zip(all, segments.flatMap(\.instructions)).map { $0.flagUse($1) }
        for number in uses.indices {
            // What the group's probe has found cannot miss.
            if case .member = groups.role(number) { uses[number].observes = false }
        }
        let demands = FlagDemand.behind(uses)
        segment = 0
        mark(place(0))
        let entries = begin(
            all.map(\.residency).max() ?? .none,
            usesX87: all.contains { if case .x87 = $0 { true } else { false } })
        emitCodeCheck()
        var number = 0
        for current in segments.indices {
            segment = current
            let isLast = current == segments.count &- 1
            for (place, kind) in kinds[current].enumerated() {
                index = place
                mark(self.place(place))
                role = groups.role(number)
                isGroupLive = groups.isLive(behind: number)
                let use = uses[number]
                let behind = demands[number]
                number &+= 1
                let isEnd = place == count &- 1
                guard let instruction = segments[current].instructions[place], !isHandler(kind)
                else {
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

    private mutating func probeGroups(_ kinds: [[TranslationKind]]) -> ProbeGroups {
        if !usesGroups { return ProbeGroups([]) }
        return ProbeGroups(
            segments.indices.flatMap { number in
                segment = number
                return zip(kinds[number], segments[number].instructions).enumerated().map {
                    index, pair in
                    (
                        pair.1, pair.1.flatMap { groupAccess(pair.0, $0, index) },
                        isHandler(pair.0)
                    )
                }
            })
    }

    private mutating func leaveToInterpreter() {
        writeX87Note()
        saveFlags()
        countExit(segments[segment].instructions[index], .handler)
        exit(to: index)
        finish()
    }

    /// How each instruction of the current block is carried out.
    private func kinds() -> [TranslationKind] {
        segments[segment].instructions.enumerated().map { index, instruction in
            let kind = TranslationKind(
                instruction, vectors: availability, x87: x87Availability, isWide: isWide)
            return isPossible(kind, instruction, index) ? kind : .handler
        }
    }

    private func isHandler(_ kind: TranslationKind) -> Bool {
        if case .handler = kind { true } else { false }
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
        let operands = [instruction.operand0, instruction.operand1, instruction.operand2]
        let hasHighByte = operands.contains {
            if case .register(.highByte, _) = $0 { true } else { false }
        }
        if !hasHighByte { return false }
        if instruction.hasMemoryOperand { return true }
        // The other register may be one that the host keeps above the eighth.
        return operands.contains {
            if case .register(.general, 4) = $0 { true } else { false }
        }
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
        case .nothing, .handler, .conditionalJump, .jump, .call, .ret: break
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
        var pool: [HostRegister] = [.r11, .r10]
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
            pool = [operand.free]
        }
        requireFlags(flags)
        var scratch = ScratchRegisters(free: pool)
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
        for (host, guest) in scratch.held where !Self.replaces(instruction, guest) {
            assembler.load(host, HostLayout.generalRegister(Int(guest)))
        }
        if form.addsRegister {
            emitOpcodeRegister(opcode, instruction, bytes, register)
        } else {
            assembler.instruction(opcode, register: register, place)
        }
        for byte in bytes.immediate { assembler.byte(byte) }
        let written = Self.writtenRegisters(instruction)
        for (host, guest) in scratch.held where written.contains(guest) {
            assembler.store(HostLayout.generalRegister(Int(guest)), host)
        }
    }

    /// Scratch registers that stand for guest registers which stay in `CPUState`.
    struct ScratchRegisters {
        var free: [HostRegister]
        private(set) var held: [(host: HostRegister, guest: UInt8)] = []

        init(free: [HostRegister]) { self.free = free }

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
            if let known = held.first(where: { $0.guest == guest }) { return known.host }
            let host = free.popLast() ?? .r11
            held.append((host, guest))
            return host
        }
    }

    /// Accumulator forms with an immediate, and instructions without operands.
    private mutating func emitImplied(_ opcode: HostOpcode, _ bytes: GuestBytes) {
        if opcode.hasOperandSizePrefix { assembler.byte(0x66) }
        if opcode.isWide { assembler.byte(0x48) }
        if bytes.map != 0 { assembler.byte(0x0f) }
        assembler.byte(bytes.opcode)
        for byte in bytes.immediate { assembler.byte(byte) }
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

    /// General-purpose registers that the instruction names and may change.
    private static func writtenRegisters(_ instruction: Instruction) -> [UInt8] {
        var operands: [Operand] = []
        switch instruction.mnemonic {
        case .cmp, .test, .bt, .mul: break
        case .xchg, .xadd: operands = [instruction.operand0, instruction.operand1]
        default: operands = [instruction.operand0]
        }
        return operands.compactMap {
            if case .register(.general, let number) = $0 { number } else { nil }
        }
    }
}
