internal import CEngine

// x87 control instructions (SDM volume 1, 8.1).

/// The layouts of the environment (SDM volume 1, 8.1.10).
struct X87EnvironmentForm {
    /// 16-bit words, in place of 32-bit ones.
    var narrow: Bool
    /// Real-address and virtual-8086 mode: linear addresses in place of selectors and offsets.
    var real: Bool

    @inline(__always)
    init(_ cpu: CPU, _ op: Op) {
        narrow = unsafe op.pointee.auxiliary & 1 != 0
        let mode = unsafe cpu.pointee.blockMode
        real = mode & BlockMode.protected == 0 && mode & BlockMode.sizeMask != BlockMode.code64
    }

    var byteCount: Int { narrow ? 14 : 28 }
}

/// The exception summary and busy bits follow from the flags and masks.
@inline(__always)
func x87Summarize(_ cpu: CPU) {
    let status = unsafe cpu.pointee.x87Status
    let pending = unsafe status & ~cpu.pointee.x87Control & UInt16(X87_EXCEPTIONS) != 0
    let summary = UInt16(X87_SUMMARY | X87_BUSY)
    unsafe cpu.pointee.x87Status = pending ? status | summary : status & ~summary
}

@inline(__always)
private func setControl(_ cpu: CPU, _ value: UInt16) {
    unsafe cpu.pointee.x87Control = value & UInt16(X87_CONTROL_DEFINED) | 0x40
    unsafe x87Summarize(cpu)
}

/// FLDCW.
func x87LoadControl(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe x87Pending(cpu, op) { return nil }
    guard let value = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt16.self) else {
        return nil
    }
    let masks = UInt16(X87_EXCEPTIONS)
    if unsafe cpu.pointee.x87Resident != 0, value & masks == masks {
        unsafe x87_set_control(cpu, value & UInt16(X87_CONTROL_DEFINED) | 0x40)
        return unsafe op + 1
    }
    unsafe x87_release(cpu)
    unsafe setControl(cpu, value)
    return unsafe op + 1
}

/// FNSTCW.
func x87StoreControl(_ cpu: CPU, _ op: Op) -> Next {
    let value = unsafe cpu.pointee.x87Control
    guard unsafe store(cpu, op, effectiveAddress(cpu, op), value) else { return nil }
    return unsafe op + 1
}

/// FNSTSW m16.
func x87StoreStatus(_ cpu: CPU, _ op: Op) -> Next {
    let value = unsafe x87_status(cpu)
    guard unsafe store(cpu, op, effectiveAddress(cpu, op), value) else { return nil }
    return unsafe op + 1
}

/// FNSTSW AX.
func x87StoreStatusAX(_ cpu: CPU, _ op: Op) -> Next {
    unsafe cpu.write(Layout.gpr(GPR.rax), x87_status(cpu))
    return unsafe op + 1
}

/// FNCLEX.
func x87ClearExceptions(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe cpu.pointee.x87Resident != 0 {
        x87_clear_exceptions()
    } else {
        unsafe cpu.pointee.x87Status &= 0x7f00
    }
    return unsafe op + 1
}

/// FNINIT: the registers keep their contents, empty.
func x87Initialize(_ cpu: CPU, _ op: Op) -> Next {
    unsafe x87Reset(cpu)
    return unsafe op + 1
}

private func x87Reset(_ cpu: CPU) {
    unsafe x87_release(cpu)
    unsafe cpu.pointee.x87Control = UInt16(X87_CONTROL_INITIAL)
    unsafe cpu.pointee.x87Status = 0
    unsafe cpu.pointee.x87Tags = 0
    unsafe cpu.pointee.x87Opcode = 0
    unsafe cpu.pointee.x87InstructionPointer = 0
    unsafe cpu.pointee.x87DataPointer = 0
    unsafe cpu.pointee.x87InstructionSelector = 0
    unsafe cpu.pointee.x87DataSelector = 0
}

/// The seven words of the environment, as 32-bit ones; the narrow form has their low halves.
private func environment(_ cpu: CPU, _ form: X87EnvironmentForm) -> [UInt32] {
    unsafe x87_release(cpu)
    let opcode = unsafe UInt32(cpu.pointee.x87Opcode)
    let codeSelector = unsafe UInt32(cpu.pointee.x87InstructionSelector)
    let dataSelector = unsafe UInt32(cpu.pointee.x87DataSelector)
    var instruction = unsafe UInt32(truncatingIfNeeded: cpu.pointee.x87InstructionPointer)
    var data = unsafe UInt32(truncatingIfNeeded: cpu.pointee.x87DataPointer)
    let upper: UInt32 = 0xffff_0000
    var words = [
        unsafe upper | UInt32(cpu.pointee.x87Control),
        unsafe upper | UInt32(cpu.pointee.x87Status), unsafe upper | x87_tag_word(cpu),
    ]
    if form.real {
        instruction = instruction &+ codeSelector &<< 4
        data = data &+ dataSelector &<< 4
        let mask: UInt32 = form.narrow ? 0xf000 : 0x0fff_f000
        words += [
            upper | instruction & 0xffff, (instruction &>> 4) & mask | opcode,
            upper | data & 0xffff, (data &>> 4) & mask,
        ]
    } else {
        words += [
            instruction, codeSelector | opcode &<< 16, data, upper | dataSelector,
        ]
    }
    return words
}

/// Loads control, status, tags and pointers.
private func setEnvironment(_ cpu: CPU, _ form: X87EnvironmentForm, _ source: UnsafeRawPointer) {
    func word(_ index: Int) -> UInt32 {
        form.narrow
            ? UInt32(unsafe source.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
            : unsafe source.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self)
    }
    var tags: UInt8 = 0
    for index in 0..<8 where (word(2) &>> UInt32(index &* 2)) & 3 != 3 {
        tags |= 1 &<< UInt8(index)
    }
    unsafe cpu.pointee.x87Status = UInt16(truncatingIfNeeded: word(1))
    unsafe cpu.pointee.x87Tags = tags
    if form.real {
        let mask: UInt32 = form.narrow ? 0xf000 : 0x0fff_f000
        let instruction = word(3) & 0xffff | (word(4) & mask) &<< 4
        let data = word(5) & 0xffff | (word(6) & mask) &<< 4
        unsafe cpu.pointee.x87InstructionPointer = UInt64(instruction)
        unsafe cpu.pointee.x87DataPointer = UInt64(data)
        unsafe cpu.pointee.x87Opcode = UInt16(truncatingIfNeeded: word(4)) & 0x7ff
        unsafe cpu.pointee.x87InstructionSelector = 0
        unsafe cpu.pointee.x87DataSelector = 0
    } else {
        unsafe cpu.pointee.x87InstructionPointer = UInt64(word(3))
        unsafe cpu.pointee.x87InstructionSelector = UInt16(truncatingIfNeeded: word(4))
        unsafe cpu.pointee.x87DataPointer = UInt64(word(5))
        unsafe cpu.pointee.x87DataSelector = UInt16(truncatingIfNeeded: word(6))
        // The narrow form has no place for FOP, and loads none.
        unsafe cpu.pointee.x87Opcode =
            form.narrow ? 0 : UInt16(truncatingIfNeeded: word(4) &>> 16) & 0x7ff
    }
    unsafe setControl(cpu, UInt16(truncatingIfNeeded: word(0)))
}

/// The environment, then for FNSAVE the registers from ST(0) on.
private func image(_ cpu: CPU, _ form: X87EnvironmentForm, registers: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in unsafe environment(cpu, form) {
        for shift in stride(from: UInt32(0), to: form.narrow ? 16 : 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: word &>> shift))
        }
    }
    guard registers else { return bytes }
    let top = unsafe Int((cpu.pointee.x87Status &>> 11) & 7)
    for index in 0..<8 {
        let register = unsafe stackRegister(cpu, (top &+ index) & 7)
        unsafe bytes += UnsafeRawBufferPointer(start: register, count: 10)
    }
    return bytes
}

private func storeImage(_ cpu: CPU, _ op: Op, registers: Bool) -> Bool {
    let bytes = unsafe image(cpu, X87EnvironmentForm(cpu, op), registers: registers)
    let address = unsafe effectiveAddress(cpu, op)
    return unsafe bytes.withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress else { return false }
        return unsafe storeBytes(cpu, op, address, from: start, buffer.count)
    }
}

/// FNSTENV: masks all exceptions afterwards.
func x87StoreEnvironment(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe storeImage(cpu, op, registers: false) else { return nil }
    unsafe setControl(cpu, cpu.pointee.x87Control | UInt16(X87_EXCEPTIONS))
    return unsafe op + 1
}

/// FLDENV.
func x87LoadEnvironment(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe x87Pending(cpu, op) { return nil }
    let form = unsafe X87EnvironmentForm(cpu, op)
    let address = unsafe effectiveAddress(cpu, op)
    guard let source = unsafe readPointer(cpu, op, address, form.byteCount) else { return nil }
    unsafe x87_release(cpu)
    unsafe setEnvironment(cpu, form, source)
    return unsafe op + 1
}

/// FNSAVE: initializes afterwards.
func x87SaveState(_ cpu: CPU, _ op: Op) -> Next {
    guard unsafe storeImage(cpu, op, registers: true) else { return nil }
    unsafe x87Reset(cpu)
    return unsafe op + 1
}

/// FRSTOR.
func x87RestoreState(_ cpu: CPU, _ op: Op) -> Next {
    if unsafe x87Pending(cpu, op) { return nil }
    let form = unsafe X87EnvironmentForm(cpu, op)
    let address = unsafe effectiveAddress(cpu, op)
    guard let source = unsafe readPointer(cpu, op, address, form.byteCount &+ 80) else {
        return nil
    }
    unsafe x87_release(cpu)
    unsafe setEnvironment(cpu, form, source)
    let top = unsafe Int((cpu.pointee.x87Status &>> 11) & 7)
    for index in 0..<8 {
        unsafe stackRegister(cpu, (top &+ index) & 7).copyMemory(
            from: source + form.byteCount + index &* 10, byteCount: 10)
    }
    return unsafe op + 1
}
