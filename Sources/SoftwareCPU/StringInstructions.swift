internal import CEngine
internal import VirtualCPU
internal import Vocabulary

// MOVS, STOS, LODS, SCAS, CMPS, INS, OUTS with REP, REPE, REPNE. Each iteration commits its
// registers, so that a fault, an exit or an interrupt finds the instruction at an iteration's
// boundary. MOVS and STOS in ascending order run a page at a time.
//
// `op.auxiliary` is the element width; `op.scaleShift` 0 none, 1 REP/REPE, 2 REPNE; the address size
// is in `op.flags` (neither bit: 64); `op.segmentBase` is that of the source segment.

/// The address-size mask of RSI, RDI and RCX.
@inline(__always)
private func addressMask(_ op: Op) -> UInt64 {
    let flags = unsafe Int(op.pointee.flags)
    if flags & INSTRUCTION_ADDRESS32 != 0 { return 0xffff_ffff }
    if flags & INSTRUCTION_ADDRESS16 != 0 { return 0xffff }
    return .max
}

@inline(__always)
private func setMasked(_ cpu: CPU, _ register: Int, _ value: UInt64, _ mask: UInt64) {
    switch mask {
    case .max: unsafe cpu.setGPR(register, value)
    case 0xffff_ffff: unsafe cpu.setGPR(register, value & mask)
    default: unsafe cpu.setGPR(register, cpu.gpr(register) & ~0xffff | value & 0xffff)
    }
}

@inline(__always)
private func linear(_ cpu: CPU, _ base: UInt64, _ offset: UInt64) -> UInt64 {
    unsafe cpu.isLongCode ? base &+ offset : (base &+ offset) & legacyAddressMask
}

/// The source, in the segment that the instruction names.
@inline(__always)
private func sourceAddress(_ cpu: CPU, _ op: Op, _ offset: UInt64) -> UInt64 {
    let base = unsafe cpu.read(slot: op.pointee.segmentBase)
    return unsafe linear(cpu, base, offset)
}

/// The destination is always ES:rDI; 64-bit code ignores the base of ES.
@inline(__always)
private func destinationBase(_ cpu: CPU) -> UInt64 {
    unsafe cpu.isLongCode ? 0 : cpu.read(Layout.legacyBase(Segment.es), as: UInt64.self)
}

/// How many iterations may run before pending events are looked at again.
private let iterationsPerPoll: UInt64 = 4096

/// An instruction whose memory operand is in ES: limits and rights of stores are checked there.
private func destinationOp(_ op: Op) -> DecodedInstruction {
    var copy = unsafe op.pointee
    unsafe copy.flags = unsafe copy.flags & 0x0f
    return unsafe copy
}

/// Runs `body` for each iteration until the count is used up, `body` stops it, or time is up.
/// `body` returns nil to leave (fault or exit), false to stop, true to go on.
@inline(__always)
private func iterate(
    _ cpu: CPU, _ op: Op, polling limit: UInt64 = iterationsPerPoll, _ body: (UInt64) -> Bool?
) -> Next {
    let mask = unsafe addressMask(op)
    if unsafe op.pointee.scaleShift == 0 {
        guard body(mask) != nil else { return nil }
        return unsafe op + 1
    }
    var left = unsafe cpu.pointee.stepping & Stepping.trapFollows != 0 ? 1 : limit
    while unsafe cpu.gpr(GPR.rcx) & mask != 0 {
        if left == 0 {
            // The rest after the events have been looked at; RF says that there is a rest.
            if unsafe cpu.pointee.stepping & Stepping.trapFollows != 0
                || cpu.pointee.pendingDebug != 0
            {
                unsafe cpu.pointee.systemFlags |= Flags.resume
            }
            // What an iteration costs even if it changes its own block, which then is paid back.
            unsafe cpu.pointee.budget &-= 1
            return unsafe jump(cpu, to: cpu.instructionPointer(of: op))
        }
        left &-= 1
        guard let goOn = body(mask) else { return nil }
        unsafe setMasked(cpu, GPR.rcx, cpu.gpr(GPR.rcx) &- 1, mask)
        if unsafe cpu.pointee.replayCount != 0 {
            unsafe cpu.pointee.replayCount = 0
            unsafe cpu.pointee.replayCursor = 0
        }
        if !goOn { break }
        // A debug trap comes between iterations.
        if unsafe cpu.pointee.pendingDebug != 0 { left = 0 }
    }
    return unsafe op + 1
}

private func loadElement(_ cpu: CPU, _ op: Op, _ address: UInt64, _ width: UInt64) -> UInt64? {
    switch width {
    case 1: return unsafe load(cpu, op, address, as: UInt8.self).map { UInt64($0) }
    case 2: return unsafe load(cpu, op, address, as: UInt16.self).map { UInt64($0) }
    case 4: return unsafe load(cpu, op, address, as: UInt32.self).map { UInt64($0) }
    default: return unsafe load(cpu, op, address, as: UInt64.self)
    }
}

private func storeElement(
    _ cpu: CPU, _ op: Op, _ address: UInt64, _ value: UInt64, _ width: UInt64
) -> Bool {
    switch width {
    case 1: return unsafe store(cpu, op, address, UInt8(truncatingIfNeeded: value))
    case 2: return unsafe store(cpu, op, address, UInt16(truncatingIfNeeded: value))
    case 4: return unsafe store(cpu, op, address, UInt32(truncatingIfNeeded: value))
    default: return unsafe store(cpu, op, address, value)
    }
}

/// Elements that fit in what is left of the pages of both addresses, ascending only.
@inline(__always)
private func run(_ address: UInt64, _ width: UInt64) -> UInt64 {
    (0x1000 &- (address & 0xfff)) / width
}

enum StringInstruction {
    static let move: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        if unsafe op.pointee.scaleShift != 0, unsafe cpu.pointee.direction > 0,
            unsafe cpu.pointee.stepping & Stepping.trapFollows == 0,
            unsafe addressMask(op) != 0xffff,
            let next = unsafe moveRun(cpu, op, width)
        {
            return unsafe next
        }
        return unsafe iterate(cpu, op, polling: 1) { mask in
            let source = unsafe cpu.gpr(GPR.rsi) & mask
            let target = unsafe cpu.gpr(GPR.rdi) & mask
            guard let value = unsafe loadElement(cpu, op, sourceAddress(cpu, op, source), width)
            else {
                return nil
            }
            if unsafe !storeToES(cpu, op, target, value, width) { return nil }
            unsafe setMasked(cpu, GPR.rsi, source &+ step, mask)
            unsafe setMasked(cpu, GPR.rdi, target &+ step, mask)
            return true
        }
    }

    static let store: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        if unsafe op.pointee.scaleShift != 0, unsafe cpu.pointee.direction > 0,
            unsafe cpu.pointee.stepping & Stepping.trapFollows == 0,
            unsafe addressMask(op) != 0xffff,
            let next = unsafe storeRun(cpu, op, width)
        {
            return unsafe next
        }
        return unsafe iterate(cpu, op, polling: 1) { mask in
            let target = unsafe cpu.gpr(GPR.rdi) & mask
            if unsafe !storeToES(cpu, op, target, cpu.gpr(GPR.rax), width) { return nil }
            unsafe setMasked(cpu, GPR.rdi, target &+ step, mask)
            return true
        }
    }

    static let load: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        return unsafe iterate(cpu, op) { mask in
            let source = unsafe cpu.gpr(GPR.rsi) & mask
            guard let value = unsafe loadElement(cpu, op, sourceAddress(cpu, op, source), width)
            else {
                return nil
            }
            switch width {
            case 1: unsafe cpu.setGPR(GPR.rax, cpu.gpr(GPR.rax) & ~0xff | value)
            case 2: unsafe cpu.setGPR(GPR.rax, cpu.gpr(GPR.rax) & ~0xffff | value)
            default: unsafe cpu.setGPR(GPR.rax, value)
            }
            unsafe setMasked(cpu, GPR.rsi, source &+ step, mask)
            return true
        }
    }

    static let scan: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        let kind = unsafe op.pointee.scaleShift
        return unsafe iterate(cpu, op) { mask in
            let target = unsafe cpu.gpr(GPR.rdi) & mask
            guard let value = unsafe loadFromES(cpu, op, target, width) else { return nil }
            unsafe compareFlags(cpu, cpu.gpr(GPR.rax), value, width)
            unsafe setMasked(cpu, GPR.rdi, target &+ step, mask)
            let equal = unsafe cpu.pointee.statusFlags & 0x4000 != 0
            return kind == 2 ? !equal : equal
        }
    }

    static let compare: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        let kind = unsafe op.pointee.scaleShift
        return unsafe iterate(cpu, op) { mask in
            let source = unsafe cpu.gpr(GPR.rsi) & mask
            let target = unsafe cpu.gpr(GPR.rdi) & mask
            // Processors look at the destination first.
            guard let second = unsafe loadFromES(cpu, op, target, width),
                let first = unsafe loadElement(cpu, op, sourceAddress(cpu, op, source), width)
            else { return nil }
            unsafe compareFlags(cpu, first, second, width)
            unsafe setMasked(cpu, GPR.rsi, source &+ step, mask)
            unsafe setMasked(cpu, GPR.rdi, target &+ step, mask)
            let equal = unsafe cpu.pointee.statusFlags & 0x4000 != 0
            return kind == 2 ? !equal : equal
        }
    }

    static let input: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        // Also with a count of zero.
        let port = unsafe UInt16(truncatingIfNeeded: cpu.gpr(GPR.rdx))
        if unsafe !PortIO.portAllowed(cpu, op, port, Int(width)) { return nil }
        return unsafe iterate(cpu, op) { mask in
            guard let value = unsafe replayedAnswer(cpu) else {
                _ = unsafe leave(
                    cpu, op, with: .portRead(port: PortNumber(port), width: Int(width)),
                    awaiting: .replay)
                return nil
            }
            let target = unsafe cpu.gpr(GPR.rdi) & mask
            if unsafe !storeToES(cpu, op, target, value, width) { return nil }
            unsafe notePortBreakpoints(cpu, port, Int(width))
            unsafe setMasked(cpu, GPR.rdi, target &+ step, mask)
            return true
        }
    }

    static let output: InstructionHandler = { cpu, op in
        let width = unsafe UInt64(op.pointee.auxiliary)
        let step = unsafe UInt64(bitPattern: cpu.pointee.direction) &* width
        // Also with a count of zero.
        let port = unsafe UInt16(truncatingIfNeeded: cpu.gpr(GPR.rdx))
        if unsafe !PortIO.portAllowed(cpu, op, port, Int(width)) { return nil }
        return unsafe iterate(cpu, op) { mask in
            let source = unsafe cpu.gpr(GPR.rsi) & mask
            guard let value = unsafe loadElement(cpu, op, sourceAddress(cpu, op, source), width)
            else {
                return nil
            }
            if unsafe replayedAnswer(cpu) == nil {
                _ = unsafe leave(
                    cpu, op,
                    with: .portWrite(
                        port: PortNumber(port), width: Int(width),
                        value: UInt32(truncatingIfNeeded: value)), awaiting: .replayWrite)
                return nil
            }
            unsafe notePortBreakpoints(cpu, port, Int(width))
            unsafe setMasked(cpu, GPR.rsi, source &+ step, mask)
            return true
        }
    }
}

/// Outside 64-bit code the destination's limit and rights are those of ES.
private func storeToES(
    _ cpu: CPU, _ op: Op, _ offset: UInt64, _ value: UInt64, _ width: UInt64
) -> Bool {
    let address = unsafe linear(cpu, destinationBase(cpu), offset)
    if unsafe _fastPath(cpu.isLongCode) {
        return unsafe storeElement(cpu, op, address, value, width)
    }
    var inES = unsafe destinationOp(op)
    return unsafe withUnsafePointer(to: &inES) {
        unsafe storeElement(cpu, $0, address, value, width)
    }
}

private func loadFromES(_ cpu: CPU, _ op: Op, _ offset: UInt64, _ width: UInt64) -> UInt64? {
    let address = unsafe linear(cpu, destinationBase(cpu), offset)
    if unsafe _fastPath(cpu.isLongCode) { return unsafe loadElement(cpu, op, address, width) }
    var inES = unsafe destinationOp(op)
    return unsafe withUnsafePointer(to: &inES) { unsafe loadElement(cpu, $0, address, width) }
}

/// Flags of CMP.
func compareFlags(_ cpu: CPU, _ a: UInt64, _ b: UInt64, _ width: UInt64) {
    let bits = width &* 8
    let mask: UInt64 = width == 8 ? .max : (1 &<< bits) &- 1
    let first = a & mask
    let second = b & mask
    let result = (first &- second) & mask
    let sign: UInt64 = 1 &<< (bits &- 1)
    var flags: UInt64 = 0x200
    if first < second { flags |= 0x100 }
    if result == 0 { flags |= 0x4000 }
    if result & sign != 0 { flags |= 0x8000 }
    if (first ^ second ^ result) & 0x10 != 0 { flags |= 0x1000 }
    if (result & 0xff).nonzeroBitCount & 1 == 0 { flags |= 0x400 }
    if (first ^ second) & (first ^ result) & sign != 0 { flags |= 1 }
    unsafe cpu.pointee.statusFlags = flags
}

/// One page-bounded run of REP MOVS. Nil: take the element-wise way.
@inline(__always)
private func moveRun(_ cpu: CPU, _ op: Op, _ width: UInt64) -> Next? {
    let mask = unsafe addressMask(op)
    var rounds = 0
    while true {
        let count = unsafe cpu.gpr(GPR.rcx) & mask
        if count == 0 { return unsafe .some(op + 1) }
        if rounds == 64 {
            return unsafe .some(jump(cpu, to: cpu.instructionPointer(of: op)))
        }
        rounds &+= 1
        let source = unsafe cpu.gpr(GPR.rsi) & mask
        let target = unsafe cpu.gpr(GPR.rdi) & mask
        let from = unsafe sourceAddress(cpu, op, source)
        let to = unsafe linear(cpu, destinationBase(cpu), target)
        let elements = min(count, run(from, width), run(to, width))
        let byteCount = elements &* width
        if elements == 0 { return nil }
        let fromEntry = unsafe tlbEntry(cpu, from)
        let toEntry = unsafe tlbEntry(cpu, to)
        let size = Int(truncatingIfNeeded: byteCount)
        guard unsafe fromEntry.pointee.readTag == expectedTag(cpu, from, size),
            unsafe toEntry.pointee.writeTag == expectedTag(cpu, to, size),
            let input = unsafe hostPointer(fromEntry.pointee.addend, from),
            let output = unsafe hostPointer(toEntry.pointee.addend, to)
        else { return nil }
        let distance = UInt(bitPattern: output) &- UInt(bitPattern: input)
        if distance < UInt(byteCount) {
            // Overlap repeats a pattern: byte order of the copy matters.
            for offset in stride(from: 0, to: size, by: Int(width)) {
                unsafe (output + offset).copyMemory(from: input + offset, byteCount: Int(width))
            }
        } else {
            unsafe output.copyMemory(from: input, byteCount: size)
        }
        unsafe setMasked(cpu, GPR.rsi, source &+ byteCount, mask)
        unsafe setMasked(cpu, GPR.rdi, target &+ byteCount, mask)
        unsafe setMasked(cpu, GPR.rcx, count &- elements, mask)
    }
}

@inline(__always)
private func storeRun(_ cpu: CPU, _ op: Op, _ width: UInt64) -> Next? {
    let mask = unsafe addressMask(op)
    let value = unsafe cpu.gpr(GPR.rax)
    var rounds = 0
    while true {
        let count = unsafe cpu.gpr(GPR.rcx) & mask
        if count == 0 { return unsafe .some(op + 1) }
        if rounds == 64 {
            return unsafe .some(jump(cpu, to: cpu.instructionPointer(of: op)))
        }
        rounds &+= 1
        let target = unsafe cpu.gpr(GPR.rdi) & mask
        let to = unsafe linear(cpu, destinationBase(cpu), target)
        let elements = min(count, run(to, width))
        if elements == 0 { return nil }
        let size = Int(truncatingIfNeeded: elements &* width)
        let entry = unsafe tlbEntry(cpu, to)
        guard unsafe entry.pointee.writeTag == expectedTag(cpu, to, size),
            let output = unsafe hostPointer(entry.pointee.addend, to)
        else { return nil }
        let number = Int(truncatingIfNeeded: elements)
        switch width {
        case 1:
            unsafe output.initializeMemory(
                as: UInt8.self, repeating: UInt8(truncatingIfNeeded: value), count: number)
        case 2:
            for index in 0..<number {
                unsafe output.storeBytes(
                    of: UInt16(truncatingIfNeeded: value), toByteOffset: index &* 2,
                    as: UInt16.self)
            }
        case 4:
            for index in 0..<number {
                unsafe output.storeBytes(
                    of: UInt32(truncatingIfNeeded: value), toByteOffset: index &* 4,
                    as: UInt32.self)
            }
        default:
            for index in 0..<number {
                unsafe output.storeBytes(of: value, toByteOffset: index &* 8, as: UInt64.self)
            }
        }
        unsafe setMasked(cpu, GPR.rdi, target &+ elements &* width, mask)
        unsafe setMasked(cpu, GPR.rcx, count &- elements, mask)
    }
}
