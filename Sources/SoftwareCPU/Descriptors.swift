internal import CEngine

/// A segment or system descriptor of 8 bytes (SDM volume 3, 3.4.5).
struct Descriptor {
    var raw: UInt64

    var base: UInt64 { (raw &>> 16) & 0xff_ffff | (raw &>> 56) &<< 24 }
    var attributes: UInt16 { UInt16(truncatingIfNeeded: raw &>> 40) & 0xf0ff }
    var limit: UInt32 {
        let limit = UInt32(truncatingIfNeeded: raw & 0xffff | (raw &>> 32) & 0xf_0000)
        return attributes & 0x8000 != 0 ? limit &<< 12 | 0xfff : limit
    }
    var type: UInt16 { attributes & 0xf }
    var isSystem: Bool { attributes & 0x10 == 0 }
    var isCode: Bool { attributes & 0x18 == 0x18 }
    var isConforming: Bool { attributes & 4 != 0 }
    var isWritableData: Bool { attributes & 0x1a == 0x12 }
    var isReadable: Bool { !isCode || attributes & 2 != 0 }
    var privilegeLevel: UInt32 { UInt32(attributes &>> 5) & 3 }
    var isPresent: Bool { attributes & 0x80 != 0 }
    var isLong: Bool { attributes & 0x2000 != 0 }
    var isBig: Bool { attributes & 0x4000 != 0 }

    func register(selector: UInt16) -> SegmentRegister {
        SegmentRegister(base: base, limit: limit, selector: selector, attributes: attributes)
    }
}

/// Address of the descriptor of `selector`, or nil when it is beyond its table.
func descriptorAddress(_ cpu: CPU, _ selector: UInt16, byteCount: UInt64 = 8) -> UInt64? {
    let offset = UInt64(selector & 0xfff8)
    if selector & 4 != 0 {
        let table = unsafe cpu.pointee.localDescriptorTable
        if table.attributes & 0x80 == 0 || offset &+ byteCount &- 1 > UInt64(table.limit) {
            return nil
        }
        return table.base &+ offset
    }
    return unsafe offset &+ byteCount &- 1 > UInt64(cpu.pointee.gdtLimit)
        ? nil : cpu.pointee.gdtBase &+ offset
}

/// Result of reading a descriptor: nil means a fault is recorded.
func readDescriptor(_ cpu: CPU, _ op: Op, _ selector: UInt16, failing vector: UInt8) -> Descriptor?
{
    guard let address = unsafe descriptorAddress(cpu, selector) else {
        unsafe recordFault(cpu, vector: vector, errorCode: selector & 0xfffc)
        return nil
    }
    guard let raw = unsafe readSystem(cpu, op, address, as: UInt64.self) else { return nil }
    return Descriptor(raw: raw)
}

/// Sets the accessed bit of a descriptor that is being loaded.
func markAccessed(_ cpu: CPU, _ op: Op, _ selector: UInt16, _ descriptor: inout Descriptor) -> Bool
{
    if descriptor.raw & (1 << 40) != 0 { return true }
    descriptor.raw |= 1 << 40
    guard let address = unsafe descriptorAddress(cpu, selector) else { return true }
    return unsafe writeSystem(
        cpu, op, address &+ 5, UInt8(truncatingIfNeeded: descriptor.raw &>> 40))
}

/// Loads ES, SS, DS, FS or GS. False: fault recorded. Real and virtual-8086 mode included.
func loadSegment(_ cpu: CPU, _ op: Op, _ number: Int, _ selector: UInt16) -> Bool {
    if unsafe cpu.pointee.blockMode & BlockMode.protected == 0 {
        unsafe loadRealSegment(cpu, number, selector)
        return true
    }
    let cpl = unsafe cpu.currentPrivilegeLevel
    let rpl = UInt32(selector & 3)
    if selector & 0xfffc == 0 {
        if number == Segment.ss, unsafe !cpu.isLongCode || cpl == 3 || rpl != cpl {
            unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: 0)
            return false
        }
        var old = unsafe cpu.segment(number)
        old.selector = selector
        if number == Segment.ss {
            old.attributes = UInt16(truncatingIfNeeded: cpl &<< 5) | 0x4093 & 0xff1f
        } else {
            // The base stays, as on processors by AMD and in 64-bit Linux's expectations of FS, GS.
            old = SegmentRegister(base: 0, limit: 0, selector: selector, attributes: 0)
        }
        unsafe cpu.setSegment(number, old)
        unsafe refreshMode(cpu)
        return true
    }
    guard
        var descriptor = unsafe readDescriptor(cpu, op, selector, failing: Vector.generalProtection)
    else { return false }
    let code = selector & 0xfffc
    if number == Segment.ss {
        if rpl != cpl || descriptor.isSystem || !descriptor.isWritableData
            || descriptor.privilegeLevel != cpl
        {
            unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: code)
            return false
        }
        if !descriptor.isPresent {
            unsafe recordFault(cpu, vector: Vector.stackFault, errorCode: code)
            return false
        }
    } else {
        if descriptor.isSystem || !descriptor.isReadable
            || !(descriptor.isCode && descriptor.isConforming)
                && (descriptor.privilegeLevel < rpl || descriptor.privilegeLevel < cpl)
        {
            unsafe recordFault(cpu, vector: Vector.generalProtection, errorCode: code)
            return false
        }
        if !descriptor.isPresent {
            unsafe recordFault(cpu, vector: Vector.segmentNotPresent, errorCode: code)
            return false
        }
    }
    if unsafe !markAccessed(cpu, op, selector, &descriptor) { return false }
    unsafe cpu.setSegment(number, descriptor.register(selector: selector))
    unsafe refreshMode(cpu)
    return true
}

/// Real and virtual-8086 mode: base is the selector times 16, the limit stays.
func loadRealSegment(_ cpu: CPU, _ number: Int, _ selector: UInt16) {
    var segment = unsafe cpu.segment(number)
    segment.selector = selector
    segment.base = UInt64(selector) &<< 4
    if unsafe cpu.pointee.blockMode & BlockMode.virtual8086 != 0 {
        segment.limit = 0xffff
        segment.attributes = 0xf3
    } else if number == Segment.cs {
        segment.attributes = segment.attributes & 0x4000 | 0x9b
    } else {
        segment.attributes = segment.attributes & 0x4000 | 0x93
    }
    unsafe cpu.setSegment(number, segment)
    unsafe refreshMode(cpu)
}

/// Sets CS and the privilege level that goes with it: SS.DPL carries CPL.
func setCodeSegment(_ cpu: CPU, _ descriptor: Descriptor, selector: UInt16, cpl: UInt32) {
    var code = descriptor.register(selector: selector & 0xfffc | UInt16(truncatingIfNeeded: cpl))
    code.attributes |= 1
    // The jump cache has targets within the limit only.
    if !descriptor.isLong, unsafe cpu.segment(Segment.cs).limit > code.limit {
        unsafe flushJumpCache(cpu)
    }
    unsafe cpu.setSegment(Segment.cs, code)
    unsafe setPrivilegeLevel(cpu, cpl)
}

func setPrivilegeLevel(_ cpu: CPU, _ cpl: UInt32) {
    var stack = unsafe cpu.segment(Segment.ss)
    stack.attributes = stack.attributes & ~0x60 | UInt16(truncatingIfNeeded: cpl &<< 5)
    unsafe cpu.setSegment(Segment.ss, stack)
    unsafe refreshMode(cpu)
}
