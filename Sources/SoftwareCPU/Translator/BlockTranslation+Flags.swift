internal import CEngine
internal import X86

// Where the guest's arithmetic flags are while a block is translated.

extension BlockTranslation {
    typealias FlagSet = Form.FlagSet

    /// The guest's flags into the host's, those at least that are asked for. Clobbers R11.
    mutating func requireFlags(_ flags: FlagSet = .all) {
        if hostFlags.isSuperset(of: flags) { return }
        if flags == .carry, loadCarry() {
            hostFlags = .carry
            return
        }
        if let source = flagPlace.source {
            source.emit(&assembler)
        } else {
            SharedRoutines.restoreFlags(&assembler)
        }
        hostFlags = .all
    }

    /// The flags will have to be computed behind the current instruction's probe, if it has one.
    func mustCompute(_ flags: FlagSet) -> Bool {
        if case .member = role { return !hostFlags.isSuperset(of: flags) }
        return !flags.isEmpty
    }

    /// The carry alone, where one instruction brings it.
    private mutating func loadCarry() -> Bool {
        if let carrySlot {
            SharedRoutines.loadCarry(&assembler, slot: carrySlot)
            return true
        }
        if flagPlace == .state {
            SharedRoutines.loadCarry(&assembler)
            return true
        }
        guard let slot = flagPlace.source?.slotOfCarryOut else { return false }
        SharedRoutines.loadCarry(&assembler, slot: slot)
        return true
    }

    /// The guest's flags into `CPUState`. Clobbers R10 and R11.
    mutating func saveFlags() {
        guard flagPlace.isPending else { return }
        requireFlags()
        SharedRoutines.saveFlags(&assembler)
        flagPlace = .state
        carrySlot = nil
    }

    /// Before an instruction: keeps what it would lose of earlier flags and somebody still wants.
    /// The result is what has to be in the host's flags when it is carried out.
    mutating func prepareFlags(
        for instruction: Instruction, _ use: FlagUse, _ behind: FlagDemand
    ) -> FlagSet {
        nextSource = nil
        if case .pending(nil) = flagPlace, use.observes, carrySlot == nil { saveFlags() }
        if use.observes { keepCarryOut() }
        // What its slow path writes down.
        pathSource = flagPlace.source
        if use.touches.isEmpty {
            keepFlags(for: instruction, use, behind)
            return use.reads
        }
        var kept = behind
        kept.remove(use.replaces)
        var required = use.reads
        if !kept.all.isEmpty || Self.isStep(instruction) {
            nextSource = composed(instruction, kept)
            if nextSource == nil { required.formUnion(kept.all) }
        } else if instruction.mnemonic == .adc || instruction.mnemonic == .sbb {
            keepCarryIn(instruction, behind)
        }
        return required
    }

    /// Behind an instruction that `prepareFlags` has been called for.
    mutating func changeFlags(_ instruction: Instruction, _ use: FlagUse, _ behind: FlagDemand) {
        if use.touches.isEmpty { return }
        hostFlags.formUnion(use.replaces)
        carrySlot = nil
        let isDefined = instruction.mnemonic != .div && instruction.mnemonic != .idiv
        guard !behind.all.isEmpty, isDefined else {
            flagPlace = .state
            return
        }
        var kept = behind
        kept.remove(use.replaces)
        if let nextSource {
            flagPlace = .pending(nextSource)
        } else if kept.all.isEmpty {
            flagPlace = .pending(
                FlagSource(instruction, carrySlot: nil) ?? FlagSource(product: instruction))
        } else {
            flagPlace = .pending(nil)
        }
    }

    // MARK: -

    private static func isStep(_ instruction: Instruction) -> Bool {
        instruction.mnemonic == .inc || instruction.mnemonic == .dec
    }

    /// A slot that nobody needs now.
    private var freeSlot: Int {
        (carrySlot ?? flagPlace.source?.carrySlot) == 0 ? 1 : 0
    }

    /// The carry that is in the host's flags, into a slot.
    private mutating func storeCarry() -> Int {
        let slot = freeSlot
        SharedRoutines.storeCarry(&assembler, slot: slot)
        return slot
    }

    /// A source whose carry is in the host's flags alone gets it into a slot.
    private mutating func keepCarryOut() {
        guard var source = flagPlace.source, source.lacksCarry else { return }
        source.keepCarry(in: storeCarry())
        flagPlace = .pending(source)
    }

    /// Before an instruction that leaves the flags alone but may change what they are computed from,
    /// or lose those of the host.
    private mutating func keepFlags(
        for instruction: Instruction, _ use: FlagUse, _ behind: FlagDemand
    ) {
        guard var source = flagPlace.source,
            source.registers & instruction.changedRegisters != 0
        else { return }
        // It looks at them itself, behind its probe if it has one.
        let looksLate = use.observes && !use.reads.isEmpty
        if looksLate, behind.all.isEmpty { return }
        if !looksLate { requireFlags(use.reads) }
        if behind.all.isEmpty {
            flagPlace = .state
        } else if !behind.savers.isEmpty {
            // They have to go there anyway.
            saveFlags()
            pathSource = nil
        } else if !looksLate, behind.observers.isEmpty, behind.readers == .carry {
            requireFlags(.carry)
            if use.observes { carrySlot = storeCarry() }
            flagPlace = .pending(nil)
        } else if source.keep(instruction.changedRegisters, &assembler) {
            flagPlace = .pending(source)
            pathSource = source
        } else {
            saveFlags()
            pathSource = nil
        }
    }

    /// The flags behind an instruction that changes some of them, as a computation.
    private mutating func composed(_ instruction: Instruction, _ kept: FlagDemand) -> FlagSource? {
        if Self.isStep(instruction) {
            if kept.all.isEmpty { return FlagSource(step: instruction, carrySlot: nil) }
            // Who looks at the carry has it in the host's flags; only a slow path would not.
            guard !kept.observers.isEmpty,
                FlagSource(step: instruction, carrySlot: nil) != nil
            else { return nil }
            if flagPlace == .state { return FlagSource(step: instruction, carrySlot: nil) }
            if let carrySlot { return FlagSource(step: instruction, carrySlot: carrySlot) }
            requireFlags(.carry)
            return FlagSource(step: instruction, carrySlot: storeCarry())
        }
        if kept.observers.isEmpty { return nil }
        if case .pending(nil) = flagPlace { return nil }
        guard FlagSource(rotation: instruction, behind: flagPlace.source) != nil else { return nil }
        keepCarryOut()
        return FlagSource(rotation: instruction, behind: flagPlace.source)
    }

    /// The carry that goes into ADC or SBB: with it the flags behind can be had again.
    private mutating func keepCarryIn(_ instruction: Instruction, _ behind: FlagDemand) {
        if behind.observers.isEmpty { return }
        guard let source = FlagSource(instruction, carrySlot: 0) else { return }
        guard source.needsCarryIn else {
            nextSource = source
            return
        }
        requireFlags(.carry)
        nextSource = FlagSource(instruction, carrySlot: carrySlot ?? storeCarry())
    }
}

extension FlagSource {
    /// The slot with the carry behind the instruction, where one has it.
    var slotOfCarryOut: Int? {
        guard let computation, rotations.count == 0 else { return nil }
        switch computation.kind {
        case .shiftLeft, .shiftRight, .shiftArithmetic, .multiply, .increment, .decrement:
            return computation.carrySlot
        default: return nil
        }
    }

    /// It computes with the carry before the instruction.
    var needsCarryIn: Bool {
        computation?.kind == .addCarry || computation?.kind == .subtractBorrow
    }
}
