// The sixteen conditions of Jcc, SETcc and CMOVcc on the status word: bit 15 SF, 14 ZF, 12 AF, 10 PF,
// 8 CF, 0 OF.

@inline(__always) func condition0(flags: UInt64) -> Bool { flags & 1 != 0 }
@inline(__always) func condition1(flags: UInt64) -> Bool { flags & 1 == 0 }
@inline(__always) func condition2(flags: UInt64) -> Bool { flags & 0x100 != 0 }
@inline(__always) func condition3(flags: UInt64) -> Bool { flags & 0x100 == 0 }
@inline(__always) func condition4(flags: UInt64) -> Bool { flags & 0x4000 != 0 }
@inline(__always) func condition5(flags: UInt64) -> Bool { flags & 0x4000 == 0 }
@inline(__always) func condition6(flags: UInt64) -> Bool { flags & 0x4100 != 0 }
@inline(__always) func condition7(flags: UInt64) -> Bool { flags & 0x4100 == 0 }
@inline(__always) func condition8(flags: UInt64) -> Bool { flags & 0x8000 != 0 }
@inline(__always) func condition9(flags: UInt64) -> Bool { flags & 0x8000 == 0 }
@inline(__always) func condition10(flags: UInt64) -> Bool { flags & 0x400 != 0 }
@inline(__always) func condition11(flags: UInt64) -> Bool { flags & 0x400 == 0 }
@inline(__always) func condition12(flags: UInt64) -> Bool { (flags &>> 15 ^ flags) & 1 != 0 }
@inline(__always) func condition13(flags: UInt64) -> Bool { (flags &>> 15 ^ flags) & 1 == 0 }
@inline(__always) func condition14(flags: UInt64) -> Bool {
    flags & 0x4000 != 0 || condition12(flags: flags)
}
@inline(__always) func condition15(flags: UInt64) -> Bool { !condition14(flags: flags) }

/// Any of them, by number.
func condition(_ code: UInt8, flags: UInt64) -> Bool {
    let holds: Bool
    switch code &>> 1 {
    case 0: holds = condition0(flags: flags)
    case 1: holds = condition2(flags: flags)
    case 2: holds = condition4(flags: flags)
    case 3: holds = condition6(flags: flags)
    case 4: holds = condition8(flags: flags)
    case 5: holds = condition10(flags: flags)
    case 6: holds = condition12(flags: flags)
    default: holds = condition14(flags: flags)
    }
    return holds != (code & 1 != 0)
}
