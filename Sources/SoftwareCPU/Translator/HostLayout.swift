internal import CEngine

/// Where translated code keeps what: registers of the host, and fields of `CPUState` by address.
///
/// Twelve guest registers live in host registers, RSP in R14 and the others in those of their own
/// number; R10, R11, R14 and R15 stay in `CPUState`. The guest's vector registers are in the host's
/// of the same number while `vectorsResident` says so.
enum HostLayout {
    /// 128 bytes into `CPUState`, so that a displacement of one byte reaches both sides.
    static let state = HostRegister.r15
    static let first = HostRegister.r10
    static let second = HostRegister.r11
    static let bias: Int32 = 128

    /// Guest registers that live in host registers.
    static let residents: [(guest: Int, host: HostRegister)] = (0..<16).compactMap { guest in
        host(UInt8(guest)).map { (guest, $0) }
    }

    /// The same, one bit each.
    static let residentRegisters: UInt16 = 0xffff & ~(1 << 10 | 1 << 11 | 1 << 14 | 1 << 15)

    /// The host register of a guest register; nil: it stays in `CPUState`.
    static func host(_ guest: UInt8) -> HostRegister? {
        switch guest {
        case 4: .r14
        case 10, 11, 14, 15: nil
        default: HostRegister(number: guest & 15)
        }
    }

    /// A field of `CPUState`.
    static func field(_ offset: Int) -> HostAddress {
        HostAddress(base: state, displacement: Int32(truncatingIfNeeded: offset) &- bias)
    }

    /// A field of `CPUState` at a byte offset that a register holds.
    static func field(_ offset: Int, index: HostRegister) -> HostAddress {
        HostAddress(
            base: state, index: index, displacement: Int32(truncatingIfNeeded: offset) &- bias)
    }

    static func generalRegister(_ guest: Int) -> HostAddress { field(guest &* 8) }

    static func vectorRegister(_ number: Int) -> HostAddress {
        field(Int(CPU_OFFSET_XMM) &+ number &* 16)
    }

    static let statusFlags = field(CPUOffsets.statusFlags)
    static let codePage = field(Int(CPU_OFFSET_CODE_PAGE))
    static let pendingMask = field(Int(CPU_OFFSET_PENDING_MASK))
    static let pendingWord = field(Int(CPU_OFFSET_PENDING_WORD))
    static let budget = field(Int(CPU_OFFSET_BUDGET))
    static let block = field(Int(CPU_OFFSET_BLOCK))
    static let vectorsResident = field(Int(CPU_OFFSET_VECTORS_RESIDENT))
    static let mxcsr = field(Int(CPU_OFFSET_MXCSR))
    static let x87Resident = field(Int(CPU_OFFSET_X87_RESIDENT))

    /// The TLB context of lower- or upper-half addresses.
    static func tlbContext(upper: Bool) -> HostAddress {
        field(CPUOffsets.tlbContext &+ (upper ? 8 : 0))
    }

    /// The jump cache context of lower- or upper-half targets.
    static func jumpContext(upper: Bool) -> HostAddress {
        field(CPUOffsets.jumpContext &+ (upper ? 8 : 0))
    }

    // Fields of TLB entries and jump cache entries, by the entry's byte offset in `index`.
    static func readTag(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.tlb &+ 0, index: index)
    }
    static func writeTag(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.tlb &+ 8, index: index)
    }
    static func addend(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.tlb &+ 16, index: index)
    }
    static func jumpAddress(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.jumpCache &+ 0, index: index)
    }
    static func jumpEntryContext(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.jumpCache &+ 8, index: index)
    }
    static func jumpInstruction(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.jumpCache &+ 16, index: index)
    }
    static func jumpCode(_ index: HostRegister) -> HostAddress {
        field(CPUOffsets.jumpCache &+ 24, index: index)
    }
}
