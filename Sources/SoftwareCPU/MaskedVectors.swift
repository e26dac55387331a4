internal import CEngine

// Vector instructions that touch memory element by element, and those that clear registers.

/// The sign bit of an element in a slot of the frame.
@inline(__always)
private func isSelected(_ cpu: CPU, _ slot: Int, _ index: Int, _ byteCount: Int) -> Bool {
    let offset = (index &* byteCount &+ byteCount &- 1) & 31
    return unsafe coreVector(cpu, slot).load(fromByteOffset: offset, as: UInt8.self) & 0x80 != 0
}

/// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD and VPMASKMOVQ from memory: what is masked out reads as zero
/// and does not fault.
func maskedLoad(_ cpu: CPU, _ op: Op) -> Next {
    let operation = unsafe CoreOperation(rawValue: op.pointee.immediate)
    let byteCount = unsafe Int(op.pointee.auxiliary)
    let address = unsafe effectiveAddress(cpu, op)
    let result = unsafe coreVector(cpu, CoreSlot.register)
    unsafe loadCoreVector(cpu, CoreSlot.vector, operation.vector)
    unsafe result.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
    for index in 0..<(operation.isWide ? 32 : 16) / max(byteCount, 4)
    where unsafe isSelected(cpu, CoreSlot.vector, index, byteCount) {
        let offset = index &* byteCount
        guard
            let source = unsafe readPointer(cpu, op, address &+ UInt64(offset), byteCount)
        else { return nil }
        unsafe (result + offset).copyMemory(from: source, byteCount: byteCount)
    }
    unsafe storeCoreVector(cpu, CoreSlot.register, operation.register)
    return unsafe op + 1
}

/// The same to memory. Nothing is written unless everything can be.
func maskedStore(_ cpu: CPU, _ op: Op) -> Next {
    let operation = unsafe CoreOperation(rawValue: op.pointee.immediate)
    let byteCount = unsafe Int(op.pointee.auxiliary)
    let address = unsafe effectiveAddress(cpu, op)
    let source = unsafe coreVector(cpu, CoreSlot.register)
    unsafe loadCoreVector(cpu, CoreSlot.register, operation.register)
    unsafe loadCoreVector(cpu, CoreSlot.vector, operation.vector)
    let count = (operation.isWide ? 32 : 16) / max(byteCount, 4)
    for index in 0..<count where unsafe isSelected(cpu, CoreSlot.vector, index, byteCount) {
        let place = address &+ UInt64(index &* byteCount)
        guard unsafe probeStore(cpu, op, place, byteCount) else { return nil }
    }
    for index in 0..<count where unsafe isSelected(cpu, CoreSlot.vector, index, byteCount) {
        let offset = index &* byteCount
        guard
            unsafe storeBytes(
                cpu, op, address &+ UInt64(offset), from: source + offset, byteCount)
        else { return nil }
    }
    return unsafe op + 1
}

/// VGATHER and VPGATHER: elements in order; those that are done before a fault stay, and their mask
/// is clear, that of the others all ones, also beyond the elements that there are (SDM volume 2,
/// VGATHERDPS; the host does the latter).
func gather(_ cpu: CPU, _ op: Op) -> Next {
    let operation = unsafe CoreOperation(rawValue: op.pointee.immediate)
    let byteCount = unsafe max(Int(op.pointee.auxiliary), 4)
    let indexByteCount = operation.hasWideIndex ? 8 : 4
    let maskByteCount = operation.isWide ? 32 : 16
    let count = maskByteCount / max(byteCount, indexByteCount)
    let used = count &* byteCount
    let result = unsafe coreVector(cpu, CoreSlot.register)
    let mask = unsafe coreVector(cpu, CoreSlot.vector)
    let indices = unsafe coreVector(cpu, CoreSlot.registerOrMemory)
    unsafe loadCoreVector(cpu, CoreSlot.register, operation.register)
    unsafe loadCoreVector(cpu, CoreSlot.vector, operation.vector)
    unsafe loadCoreVector(cpu, CoreSlot.registerOrMemory, operation.registerOrMemory)
    for index in 0..<32 / byteCount {
        let selected =
            unsafe index &* byteCount < maskByteCount
            && isSelected(cpu, CoreSlot.vector, index, byteCount)
        unsafe (mask + index &* byteCount).initializeMemory(
            as: UInt8.self, repeating: selected ? 0xff : 0, count: byteCount)
    }
    for index in 0..<count where unsafe isSelected(cpu, CoreSlot.vector, index, byteCount) {
        let position =
            operation.hasWideIndex
            ? unsafe indices.load(fromByteOffset: index &* 8, as: Int64.self)
            : Int64(unsafe indices.load(fromByteOffset: index &* 4, as: Int32.self))
        let delta = unsafe UInt64(bitPattern: position) &<< UInt64(op.pointee.scaleShift)
        let address = unsafe slowEffectiveAddress(cpu, op, adding: delta)
        guard let source = unsafe readPointer(cpu, op, address, byteCount) else {
            if unsafe cpu.pointee.leaveReason == LeaveReason.fault {
                unsafe storeCoreVector(cpu, CoreSlot.register, operation.register)
                unsafe storeCoreVector(cpu, CoreSlot.vector, operation.vector)
            }
            return nil
        }
        unsafe (result + index &* byteCount).copyMemory(from: source, byteCount: byteCount)
        unsafe (result + maskByteCount).initializeMemory(
            as: UInt8.self, repeating: 0, count: 32 &- maskByteCount)
        unsafe (mask + index &* byteCount).initializeMemory(
            as: UInt8.self, repeating: 0, count: byteCount)
    }
    unsafe (result + used).initializeMemory(as: UInt8.self, repeating: 0, count: 32 &- used)
    unsafe mask.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
    unsafe storeCoreVector(cpu, CoreSlot.register, operation.register)
    unsafe storeCoreVector(cpu, CoreSlot.vector, operation.vector)
    return unsafe op + 1
}

/// Registers that exist: outside 64-bit code the first eight.
private func vectorByteCount(_ cpu: CPU) -> Int { unsafe cpu.isLongCode ? 256 : 128 }

/// VZEROUPPER.
func zeroUpper(_ cpu: CPU, _ op: Op) -> Next {
    unsafe (cpu.bytes + Int(Layout.upper(0))).initializeMemory(
        as: UInt8.self, repeating: 0, count: vectorByteCount(cpu))
    return unsafe op + 1
}

/// VZEROALL.
func zeroAll(_ cpu: CPU, _ op: Op) -> Next {
    unsafe (cpu.bytes + Int(Layout.xmm(0))).initializeMemory(
        as: UInt8.self, repeating: 0, count: vectorByteCount(cpu))
    return unsafe zeroUpper(cpu, op)
}
