internal import CEngine
internal import HostIO

/// The routines that all translations share, at the start of code memory.
///
/// Inside translated code the host's stack holds, above RSP: the address to resume at, the
/// instruction whose handler runs, one word of scratch space, and what groups of accesses found.
struct SharedRoutines {
    /// From the run loop, with the C arguments of a handler. R11: where to go.
    var enter = 0
    /// Back to the run loop. R10: what it goes on with. The guest's registers are in the host's.
    var leave = 0
    /// `call(_:x87:)`.
    private var calls = [0, 0, 0, 0, 0, 0]
    /// Runs the handler of the instruction R10 and goes back to the run loop.
    var callAndLeave = 0
    /// The block R11 may be translated again without groups; back to the run loop with R10.
    var giveUpGroups = 0
    /// Brings the vector registers into the host's and goes on at R11. While an exception is not
    /// masked: back to the run loop with R10.
    var loadVectors = 0
    /// The same for blocks that have them in the host's with all of their 256 bits.
    var loadWideVectors = 0
    /// Brings the x87 state into the host's FPU and goes on at R11. While an exception is not masked:
    /// back to the run loop with R10.
    var loadX87 = 0
    /// The header R10 looks at the budget and the pending events, and decides.
    var poll = 0
    /// Looks the block at the linear address R10 up.
    var lookUp = 0
    /// `recall(write:)`.
    private var recalls = (read: 0, write: 0)
    /// A jump cache entry's block was not translated. R11: the entry.
    var interpret = 0
    /// To be called: what `saveFlags(_:)` emits, for where it is seldom done.
    var saveFlags = 0

    /// Where all of them start: the place in this list is a routine's number in files.
    private(set) var all: [Int] = []

    /// Bytes of the frame below the saved registers.
    private static let frame = UInt8(56 + 8 * ProbeGroups.slotCount)
    static let scratchSlot = HostAddress(base: .rsp, displacement: 16)
    static func groupSlot(_ slot: Int) -> HostAddress {
        HostAddress(base: .rsp, displacement: Int32(truncatingIfNeeded: 24 &+ 8 &* slot))
    }
    private static let groupsEnd = Int32(24 + 8 * ProbeGroups.slotCount)
    /// Operands of a `FlagSource`.
    static func operandSlot(_ slot: Int) -> HostAddress {
        HostAddress(
            base: .rsp, displacement: groupsEnd &+ Int32(truncatingIfNeeded: 8 &* slot))
    }
    /// A byte that is 0 where the carry is set.
    private static func carrySlot(_ slot: Int) -> HostAddress {
        HostAddress(
            base: .rsp, displacement: groupsEnd &+ 16 &+ Int32(truncatingIfNeeded: 8 &* slot))
    }
    private static let resumeSlot = HostAddress(base: .rsp)
    private static let instructionSlot = HostAddress(base: .rsp, displacement: 8)
    private static let saved: [HostRegister] = [.rbx, .rbp, .r12, .r13, .r14, .r15]

    init(_ assembler: inout Assembler) {
        enter = assembler.position
        emitEnter(&assembler)
        assembler.align()
        leave = assembler.position
        emitLeave(&assembler)
        assembler.align()
        for index in calls.indices {
            calls[index] = assembler.position
            let residency = VectorResidency(rawValue: UInt8(index % 3)) ?? .none
            emitCall(&assembler, residency, x87: index >= 3)
            assembler.align()
        }
        callAndLeave = assembler.position
        emitCallAndLeave(&assembler)
        assembler.align()
        giveUpGroups = assembler.position
        emitGiveUpGroups(&assembler)
        assembler.align()
        loadX87 = assembler.position
        emitLoadX87(&assembler)
        assembler.align()
        loadVectors = assembler.position
        emitLoadVectors(&assembler, .narrow)
        assembler.align()
        loadWideVectors = assembler.position
        emitLoadVectors(&assembler, .wide)
        assembler.align()
        poll = assembler.position
        unsafe emitAway(&assembler, to: blockHeader)
        assembler.align()
        lookUp = assembler.position
        assembler.store(HostLayout.field(Int(CPU_OFFSET_RIP)), .r10)
        unsafe emitAway(&assembler, to: lookUpHandler)
        assembler.align()
        interpret = assembler.position
        emitInterpret(&assembler)
        assembler.align()
        recalls.read = assembler.position
        Self.emitRecall(&assembler, write: false)
        assembler.align()
        recalls.write = assembler.position
        Self.emitRecall(&assembler, write: true)
        assembler.align()
        saveFlags = assembler.position
        Self.saveFlags(&assembler)
        assembler.byte(0xc3)
        assembler.align()
        all =
            [enter, leave] + calls
            + [
                callAndLeave, giveUpGroups, loadVectors, loadWideVectors, loadX87, poll, lookUp,
                interpret, recalls.read, recalls.write, saveFlags,
            ]
    }

    /// To be called where a probe has not hit, with the offset of the TLB's entry in R10 and the tag in R11.
    /// ZF: it was displaced, and is in its place again. Changes no register.
    func recall(write: Bool) -> Int { write ? recalls.write : recalls.read }

    /// The block of the jump cache's entry R11 had no translation when the entry was made. Another vCPU
    /// may have made one.
    private func emitInterpret(_ assembler: inout Assembler) {
        assembler.load(.r10, HostLayout.jumpInstruction(.r11))
        let offset = unsafe MemoryLayout<DecodedInstruction>.offset(of: \.destination) ?? 0
        assembler.instruction(
            HostOpcode(0x8b), register: 10,
            .memory(HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: offset))))
        // TEST R10D, R10D.
        assembler.bytes(0x45, 0x85, 0xd2)
        let absent = assembler.jump(.equal)
        assembler.store(Self.scratchSlot, .r11)
        var start: Assembler.Patch = 0
        assembler.loadAddress(.r11, ofCode: &start)
        assembler.bind(start, to: 0)
        assembler.loadAddress(.r10, HostAddress(base: .r10, index: .r11))
        assembler.load(.r11, Self.scratchSlot)
        assembler.store(HostLayout.jumpCode(.r11), .r10)
        jumpRegister(&assembler, .r10)
        assembler.bind(absent)
        assembler.load(.r10, HostLayout.jumpInstruction(.r11))
        assembler.jump(to: leave)
    }

    /// Runs the handler of the instruction R10 and goes on at R11, or back to the run loop. For blocks
    /// that have the vector registers, or the x87 state, in the host's.
    func call(_ residency: VectorResidency, x87: Bool) -> Int {
        calls[Int(residency.rawValue) &+ (x87 ? 3 : 0)]
    }

    private func emitEnter(_ assembler: inout Assembler) {
        for register in Self.saved { push(&assembler, register) }
        // SUB RSP, frame: the stack is a multiple of 16 again.
        assembler.sequence(0x48, 0x83, 0xec, Self.frame)
        assembler.loadAddress(
            HostLayout.state, HostAddress(base: .rdi, displacement: HostLayout.bias))
        loadRegisters(&assembler)
        jumpRegister(&assembler, .r11)
    }

    private func emitLeave(_ assembler: inout Assembler) {
        storeRegisters(&assembler)
        storeVectorsIfResident(&assembler)
        assembler.move(.rax, .r10)
        emitReturn(&assembler)
    }

    private func emitReturn(_ assembler: inout Assembler) {
        assembler.sequence(0x48, 0x83, 0xc4, Self.frame)
        for register in Self.saved.reversed() { pop(&assembler, register) }
        assembler.byte(0xc3)
    }

    /// To a handler with the instruction R10, and back to the run loop with what it returns.
    private func emitAway(_ assembler: inout Assembler, to handler: InstructionHandler) {
        storeRegisters(&assembler)
        storeVectorsIfResident(&assembler)
        arguments(&assembler)
        assembler.move(.rax, constant: unsafe address(of: handler))
        assembler.bytes(0xff, 0xd0)
        emitReturn(&assembler)
    }

    private func emitCallAndLeave(_ assembler: inout Assembler) {
        storeRegisters(&assembler)
        storeVectorsIfResident(&assembler)
        arguments(&assembler)
        assembler.instruction(
            HostOpcode(0xff), register: 2, .memory(HostAddress(base: .r10)))
        emitReturn(&assembler)
    }

    private func emitGiveUpGroups(_ assembler: inout Assembler) {
        storeRegisters(&assembler)
        assembler.store(Self.instructionSlot, .r10)
        storeVectorsIfResident(&assembler)
        assembler.move(.r10, .r11)
        arguments(&assembler)
        assembler.move(.rax, constant: unsafe address(of: groupsMissOften))
        assembler.bytes(0xff, 0xd0)
        assembler.load(.rax, Self.instructionSlot)
        emitReturn(&assembler)
    }

    private func emitCall(
        _ assembler: inout Assembler, _ residency: VectorResidency, x87: Bool
    ) {
        storeRegisters(&assembler)
        assembler.store(Self.resumeSlot, .r11)
        assembler.store(Self.instructionSlot, .r10)
        storeVectorsIfResident(&assembler)
        arguments(&assembler)
        // CALL [R10]: the handler is the first field.
        assembler.instruction(
            HostOpcode(0xff), register: 2, .memory(HostAddress(base: .r10)))
        assembler.load(.r10, Self.instructionSlot)
        unsafe assembler.loadAddress(
            .r11,
            HostAddress(base: .r10, displacement: Int32(MemoryLayout<DecodedInstruction>.stride)))
        assembler.instruction(HostOpcode(0x3b, wide: true), register: 0, .register(11))
        let elsewhere = assembler.jump(.notEqual)
        // The block may have been dropped meanwhile.
        assembler.move(.r10, constant: unsafe address(of: refetch))
        assembler.instruction(
            HostOpcode(0x39, wide: true), register: 10, .memory(HostAddress(base: .rax)))
        let dropped = assembler.jump(.equal)
        var released: Assembler.Patch?
        if x87 {
            assembler.instruction(HostOpcode(0x80), register: 7, .memory(HostLayout.x87Resident))
            assembler.byte(0)
            released = assembler.jump(.equal)
        }
        var unmasked: Assembler.Patch?
        if residency != .none {
            // An unmasked exception is for the interpreter.
            unmasked = testMasks(&assembler, .r10)
            loadVectorRegisters(&assembler, residency)
        }
        loadRegisters(&assembler)
        restoreFlags(&assembler)
        assembler.instruction(HostOpcode(0xff), register: 4, .memory(Self.resumeSlot))
        assembler.bind(elsewhere)
        assembler.bind(dropped)
        if let released { assembler.bind(released) }
        if let unmasked { assembler.bind(unmasked) }
        emitReturn(&assembler)
    }

    private func emitLoadX87(_ assembler: inout Assembler) {
        storeRegisters(&assembler)
        assembler.store(Self.resumeSlot, .r11)
        assembler.store(Self.instructionSlot, .r10)
        storeVectorsIfResident(&assembler)
        arguments(&assembler)
        assembler.move(.rax, constant: unsafe address(of: acquireX87))
        assembler.bytes(0xff, 0xd0)
        // TEST RAX, RAX.
        assembler.bytes(0x48, 0x85, 0xc0)
        let unmasked = assembler.jump(.equal)
        loadRegisters(&assembler)
        assembler.instruction(HostOpcode(0xff), register: 4, .memory(Self.resumeSlot))
        assembler.bind(unmasked)
        assembler.load(.rax, Self.instructionSlot)
        emitReturn(&assembler)
    }

    private func emitLoadVectors(_ assembler: inout Assembler, _ residency: VectorResidency) {
        push(&assembler, .rax)
        // The state register is not moved by the push.
        assembler.instruction(HostOpcode(0x8b), register: 0, .memory(HostLayout.mxcsr))
        assembler.bytes(0xf7, 0xd0)
        assembler.byte(0xa9)
        assembler.integer32(0x1f80)
        pop(&assembler, .rax)
        assembler.bind(assembler.jump(.notEqual), to: leave)
        // Half of them may be there.
        if residency == .wide { storeVectorsIfResident(&assembler) }
        loadVectorRegisters(&assembler, residency)
        jumpRegister(&assembler, .r11)
    }

    /// Leaves by the patch that is returned when the guest does not mask all exceptions.
    private func testMasks(
        _ assembler: inout Assembler, _ scratch: HostRegister
    ) -> Assembler.Patch {
        assembler.instruction(
            HostOpcode(0x8b), register: scratch.number, .memory(HostLayout.mxcsr))
        assembler.instruction(HostOpcode(0xf7), register: 2, .register(scratch.number))
        assembler.instruction(HostOpcode(0xf7), register: 0, .register(scratch.number))
        assembler.integer32(0x1f80)
        return assembler.jump(.notEqual)
    }

    private func loadVectorRegisters(
        _ assembler: inout Assembler, _ residency: VectorResidency
    ) {
        for number in 0..<16 {
            assembler.instruction(
                HostOpcode(0x28, map: 1), register: UInt8(number),
                .memory(HostLayout.vectorRegister(number)))
        }
        if residency == .wide {
            for number in 0..<16 { assembler.insertUpper(UInt8(number)) }
        }
        // MOV DWORD, residency.
        assembler.instruction(HostOpcode(0xc7), register: 0, .memory(HostLayout.vectorsResident))
        assembler.integer32(Int32(residency.rawValue))
    }

    private func storeVectorsIfResident(_ assembler: inout Assembler) {
        assembler.instruction(HostOpcode(0x83), register: 7, .memory(HostLayout.vectorsResident))
        assembler.byte(0)
        let absent = assembler.jump(.equal)
        for number in 0..<16 {
            assembler.instruction(
                HostOpcode(0x29, map: 1), register: UInt8(number),
                .memory(HostLayout.vectorRegister(number)))
        }
        assembler.instruction(HostOpcode(0x83), register: 7, .memory(HostLayout.vectorsResident))
        assembler.byte(VectorResidency.wide.rawValue)
        let isNarrow = assembler.jump(.notEqual)
        for number in 0..<16 { assembler.extractUpper(UInt8(number)) }
        assembler.zeroUpper()
        assembler.bind(isNarrow)
        assembler.instruction(HostOpcode(0xc7), register: 0, .memory(HostLayout.vectorsResident))
        assembler.integer32(0)
        assembler.bind(absent)
    }

    private func loadRegisters(_ assembler: inout Assembler) {
        for (guest, host) in HostLayout.residents {
            assembler.load(host, HostLayout.generalRegister(guest))
        }
    }

    private func storeRegisters(_ assembler: inout Assembler) {
        for (guest, host) in HostLayout.residents {
            assembler.store(HostLayout.generalRegister(guest), host)
        }
    }

    /// The arguments of a handler: the state, and the instruction R10.
    private func arguments(_ assembler: inout Assembler) {
        assembler.loadAddress(
            .rdi, HostAddress(base: HostLayout.state, displacement: -HostLayout.bias))
        assembler.move(.rsi, .r10)
    }

    /// The guest's arithmetic flags into the host's, by way of R11.
    private func restoreFlags(_ assembler: inout Assembler) {
        Self.restoreFlags(&assembler)
    }

    static func restoreFlags(_ assembler: inout Assembler) {
        assembler.move(.r11, .rax)
        assembler.instruction(HostOpcode(0x8b), register: 0, .memory(HostLayout.statusFlags))
        // ADD AL, 0x7f sets OF from bit 0; SAHF the others.
        assembler.bytes(0x04, 0x7f, 0x9e)
        assembler.move(.rax, .r11)
    }

    /// The host's arithmetic flags into the guest's, by way of R10.
    static func saveFlags(_ assembler: inout Assembler) {
        assembler.move(.r10, .rax)
        // LAHF; SETO AL; MOVZX EAX, AX.
        assembler.byte(0x9f)
        assembler.bytes(0x0f, 0x90, 0xc0)
        assembler.bytes(0x0f, 0xb7, 0xc0)
        assembler.store(HostLayout.statusFlags, .rax)
        assembler.move(.rax, .r10)
    }

    /// CF from the guest's flags in `CPUState`: BT DWORD, 8.
    static func loadCarry(_ assembler: inout Assembler) {
        assembler.instruction(
            HostOpcode(0xba, map: 1), register: 4, .memory(HostLayout.statusFlags))
        assembler.byte(8)
    }

    /// CF from a slot: CMP BYTE, 1.
    static func loadCarry(_ assembler: inout Assembler, slot: Int) {
        assembler.instruction(HostOpcode(0x80), register: 7, .memory(carrySlot(slot)))
        assembler.byte(1)
    }

    /// CF into a slot: SETNC.
    static func storeCarry(_ assembler: inout Assembler, slot: Int) {
        assembler.instruction(HostOpcode(0x93, map: 1), register: 0, .memory(carrySlot(slot)))
    }

    private func push(_ assembler: inout Assembler, _ register: HostRegister) {
        if register.number >= 8 { assembler.byte(0x41) }
        assembler.byte(0x50 | register.number & 7)
    }

    private func pop(_ assembler: inout Assembler, _ register: HostRegister) {
        if register.number >= 8 { assembler.byte(0x41) }
        assembler.byte(0x58 | register.number & 7)
    }

    private func jumpRegister(_ assembler: inout Assembler, _ register: HostRegister) {
        assembler.instruction(HostOpcode(0xff), register: 4, .register(register.number))
    }
}

/// The address of a handler's code.
func address(of handler: InstructionHandler) -> UInt64 {
    unsafe UInt64(UInt(bitPattern: unsafeBitCast(handler, to: UnsafeRawPointer.self)))
}

/// `x87_acquire` with the shape of a handler. Nil: it cannot be done.
private let acquireX87: InstructionHandler = { cpu, op in
    unsafe x87_acquire(cpu) != 0 ? op : nil
}

/// The groups of a block's translation have missed as often as `DecodedInstruction.usesGroups` says.
private let groupsMissOften: InstructionHandler = { cpu, op in
    // As in `translateBlock`.
    let control = vector_host_mxcsr()
    let engine = unsafe context(cpu)
    engine.cache.contents.withLock { _ in
        unsafe engine.code.translator?.groupsMissOften(UnsafeMutablePointer(mutating: op))
    }
    vector_set_host_mxcsr(control)
    return unsafe op
}

/// `lookUpBlock` with the shape of a handler.
private let lookUpHandler: InstructionHandler = { cpu, _ in unsafe lookUpBlock(cpu) }
