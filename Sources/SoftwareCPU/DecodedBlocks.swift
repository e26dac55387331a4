internal import CEngine

// What decoded instructions say beside their fields, and the headers and ends of blocks, which are
// records of the same kind.

extension DecodedInstruction {
    /// An instruction without operands whose handler is `refetch`.
    static var empty: DecodedInstruction {
        unsafe DecodedInstruction(
            handler: refetch, immediate: 0, displacement: 0, destination: Layout.zero,
            source: Layout.zero, base: Slot.zero, index: Slot.zero, segmentBase: Slot.zero,
            scaleShift: 0, place: 0, flags: 0, auxiliary: 0)
    }

    /// What stands behind `last`, the last instruction of a block, if that may go on there.
    static func end(behind last: DecodedInstruction, handler: @escaping InstructionHandler)
        -> DecodedInstruction
    {
        var end = unsafe empty
        unsafe end.handler = unsafe handler
        unsafe end.place = unsafe last.place
        unsafe end.destination = unsafe last.offsetBehind
        unsafe end.flags = UInt8(INSTRUCTION_END)
        return unsafe end
    }

    /// Bytes from the start of the linear page to the first byte.
    var pageOffset: UInt16 {
        get { unsafe place & 0xfff }
        set { unsafe place = unsafe place & 0xf000 | newValue & 0xfff }
    }

    /// In bytes, 1 to 15.
    var length: UInt8 {
        get { unsafe UInt8(truncatingIfNeeded: place &>> 12) }
        set { unsafe place = unsafe place & 0xfff | UInt16(newValue) &<< 12 }
    }

    /// Bytes from the start of the linear page to the first byte behind it: up to 14 into the next.
    @inline(__always)
    var offsetBehind: UInt16 { unsafe (place & 0xfff) &+ (place &>> 12) }

    /// Direct branches: the instruction to continue with once linked.
    @inline(__always)
    var target: UnsafePointer<DecodedInstruction>? {
        unsafe UnsafePointer(bitPattern: UInt(truncatingIfNeeded: immediate))
    }
}

extension UnsafePointer where Pointee == DecodedInstruction {
    /// Of a conditional branch that is not taken: the instruction to continue with once linked.
    @inline(__always)
    var fallThroughTarget: UnsafePointer<DecodedInstruction>? {
        let record = unsafe UnsafeRawPointer(self)
        let distance = unsafe record.load(
            fromByteOffset: Int(DECODED_OFFSET_FALL_THROUGH), as: Int32.self)
        if distance == 0 { return nil }
        return unsafe (record + Int(distance)).assumingMemoryBound(to: DecodedInstruction.self)
    }
}

// Of a header, which has no operands. `immediate` is its link to the next one of its chain.
extension DecodedInstruction {
    /// How many instructions the block has.
    @inline(__always)
    var instructionCount: Int {
        get { unsafe Int(segmentBase) }
        set { unsafe segmentBase = UInt8(truncatingIfNeeded: newValue) }
    }

    /// The last instruction may go on behind itself, where the block's end is.
    var hasEnd: Bool {
        get { unsafe index & 0x80 != 0 }
        set { unsafe index = unsafe index & 0x7f | (newValue ? 0x80 : 0) }
    }

    /// How many records the block has, from the header on.
    var recordCount: Int { unsafe instructionCount &+ (hasEnd ? 2 : 1) }
}

// Some of what else a header says changes while others run its block: see `EngineAtomics.h`.
extension UnsafeMutablePointer where Pointee == DecodedInstruction {
    /// Where the block begins in physical memory, up to 48 bits.
    var physical: UInt64 {
        get { unsafe cengine_block_physical(self) }
        nonmutating set {
            unsafe pointee.displacement = Int32(truncatingIfNeeded: newValue &>> 12)
            unsafe pointee.length = UInt8(truncatingIfNeeded: newValue &>> 44) & 0xf
            unsafe pointee.pageOffset = UInt16(truncatingIfNeeded: newValue)
        }
    }

    /// The block mode, of up to 15 bits.
    var mode: UInt32 {
        get { unsafe cengine_block_mode(self) }
        nonmutating set {
            unsafe pointee.base = UInt8(truncatingIfNeeded: newValue)
            unsafe pointee.index =
                unsafe pointee.index & 0x80 | UInt8(truncatingIfNeeded: newValue &>> 8) & 0x7f
        }
    }

    /// Offset of the block's translation in code memory, 0 without one.
    var translation: UInt32 {
        get { unsafe cengine_translation(self) }
        nonmutating set { unsafe cengine_set_translation(self, newValue) }
    }

    /// Without a translation: how often the block is still interpreted.
    var runsToTranslation: UInt8 {
        get { unsafe cengine_load8(byte(unsafe MemoryLayout<Pointee>.offset(of: \.auxiliary))) }
        nonmutating set {
            unsafe cengine_store8(
                byte(unsafe MemoryLayout<Pointee>.offset(of: \.auxiliary)), newValue)
        }
    }

    /// Counts down how often the probe of the translation's groups may still miss before somebody
    /// looks. Always 0: it has none.
    var missesOfGroups: UInt8 {
        get { unsafe cengine_load8(byte(Self.missesOffset)) }
        nonmutating set { unsafe cengine_store8(byte(Self.missesOffset), newValue) }
    }

    /// Where translated code finds that.
    static var missesOffset: Int? { unsafe MemoryLayout<Pointee>.offset(of: \.scaleShift) }

    @inline(__always)
    private func byte(_ offset: Int?) -> UnsafeMutablePointer<UInt8> {
        unsafe (UnsafeMutableRawPointer(self) + (offset ?? 0)).assumingMemoryBound(to: UInt8.self)
    }

    /// The handler is `other`.
    func isHandled(by other: InstructionHandler) -> Bool {
        unsafe unsafeBitCast(cengine_handler(self), to: UInt.self)
            == unsafeBitCast(other, to: UInt.self)
    }
}
