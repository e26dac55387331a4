internal import CEngine
internal import X86

/// The control half of x87, until the arithmetic is there: what a kernel's start-up needs.
enum X87Availability { case available, deviceNotAvailable }

enum X87Lowering {
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, availability: X87Availability
    ) -> Bool {
        switch instruction.mnemonic {
        case .fninit:
            unsafe op.handler = { cpu, op in
                unsafe cpu.pointee.x87Control = 0x37f
                unsafe cpu.pointee.x87Status = 0
                unsafe cpu.pointee.x87Tags = 0
                return unsafe op + 1
            }
        case .fnclex:
            unsafe op.handler = { cpu, op in
                unsafe cpu.pointee.x87Status &= 0x7f00
                return unsafe op + 1
            }
        case .fwait:
            unsafe op.handler = { cpu, op in unsafe op + 1 }
        case .fnstsw where instruction.operand0 == .memory:
            unsafe op.handler = { cpu, op in
                let status = unsafe cpu.pointee.x87Status
                return unsafe store(cpu, op, effectiveAddress(cpu, op), status) ? op + 1 : nil
            }
        case .fnstcw:
            unsafe op.handler = { cpu, op in
                let control = unsafe cpu.pointee.x87Control
                return unsafe store(cpu, op, effectiveAddress(cpu, op), control) ? op + 1 : nil
            }
        case .fldcw:
            unsafe op.handler = { cpu, op in
                guard let control = unsafe load(cpu, op, effectiveAddress(cpu, op), as: UInt16.self)
                else { return nil }
                unsafe cpu.pointee.x87Control = control
                return unsafe op + 1
            }
        default: return false
        }
        return true
    }
}
