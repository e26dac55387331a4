internal import CEngine
internal import GuestMemory
internal import VirtualCPU

// Architectural state as a value, in and out.

private func copyIn<T>(_ values: [T], count: Int, to target: UnsafeMutableRawPointer) {
    for index in 0..<min(count, values.count) {
        unsafe target.storeBytes(
            of: values[index], toByteOffset: index &* MemoryLayout<T>.stride, as: T.self)
    }
}

private func copyOut(_ source: UnsafeRawPointer, count: Int) -> [UInt64] {
    (0..<count).map { unsafe source.load(fromByteOffset: $0 &* 8, as: UInt64.self) }
}

private func segment(_ register: SegmentRegister) -> ArchitecturalState.Segment {
    ArchitecturalState.Segment(
        selector: register.selector, base: register.base, limit: register.limit,
        attributes: register.attributes)
}

private func register(_ segment: ArchitecturalState.Segment) -> SegmentRegister {
    SegmentRegister(
        base: segment.base, limit: segment.limit, selector: segment.selector,
        attributes: segment.attributes)
}

func readState(_ cpu: CPU, _ engine: EngineContext) -> ArchitecturalState {
    var state = ArchitecturalState()
    state.generalPurposeRegisters = (0..<16).map { unsafe cpu.gpr($0) }
    state.rip = unsafe cpu.pointee.rip
    state.rflags = unsafe readFlags(cpu)
    state.es = unsafe segment(cpu.segment(Segment.es))
    state.cs = unsafe segment(cpu.segment(Segment.cs))
    state.ss = unsafe segment(cpu.segment(Segment.ss))
    state.ds = unsafe segment(cpu.segment(Segment.ds))
    state.fs = unsafe segment(cpu.segment(Segment.fs))
    state.gs = unsafe segment(cpu.segment(Segment.gs))
    state.localDescriptorTable = unsafe segment(cpu.pointee.localDescriptorTable)
    state.taskRegister = unsafe segment(cpu.pointee.taskRegister)
    state.gdt.base = unsafe cpu.pointee.gdtBase
    state.gdt.limit = unsafe UInt16(truncatingIfNeeded: cpu.pointee.gdtLimit)
    state.idt.base = unsafe cpu.pointee.idtBase
    state.idt.limit = unsafe UInt16(truncatingIfNeeded: cpu.pointee.idtLimit)
    state.cr0 = unsafe cpu.pointee.cr0
    state.cr2 = unsafe cpu.pointee.cr2
    state.cr3 = unsafe cpu.pointee.cr3
    state.cr4 = unsafe cpu.pointee.cr4
    state.xcr0 = unsafe cpu.pointee.xcr0
    state.debugRegisters = unsafe copyOut(cpu.bytes + CPUOffsets.debugRegisters, count: 8)
    state.modelSpecific.efer = unsafe cpu.pointee.efer
    state.modelSpecific.star = unsafe cpu.pointee.star
    state.modelSpecific.lstar = unsafe cpu.pointee.lstar
    state.modelSpecific.cstar = unsafe cpu.pointee.cstar
    state.modelSpecific.syscallMask = unsafe cpu.pointee.syscallMask
    state.modelSpecific.kernelGSBase = unsafe cpu.pointee.kernelGSBase
    state.modelSpecific.sysenterCS = unsafe cpu.pointee.sysenterCS
    state.modelSpecific.sysenterESP = unsafe cpu.pointee.sysenterESP
    state.modelSpecific.sysenterEIP = unsafe cpu.pointee.sysenterEIP
    state.modelSpecific.pat = unsafe cpu.pointee.pat
    state.modelSpecific.tscAux = unsafe cpu.pointee.tscAux
    state.modelSpecific.tscAdjust = unsafe cpu.pointee.tscAdjust
    state.modelSpecific.tsc = unsafe guestTSC(cpu)
    state.modelSpecific.miscEnable = unsafe cpu.pointee.miscEnable
    state.modelSpecific.xss = unsafe cpu.pointee.xss
    state.modelSpecific.mtrrDefaultType = unsafe cpu.pointee.mtrrDefaultType
    state.modelSpecific.fixedMTRR = unsafe withUnsafePointer(to: &cpu.pointee.fixedMTRR) {
        unsafe copyOut(UnsafeRawPointer($0), count: 11)
    }
    state.modelSpecific.variableMTRR = unsafe withUnsafePointer(to: &cpu.pointee.variableMTRR) {
        unsafe copyOut(UnsafeRawPointer($0), count: 16)
    }
    for index in 0..<16 {
        let vector = unsafe cpu.read(Layout.xmm(index), as: Vector128.self)
        state.vector.low[index] = vector.low
        state.vector.high[index] = vector.high
        let upper = unsafe cpu.read(Layout.upper(index), as: Vector128.self)
        state.vector.upperLow[index] = upper.low
        state.vector.upperHigh[index] = upper.high
    }
    state.vector.mxcsr = unsafe cpu.pointee.mxcsr
    for index in 0..<8 {
        let value = unsafe cpu.read(Layout.st &+ UInt16(index) &* 16, as: X87Register.self)
        state.x87.significand[index] = value.significand
        state.x87.signExponent[index] = value.signExponent
    }
    state.x87.control = unsafe cpu.pointee.x87Control
    state.x87.status = unsafe cpu.pointee.x87Status
    state.x87.tags = unsafe cpu.pointee.x87Tags
    state.x87.opcode = unsafe cpu.pointee.x87Opcode
    state.x87.instructionPointer = unsafe cpu.pointee.x87InstructionPointer
    state.x87.dataPointer = unsafe cpu.pointee.x87DataPointer
    state.x87.instructionSelector = unsafe cpu.pointee.x87InstructionSelector
    state.x87.dataSelector = unsafe cpu.pointee.x87DataSelector
    state.interruptShadow = unsafe cpu.pointee.interruptShadow != 0
    state.nonMaskableInterruptsBlocked = engine.nonMaskableInterruptsBlocked
    state.localAPICIsEnabled = engine.localAPICIsEnabled
    return state
}

func writeState(_ cpu: CPU, _ engine: EngineContext, _ state: ArchitecturalState) {
    engine.undelivered = nil
    unsafe copyIn(state.generalPurposeRegisters, count: 16, to: cpu.bytes)
    unsafe cpu.pointee.rip = state.rip
    unsafe cpu.setSegment(Segment.es, register(state.es))
    unsafe cpu.setSegment(Segment.cs, register(state.cs))
    unsafe cpu.setSegment(Segment.ss, register(state.ss))
    unsafe cpu.setSegment(Segment.ds, register(state.ds))
    unsafe cpu.setSegment(Segment.fs, register(state.fs))
    unsafe cpu.setSegment(Segment.gs, register(state.gs))
    unsafe cpu.pointee.localDescriptorTable = register(state.localDescriptorTable)
    unsafe cpu.pointee.taskRegister = register(state.taskRegister)
    unsafe cpu.pointee.gdtBase = state.gdt.base
    unsafe cpu.pointee.gdtLimit = UInt32(state.gdt.limit)
    unsafe cpu.pointee.idtBase = state.idt.base
    unsafe cpu.pointee.idtLimit = UInt32(state.idt.limit)
    unsafe cpu.pointee.cr0 = state.cr0
    unsafe cpu.pointee.cr2 = state.cr2
    unsafe cpu.pointee.cr3 = state.cr3
    unsafe cpu.pointee.cr4 = state.cr4
    unsafe cpu.pointee.xcr0 = state.xcr0
    unsafe copyIn(state.debugRegisters, count: 8, to: cpu.bytes + CPUOffsets.debugRegisters)
    unsafe cpu.pointee.efer = state.modelSpecific.efer
    unsafe cpu.pointee.star = state.modelSpecific.star
    unsafe cpu.pointee.lstar = state.modelSpecific.lstar
    unsafe cpu.pointee.cstar = state.modelSpecific.cstar
    unsafe cpu.pointee.syscallMask = state.modelSpecific.syscallMask
    unsafe cpu.pointee.kernelGSBase = state.modelSpecific.kernelGSBase
    unsafe cpu.pointee.sysenterCS = state.modelSpecific.sysenterCS
    unsafe cpu.pointee.sysenterESP = state.modelSpecific.sysenterESP
    unsafe cpu.pointee.sysenterEIP = state.modelSpecific.sysenterEIP
    unsafe cpu.pointee.pat = state.modelSpecific.pat
    unsafe cpu.pointee.tscAux = state.modelSpecific.tscAux
    let adjustment = unsafe state.modelSpecific.tscAdjust &- cpu.pointee.tscAdjust
    unsafe cpu.pointee.tscAdjust = state.modelSpecific.tscAdjust
    if state.modelSpecific.tsc == 0 {
        unsafe cpu.pointee.tscOffset = unsafe cpu.pointee.tscOffset &+ adjustment
    } else {
        unsafe cpu.pointee.tscOffset =
            unsafe cpu.pointee.tscOffset &+ (state.modelSpecific.tsc &- guestTSC(cpu))
    }
    unsafe cpu.pointee.miscEnable = state.modelSpecific.miscEnable
    unsafe cpu.pointee.xss = state.modelSpecific.xss
    unsafe cpu.pointee.mtrrDefaultType = state.modelSpecific.mtrrDefaultType
    unsafe withUnsafeMutablePointer(to: &cpu.pointee.fixedMTRR) {
        unsafe copyIn(state.modelSpecific.fixedMTRR, count: 11, to: UnsafeMutableRawPointer($0))
    }
    unsafe withUnsafeMutablePointer(to: &cpu.pointee.variableMTRR) {
        unsafe copyIn(state.modelSpecific.variableMTRR, count: 16, to: UnsafeMutableRawPointer($0))
    }
    for index in 0..<min(16, state.vector.low.count, state.vector.high.count) {
        unsafe cpu.bytes.storeBytes(
            of: Vector128(low: state.vector.low[index], high: state.vector.high[index]),
            toByteOffset: Int(Layout.xmm(index)), as: Vector128.self)
    }
    for index in 0..<min(16, state.vector.upperLow.count, state.vector.upperHigh.count) {
        unsafe cpu.bytes.storeBytes(
            of: Vector128(
                low: state.vector.upperLow[index], high: state.vector.upperHigh[index]),
            toByteOffset: Int(Layout.upper(index)), as: Vector128.self)
    }
    unsafe cpu.pointee.mxcsr = state.vector.mxcsr & 0xffff
    for index in 0..<min(8, state.x87.significand.count, state.x87.signExponent.count) {
        unsafe cpu.bytes.storeBytes(
            of: X87Register(
                significand: state.x87.significand[index],
                signExponent: state.x87.signExponent[index], reserved: (0, 0, 0)),
            toByteOffset: Int(Layout.st) &+ index &* 16, as: X87Register.self)
    }
    unsafe cpu.pointee.x87Control = state.x87.control
    unsafe cpu.pointee.x87Status = state.x87.status
    unsafe cpu.pointee.x87Tags = state.x87.tags
    unsafe cpu.pointee.x87Opcode = state.x87.opcode
    unsafe cpu.pointee.x87InstructionPointer = state.x87.instructionPointer
    unsafe cpu.pointee.x87DataPointer = state.x87.dataPointer
    unsafe cpu.pointee.x87InstructionSelector = state.x87.instructionSelector
    unsafe cpu.pointee.x87DataSelector = state.x87.dataSelector
    unsafe cpu.pointee.interruptShadow = state.interruptShadow ? 1 : 0
    engine.nonMaskableInterruptsBlocked = state.nonMaskableInterruptsBlocked
    engine.localAPICIsEnabled = state.localAPICIsEnabled
    engine.answered = false
    engine.exitAwaits = .nothing
    unsafe cpu.pointee.replayCount = 0
    unsafe cpu.pointee.replayCursor = 0
    unsafe cpu.pointee.stepping = state.interruptShadow ? Stepping.alone : 0
    unsafe cpu.pointee.pendingDebug = 0
    unsafe cpu.pointee.systemFlags = 0
    unsafe writeFlags(cpu, state.rflags)
    unsafe refreshMode(cpu)
    unsafe refreshBreakpoints(cpu)
    unsafe bringPageDirectoryPointers(cpu, engine)
    unsafe flushEverything(cpu)
}

/// Between two runs: their page may be absent.
private func bringPageDirectoryPointers(_ cpu: CPU, _ engine: EngineContext) {
    repeat {
        unsafe cpu.pointee.leaveReason = LeaveReason.none
        unsafe engine.lookAtMemory(cpu) { _ = unsafe reloadPageDirectoryPointers(cpu) }
    } while unsafe cpu.pointee.leaveReason == LeaveReason.fault
        && engine.memory.bring(engine.absentPage)
    unsafe cpu.pointee.leaveReason = LeaveReason.none
}
