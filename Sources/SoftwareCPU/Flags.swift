internal import CEngine

// RFLAGS is kept in two parts: arithmetic flags in the layout of LAHF and SETO in `statusFlags`
// (bits 15:8 SF ZF 0 AF 0 PF 1 CF, bit 0 OF), everything else in `systemFlags`.

/// RFLAGS in the architectural layout.
func readFlags(_ cpu: CPU) -> UInt64 {
    let status = unsafe cpu.pointee.statusFlags
    let arithmetic = (status &>> 8) & 0xd5 | (status & 1) &<< 11
    return unsafe arithmetic | cpu.pointee.systemFlags | Flags.fixed
}

/// Sets all of RFLAGS: the caller has merged what must not change.
func writeFlags(_ cpu: CPU, _ flags: UInt64) {
    unsafe cpu.pointee.statusFlags = (flags & 0xd5) &<< 8 | 0x200 | (flags &>> 11) & 1
    let old = unsafe cpu.pointee.systemFlags
    var new = flags & Flags.defined & ~Flags.arithmetic | Flags.fixed
    if new & Flags.resume != 0 {
        if unsafe context(cpu).breakpoints.hasExecute {
            // RF lasts for one instruction.
            unsafe cpu.pointee.stepping |= Stepping.alone
            unsafe refreshContexts(cpu)
        } else {
            // Without instruction breakpoints nothing can tell.
            new &= ~Flags.resume
        }
    }
    unsafe cpu.pointee.systemFlags = new
    unsafe cpu.pointee.direction = new & Flags.direction != 0 ? -1 : 1
    if (old ^ new) & (Flags.alignmentCheck | Flags.virtual8086) != 0 {
        if (old ^ new) & Flags.virtual8086 != 0 {
            unsafe refreshMode(cpu)
        } else {
            unsafe refreshContexts(cpu)
        }
    }
    if new & Flags.trap != 0, unsafe cpu.pointee.stepping & Stepping.trap == 0 {
        unsafe cpu.pointee.stepping |= Stepping.trap
        unsafe refreshContexts(cpu)
    }
    unsafe refreshPendingMask(cpu)
}

/// Maskable interrupts are looked at only while IF is set.
func refreshPendingMask(_ cpu: CPU) {
    let interruptBit: UInt32 = 1
    unsafe cpu.pointee.pendingMask =
        unsafe cpu.pointee.systemFlags & Flags.interrupt != 0 ? .max : ~interruptBit
}

/// Derives `blockMode` and privilege from CS, SS, CR0, CR4 and EFLAGS. After any change of them.
func refreshMode(_ cpu: CPU) {
    let code = unsafe cpu.segment(Segment.cs)
    let stack = unsafe cpu.segment(Segment.ss)
    let cr0 = unsafe cpu.pointee.cr0
    var mode: UInt32 = 0
    let long = unsafe cpu.pointee.efer & EFER.lma != 0
    if long, code.attributes & 0x2000 != 0 {
        mode = BlockMode.code64 | BlockMode.flat | BlockMode.stack32
    } else {
        mode = code.attributes & 0x4000 != 0 ? BlockMode.code32 : BlockMode.code16
        if stack.attributes & 0x4000 != 0 { mode |= BlockMode.stack32 }
        if unsafe isFlat(cpu.segment(Segment.ds)), unsafe isFlat(cpu.segment(Segment.es)),
            isFlat(stack)
        {
            mode |= BlockMode.flat
        }
    }
    if cr0 & CR0.ts != 0 { mode |= BlockMode.taskSwitched }
    if cr0 & CR0.em != 0 { mode |= BlockMode.emulation }
    if cr0 & CR0.mp != 0 { mode |= BlockMode.monitorCoprocessor }
    if unsafe cpu.pointee.cr4 & CR4.osfxsr != 0 { mode |= BlockMode.vectors }
    if unsafe cpu.pointee.cr4 & CR4.osxsave != 0, unsafe cpu.pointee.xcr0 & 6 == 6 {
        mode |= BlockMode.wideVectors
    }
    let virtual8086 = unsafe cpu.pointee.systemFlags & Flags.virtual8086 != 0
    if cr0 & CR0.pe != 0 {
        if virtual8086 {
            mode |= BlockMode.virtual8086
            unsafe cpu.pointee.currentPrivilegeLevel = 3
        } else {
            mode |= BlockMode.protected
            unsafe cpu.pointee.currentPrivilegeLevel = UInt32(stack.attributes &>> 5) & 3
        }
    } else {
        unsafe cpu.pointee.currentPrivilegeLevel = 0
    }
    if mode & BlockMode.sizeMask != BlockMode.code64 { unsafe refreshLegacyBases(cpu) }
    unsafe cpu.pointee.blockMode = mode
    unsafe refreshContexts(cpu)
}

private func isFlat(_ segment: SegmentRegister) -> Bool {
    segment.base == 0 && segment.limit == 0xffff_ffff && segment.attributes & 0x9a == 0x92
        && segment.attributes & 4 == 0
}
