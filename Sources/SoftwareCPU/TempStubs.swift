internal import CEngine
import VirtualCPU

func condition0(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition1(flags: UInt64) -> Bool { flags & 1 == 0 }
func condition2(flags: UInt64) -> Bool { flags & 0x100 != 0 }
func condition3(flags: UInt64) -> Bool { flags & 0x100 == 0 }
func condition4(flags: UInt64) -> Bool { flags & 0x4000 != 0 }
func condition5(flags: UInt64) -> Bool { flags & 0x4000 == 0 }
func condition6(flags: UInt64) -> Bool { flags & 0x4100 != 0 }
func condition7(flags: UInt64) -> Bool { flags & 0x4100 == 0 }
func condition8(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition9(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition10(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition11(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition12(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition13(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition14(flags: UInt64) -> Bool { flags & 1 != 0 }
func condition15(flags: UInt64) -> Bool { flags & 1 != 0 }
func buildBlock(_ cpu: CPU, _ engine: EngineContext, linear: UInt64, physical: UInt64)
    -> UnsafeMutablePointer<DecodedInstruction>?
{ nil }
func transientBlock(_ cpu: CPU, _ engine: EngineContext, linear: UInt64, physical: UInt64) -> Next {
    nil
}
