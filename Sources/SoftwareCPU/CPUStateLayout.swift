internal import CEngine

/// The state of the vCPU an instruction runs on. Owner: `SoftwareEngine`; one worker at a time.
typealias CPU = UnsafeMutablePointer<CPUState>
/// The instruction that runs. Owner: the engine's code arena.
typealias Op = UnsafePointer<DecodedInstruction>
/// The instruction to run next; nil leaves the run loop.
typealias Next = UnsafePointer<DecodedInstruction>?

/// Byte offsets of fields of `CPUState` that instructions name as operands.
enum Layout {
    static var gpr: UInt16 { 0 }
    static var zero: UInt16 { UInt16(truncatingIfNeeded: CPU_OFFSET_ZERO) }
    static var codePage: UInt16 { UInt16(truncatingIfNeeded: CPU_OFFSET_CODE_PAGE) }
    static var segments: UInt16 { UInt16(truncatingIfNeeded: CPU_OFFSET_SEGMENTS) }
    static var xmm: UInt16 { UInt16(truncatingIfNeeded: CPU_OFFSET_XMM) }
    static var st: UInt16 { UInt16(truncatingIfNeeded: CPU_OFFSET_ST) }

    /// The general-purpose register `index`, 0 to 15.
    static func gpr(_ index: Int) -> UInt16 { gpr &+ UInt16(truncatingIfNeeded: index & 15) &* 8 }
    /// The vector register `index`, 0 to 15.
    static func xmm(_ index: Int) -> UInt16 { xmm &+ UInt16(truncatingIfNeeded: index & 15) &* 16 }
    /// Bits 128 to 255 of vector register `index`, 0 to 15.
    static func upper(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: CPU_OFFSET_UPPER)
            &+ UInt16(truncatingIfNeeded: index & 15) &* 16
    }
    /// The base of segment register `index` for code that is not 64-bit: see `legacyBase`.
    static func legacyBase(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: CPU_OFFSET_LEGACY_BASE)
            &+ UInt16(truncatingIfNeeded: index) &* 8
    }
    /// The base of segment register `index`: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS.
    static func segmentBase(_ index: Int) -> UInt16 {
        segments &+ UInt16(truncatingIfNeeded: index)
            &* UInt16(MemoryLayout<SegmentRegister>.stride)
    }
}

/// Fields of `CPUState` that memory operands are made of, counted in eight bytes from its start.
enum Slot {
    static var zero: UInt8 { slot(Layout.zero) }
    static var codePage: UInt8 { slot(Layout.codePage) }
    static func gpr(_ index: Int) -> UInt8 { slot(Layout.gpr(index)) }
    static func legacyBase(_ index: Int) -> UInt8 { slot(Layout.legacyBase(index)) }
    static func segmentBase(_ index: Int) -> UInt8 { slot(Layout.segmentBase(index)) }

    private static func slot(_ offset: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: offset &>> 3) }
}

/// Numbers of the general-purpose registers.
enum GPR {
    static let rax = 0
    static let rcx = 1
    static let rdx = 2
    static let rbx = 3
    static let rsp = 4
    static let rbp = 5
    static let rsi = 6
    static let rdi = 7
}

/// Numbers of the segment registers.
enum Segment {
    static let es = 0
    static let cs = 1
    static let ss = 2
    static let ds = 3
    static let fs = 4
    static let gs = 5
}

/// Why the run loop was left: `CPUState.leaveReason`.
enum LeaveReason {
    static let none: UInt32 = 0
    /// An exception is to be delivered: `faultVector` and its neighbours.
    static let fault: UInt32 = 1
    /// The machine has to do something: `EngineContext.pendingExit`.
    static let exit: UInt32 = 2
    /// The budget is used up or `PendingEvents` has something.
    static let poll: UInt32 = 3
    /// The mode changed: look the next block up from `rip`.
    static let resume: UInt32 = 4
    /// The instruction runs again, alone: one of its accesses meets a breakpoint.
    static let restart: UInt32 = 5
}

extension UnsafeMutablePointer where Pointee == CPUState {
    /// The register file as bytes, addressed by the offsets of a `DecodedInstruction`.
    @inline(__always)
    var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) }

    @inline(__always)
    func read<T>(_ offset: UInt16, as type: T.Type) -> T {
        unsafe bytes.load(fromByteOffset: Int(offset), as: T.self)
    }

    /// One of the fields that `Slot` names.
    @inline(__always)
    func read(slot: UInt8) -> UInt64 {
        unsafe bytes.load(fromByteOffset: Int(slot) &* 8, as: UInt64.self)
    }

    /// Writes a register operand; a 32-bit one clears the upper half.
    @inline(__always)
    func write<T: FixedWidthInteger>(_ offset: UInt16, _ value: T) {
        if T.bitWidth == 32 {
            unsafe bytes.storeBytes(
                of: UInt64(truncatingIfNeeded: value) & 0xffff_ffff, toByteOffset: Int(offset),
                as: UInt64.self)
        } else {
            unsafe bytes.storeBytes(of: value, toByteOffset: Int(offset), as: T.self)
        }
    }

    /// General-purpose register `index` in full.
    @inline(__always)
    func gpr(_ index: Int) -> UInt64 {
        unsafe bytes.load(fromByteOffset: Int(Layout.gpr) &+ index &* 8, as: UInt64.self)
    }

    @inline(__always)
    func setGPR(_ index: Int, _ value: UInt64) {
        unsafe bytes.storeBytes(
            of: value, toByteOffset: Int(Layout.gpr) &+ index &* 8, as: UInt64.self)
    }

    /// Segment register `index`.
    @inline(__always)
    func segment(_ index: Int) -> SegmentRegister {
        unsafe bytes.load(
            fromByteOffset: Int(Layout.segmentBase(index)), as: SegmentRegister.self)
    }

    @inline(__always)
    func setSegment(_ index: Int, _ value: SegmentRegister) {
        unsafe bytes.storeBytes(
            of: value, toByteOffset: Int(Layout.segmentBase(index)), as: SegmentRegister.self)
    }

    /// The linear address of `op`'s first byte.
    @inline(__always)
    func linearAddress(of op: Op) -> UInt64 {
        unsafe pointee.codePage &+ UInt64(op.pointee.pageOffset)
    }

    /// The linear address of the byte behind a direct branch or a call.
    @inline(__always)
    func linearAddress(behind op: Op) -> UInt64 {
        unsafe pointee.codePage &+ UInt64(op.pointee.destination)
    }

    /// The instruction pointer at `op`, CS base taken off and wrapped to the code size.
    @inline(__always)
    func instructionPointer(of op: Op) -> UInt64 {
        let linear = unsafe linearAddress(of: op)
        return unsafe isLongCode ? linear : (linear &- csBase) & 0xffff_ffff
    }

    /// The instruction pointer after `op`.
    @inline(__always)
    func nextInstructionPointer(of op: Op) -> UInt64 {
        let next = unsafe pointee.codePage &+ UInt64(op.pointee.offsetBehind)
        return unsafe isLongCode ? next : (next &- csBase) & 0xffff_ffff
    }

    /// The code segment is a 64-bit one.
    @inline(__always)
    var isLongCode: Bool { unsafe pointee.blockMode & BlockMode.sizeMask == BlockMode.code64 }

    @inline(__always)
    var csBase: UInt64 { unsafe segment(Segment.cs).base }

    @inline(__always)
    var currentPrivilegeLevel: UInt32 { unsafe pointee.currentPrivilegeLevel }
}

/// What a block's lowering depends on besides its bytes: `CPUState.blockMode`.
enum BlockMode {
    static let sizeMask: UInt32 = 3
    static let code16: UInt32 = 0
    static let code32: UInt32 = 1
    static let code64: UInt32 = 2
    /// DS, ES and SS are flat: base 0, limit 4 GiB, writable. Always set with 64-bit code.
    static let flat: UInt32 = 1 << 2
    /// SS.B: the stack pointer is ESP, not SP.
    static let stack32: UInt32 = 1 << 3
    /// CR0.TS: vector and x87 instructions raise #NM.
    static let taskSwitched: UInt32 = 1 << 4
    /// CR0.EM.
    static let emulation: UInt32 = 1 << 5
    /// CR4.OSFXSR.
    static let vectors: UInt32 = 1 << 6
    /// CR0.MP.
    static let monitorCoprocessor: UInt32 = 1 << 7
    /// CR0.PE with EFLAGS.VM clear.
    static let protected: UInt32 = 1 << 8
    /// EFLAGS.VM.
    static let virtual8086: UInt32 = 1 << 9
    /// CR4.OSXSAVE, and XCR0 enables SSE and AVX state.
    static let wideVectors: UInt32 = 1 << 10
}
