internal import CEngine

// PUSH, POP, ENTER and LEAVE. `op.auxiliary` is the operand size in bytes.

extension IntegerOther {
    static let pushRegister64: InstructionHandler = unsafe pushLong
    static let popRegister64: InstructionHandler = unsafe popLong
    static let pushRegister: InstructionHandler = { cpu, op in
        unsafe pushLegacy(cpu, op, cpu.read(op.pointee.source, as: UInt64.self)) ? op + 1 : nil
    }
    static let popRegister: InstructionHandler = { cpu, op in
        guard let value = unsafe popLegacy(cpu, op, 0) else { return nil }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ UInt64(op.pointee.auxiliary))
        unsafe writeRegister(cpu, op.pointee.destination, value, op.pointee.auxiliary)
        return unsafe op + 1
    }
    static let pushImmediate: InstructionHandler = { cpu, op in
        unsafe pushLegacy(cpu, op, op.pointee.immediate) ? op + 1 : nil
    }
    static let pushMemory: InstructionHandler = { cpu, op in
        guard let value = unsafe readOperand(cpu, op, Layout.zero, op.pointee.auxiliary) else {
            return nil
        }
        return unsafe pushLegacy(cpu, op, value) ? op + 1 : nil
    }
    /// The address is computed with the stack pointer already raised.
    static let popMemory: InstructionHandler = { cpu, op in
        guard let value = unsafe popLegacy(cpu, op, 0) else { return nil }
        let old = unsafe cpu.gpr(GPR.rsp)
        unsafe setStackPointer(cpu, old &+ UInt64(op.pointee.auxiliary))
        if unsafe !storeOperand(cpu, op, effectiveAddress(cpu, op), value, op.pointee.auxiliary) {
            unsafe cpu.setGPR(GPR.rsp, old)
            return nil
        }
        return unsafe op + 1
    }

    static let pushAll: InstructionHandler = { cpu, op in
        let start = unsafe cpu.gpr(GPR.rsp)
        for number in 0..<8 {
            let value = unsafe number == GPR.rsp ? start : cpu.gpr(number)
            if unsafe !pushLegacy(cpu, op, value) {
                unsafe cpu.setGPR(GPR.rsp, start)
                return nil
            }
        }
        return unsafe op + 1
    }
    static let popAll: InstructionHandler = { cpu, op in
        let size = unsafe UInt64(op.pointee.auxiliary)
        var values: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
            (0, 0, 0, 0, 0, 0, 0, 0)
        for index in 0..<8 {
            guard let value = unsafe popLegacy(cpu, op, UInt64(truncatingIfNeeded: index) &* size)
            else {
                return nil
            }
            unsafe withUnsafeMutableBytes(of: &values) {
                unsafe $0.storeBytes(of: value, toByteOffset: index &* 8, as: UInt64.self)
            }
        }
        for index in 0..<8 where index != 3 {
            let value = unsafe withUnsafeBytes(of: &values) {
                unsafe $0.load(fromByteOffset: index &* 8, as: UInt64.self)
            }
            unsafe writeRegister(cpu, Layout.gpr(7 &- index), value, op.pointee.auxiliary)
        }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ 8 &* size)
        return unsafe op + 1
    }

    /// ENTER: `immediate` bytes of locals, `displacement` the nesting level.
    static let enter: InstructionHandler = { cpu, op in
        let size = unsafe UInt64(op.pointee.auxiliary)
        let start = unsafe cpu.gpr(GPR.rsp)
        let level = unsafe Int(op.pointee.displacement & 31)
        let oldFrame = unsafe cpu.gpr(GPR.rbp)
        if unsafe !pushLegacy(cpu, op, oldFrame) { return nil }
        let frame = unsafe cpu.gpr(GPR.rsp)
        if level > 0 {
            var chain = oldFrame
            for _ in 1..<max(1, level) {
                chain = chain &- size
                let address = unsafe stackAddress(cpu, chain)
                let value: UInt64? =
                    switch size {
                    case 8: unsafe loadStack(cpu, op, address, as: UInt64.self)
                    case 4: unsafe loadStack(cpu, op, address, as: UInt32.self).map { UInt64($0) }
                    default: unsafe loadStack(cpu, op, address, as: UInt16.self).map { UInt64($0) }
                    }
                guard let value, unsafe pushLegacy(cpu, op, value) else {
                    unsafe cpu.setGPR(GPR.rsp, start)
                    return nil
                }
            }
            if unsafe !pushLegacy(cpu, op, frame) {
                unsafe cpu.setGPR(GPR.rsp, start)
                return nil
            }
        }
        let end = unsafe cpu.gpr(GPR.rsp) &- (op.pointee.immediate & 0xffff)
        // The new top of the stack has to be writable, although nothing is written there.
        if unsafe !probeStore(cpu, op, stackAddress(cpu, end), Int(size), stack: true) {
            unsafe cpu.setGPR(GPR.rsp, start)
            return nil
        }
        unsafe setStackPointer(cpu, end)
        unsafe writeRegister(cpu, Layout.gpr(GPR.rbp), frame, op.pointee.auxiliary)
        return unsafe op + 1
    }

    static let leave: InstructionHandler = { cpu, op in
        let start = unsafe cpu.gpr(GPR.rsp)
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rbp))
        guard let value = unsafe popLegacy(cpu, op, 0) else {
            unsafe cpu.setGPR(GPR.rsp, start)
            return nil
        }
        unsafe setStackPointer(cpu, cpu.gpr(GPR.rsp) &+ UInt64(op.pointee.auxiliary))
        unsafe writeRegister(cpu, Layout.gpr(GPR.rbp), value, op.pointee.auxiliary)
        return unsafe op + 1
    }
}

// MARK: 64-bit code, a register

@inline(__always)
private func pushLong(_ cpu: CPU, _ op: Op) -> Next {
    let pointer = unsafe cpu.gpr(GPR.rsp) &- 8
    let top = unsafe Probe(cpu, writing: pointer, 8)
    guard _fastPath(top.hits) else {
        return unsafe pushSlowly(cpu, op)
    }
    unsafe top.pointer.storeBytes(of: cpu.read(op.pointee.source, as: UInt64.self), as: UInt64.self)
    unsafe cpu.setGPR(GPR.rsp, pointer)
    return unsafe following(cpu, op)
}

@inline(never)
private func pushSlowly(_ cpu: CPU, _ op: Op) -> Next {
    let pointer = unsafe cpu.gpr(GPR.rsp) &- 8
    if unsafe !storeStack(cpu, op, pointer, cpu.read(op.pointee.source, as: UInt64.self)) {
        return nil
    }
    unsafe cpu.setGPR(GPR.rsp, pointer)
    return unsafe op + 1
}

@inline(__always)
private func popLong(_ cpu: CPU, _ op: Op) -> Next {
    let pointer = unsafe cpu.gpr(GPR.rsp)
    let top = unsafe Probe(cpu, reading: pointer, 8)
    guard _fastPath(top.hits) else {
        return unsafe popSlowly(cpu, op)
    }
    unsafe cpu.setGPR(GPR.rsp, pointer &+ 8)
    unsafe cpu.write(op.pointee.destination, top.pointer.loadUnaligned(as: UInt64.self))
    return unsafe following(cpu, op)
}

@inline(never)
private func popSlowly(_ cpu: CPU, _ op: Op) -> Next {
    let pointer = unsafe cpu.gpr(GPR.rsp)
    guard let value = unsafe loadStack(cpu, op, pointer, as: UInt64.self) else { return nil }
    unsafe cpu.setGPR(GPR.rsp, pointer &+ 8)
    unsafe cpu.write(op.pointee.destination, value)
    return unsafe op + 1
}
