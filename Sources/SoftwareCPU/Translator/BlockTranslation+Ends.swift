internal import CEngine

// What stands behind the instructions of a translation: slow paths and ways out.

extension BlockTranslation {
    /// After the instructions: slow paths and exits.
    mutating func finish() {
        segment = 0
        isPaid = false
        mark(place(0))
        assembler.bind(spent)
        addToBudget(prepaid)
        assembler.bind(pending)
        loadInstruction(.r10, 0, of: 0)
        assembler.jump(to: routines.poll)
        if let x87Load { emitLoad(x87Load.patch, x87Load.resume, routines.loadX87) }
        if let vectorLoad {
            emitLoad(
                vectorLoad.patch, vectorLoad.resume,
                residency == .wide ? routines.loadWideVectors : routines.loadVectors)
        }
        emitCodeChange()
        for exit in sideExits { emit(exit) }
        isPaid = false
        for path in slowPaths {
            mark(path.place)
            bind(path.misses)
            if let source = path.flags {
                source.emit(&assembler)
                assembler.call(to: routines.saveFlags)
            }
            segment = path.place.segment
            if let note = path.x87Note { emit(note) }
            countExit(instruction(path.place), path.isHandler ? .handler : .slowPath)
            setInstruction(path.place)
            switch path.way {
            case .resume(let position):
                emitVisit(to: routines.call(residency, x87: usesX87), resumingAt: position)
            case .interpret: emitLeave(by: routines.callAndLeave)
            case .leave: emitLeave(by: routines.leave, countsMiss: true)
            }
        }
        for (misses, exit, isPaid) in exits {
            bind(misses)
            self.isPaid = isPaid
            switch exit {
            case .instruction(let place):
                mark(place)
                segment = place.segment
                setInstruction(place)
                emitLeave(by: routines.leave)
            case .lookUp(let offset, let from):
                segment = from
                assembler.load(.r10, HostLayout.codePage)
                assembler.loadAddress(
                    .r10,
                    HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: offset)))
                emitLeave(by: routines.lookUp)
            }
        }
    }

    /// At the block's entry: brings state into the host's registers.
    private mutating func emitLoad(_ patch: Assembler.Patch, _ resume: Int, _ routine: Int) {
        assembler.bind(patch)
        setInstruction(place(0))
        emitVisit(to: routine, resumingAt: resume)
    }

    /// To a routine that goes on in the translation, which pays at its end.
    private mutating func emitVisit(to routine: Int, resumingAt position: Int) {
        let known = knownWay(to: routine, countsMiss: false)
        let call = assembler.call()
        addToBudget(due)
        assembler.jump(to: position)
        if let known { return assembler.bind(call, to: known) }
        assembler.bind(call)
        emitWay(to: routine, countsMiss: false)
        // POP R11: behind the call, which no RET belongs to.
        assembler.bytes(0x41, 0x5b)
        assembler.jump(to: routine)
    }

    /// To a routine that does not come back.
    private mutating func emitLeave(by routine: Int, countsMiss: Bool = false) {
        if let known = knownWay(to: routine, countsMiss: countsMiss) {
            return assembler.jump(to: known)
        }
        emitWay(to: routine, countsMiss: countsMiss)
        assembler.jump(to: routine)
    }

    private mutating func emit(_ exit: SideExit) {
        assembler.bind(exit.patch)
        if exit.savesFlags { SharedRoutines.saveFlags(&assembler) }
        segment = exit.segment
        mark(place(exit.index))
        if let note = exit.x87Note { emit(note) }
        isPaid = false
        pay()
        index = exit.index
        leaveBlock(to: exit.target)
    }

    private func knownWay(to routine: Int, countsMiss: Bool) -> Int? {
        ways.first {
            $0.segment == segment && $0.routine == routine && $0.countsMiss == countsMiss
                && $0.isPaid == isPaid
        }?.start
    }

    /// What is done on the way to a routine: the blocks are paid for, and the header of the current one
    /// goes to `CPUState.block`. Emitted once for each; R10 stays.
    private mutating func emitWay(to routine: Int, countsMiss: Bool) {
        ways.append(
            Way(
                segment: segment, routine: routine, countsMiss: countsMiss, isPaid: isPaid,
                start: assembler.position))
        loadInstruction(.r11, 0, of: segment)
        assembler.store(HostLayout.block, .r11)
        let wasPaid = isPaid
        pay()
        isPaid = wasPaid
        if countsMiss { emitCountingMiss() }
    }

    /// Groups whose probe misses too often are given up: the translation's header counts.
    private mutating func emitCountingMiss() {
        if segment > 0 { loadInstruction(.r11, 0, of: 0) }
        // SUB BYTE, 1.
        let count = unsafe UnsafeMutablePointer<DecodedInstruction>.missesOffset ?? 0
        assembler.instruction(
            HostOpcode(0x80), register: 5,
            .memory(HostAddress(base: .r11, displacement: Int32(truncatingIfNeeded: count))))
        assembler.byte(1)
        assembler.bind(assembler.jump(.equal), to: routines.giveUpGroups)
    }

    private mutating func setInstruction(_ place: Place) {
        let index = unsafe place.op - segments[place.segment].header
        loadInstruction(.r10, index, of: place.segment)
    }
}
