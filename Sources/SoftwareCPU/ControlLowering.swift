internal import CEngine
internal import X86

/// Jumps, calls, returns, interrupts: what ends a block.
enum ControlLowering {
    /// Nil: not one of these.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, mode: UInt32
    ) -> Lowering.Outcome? {
        let isLong = mode & BlockMode.sizeMask == BlockMode.code64
        switch instruction.mnemonic {
        case .jcc:
            unsafe direct(instruction, &op)
            unsafe op.handler = ConditionalBranch.handlers[Int(instruction.condition & 15)]
            unsafe op.source = UInt16(instruction.condition & 15)
            unsafe cengine_set_fall_through(&op, 0)
            return .branches
        case .jmp:
            unsafe jump(instruction, &op, isLong: isLong)
            return .transfers
        case .call:
            unsafe call(instruction, &op, isLong: isLong)
            return .transfers
        case .ret:
            unsafe op.immediate = instruction.immediate
            unsafe op.auxiliary = instruction.operandSize
            unsafe op.handler = isLong ? NearTransfer.return64 : NearTransfer.returnLegacy
            return .transfers
        case .loop: unsafe loop(instruction, &op, kind: 0)
        case .loope: unsafe loop(instruction, &op, kind: 1)
        case .loopne: unsafe loop(instruction, &op, kind: 2)
        case .jrcxz: unsafe loop(instruction, &op, kind: 3)
        case .jmpf:
            unsafe far(
                instruction, &op, FarTransfer.jumpDirect, FarTransfer.jumpMemory)
        case .callf:
            unsafe far(
                instruction, &op, FarTransfer.callDirect, FarTransfer.callMemory)
        case .retf:
            unsafe op.immediate = instruction.immediate
            unsafe op.auxiliary = instruction.operandSize
            unsafe op.handler = FarTransfer.farReturn
        case .iret:
            unsafe op.auxiliary = instruction.operandSize
            unsafe op.handler = FarTransfer.interruptReturn
        case .int:
            unsafe op.immediate = instruction.immediate
            unsafe op.handler = FarTransfer.interrupt
        case .int3:
            unsafe op.handler = FarTransfer.breakpoint
        case .into: unsafe op.handler = FarTransfer.overflowInterrupt
        case .int1: unsafe op.handler = FarTransfer.debugInterrupt
        case .syscall: unsafe op.handler = SystemCall.syscall
        case .sysret:
            unsafe op.auxiliary = instruction.prefixes.contains(.rexW) ? 8 : 4
            unsafe op.handler = SystemCall.sysret
        case .sysenter: unsafe op.handler = SystemCall.sysenter
        case .sysexit:
            unsafe op.auxiliary = instruction.prefixes.contains(.rexW) ? 8 : 4
            unsafe op.handler = SystemCall.sysexit
        default: return nil
        }
        return .ends
    }

    private static func direct(_ instruction: Instruction, _ op: inout DecodedInstruction) {
        unsafe op.displacement = Int32(
            truncatingIfNeeded: Int64(bitPattern: instruction.immediate))
        unsafe op.destination = unsafe op.offsetBehind
        unsafe op.auxiliary = instruction.operandSize
    }

    private static func jump(
        _ instruction: Instruction, _ op: inout DecodedInstruction, isLong: Bool
    ) {
        if instruction.operand0 == .relative {
            unsafe direct(instruction, &op)
            unsafe op.handler = NearTransfer.jumpRelative
            return
        }
        let isMemory = instruction.operand0 == .memory
        unsafe op.source = Lowering.offset(instruction.operand0)
        unsafe op.auxiliary = instruction.operandSize
        if isLong {
            unsafe op.handler = isMemory ? NearTransfer.jumpMemory64 : NearTransfer.jumpRegister64
        } else {
            unsafe op.handler = NearTransfer.jumpLegacy
        }
    }

    private static func call(
        _ instruction: Instruction, _ op: inout DecodedInstruction, isLong: Bool
    ) {
        if instruction.operand0 == .relative {
            unsafe direct(instruction, &op)
            unsafe op.handler =
                isLong ? NearTransfer.callRelative64 : NearTransfer.callRelativeLegacy
            return
        }
        let isMemory = instruction.operand0 == .memory
        unsafe op.source = Lowering.offset(instruction.operand0)
        unsafe op.destination = unsafe op.offsetBehind
        unsafe op.auxiliary = instruction.operandSize
        if isLong {
            unsafe op.handler = isMemory ? NearTransfer.callMemory64 : NearTransfer.callRegister64
        } else {
            unsafe op.handler = NearTransfer.callLegacy
        }
    }

    private static func loop(
        _ instruction: Instruction, _ op: inout DecodedInstruction, kind: UInt8
    ) {
        unsafe direct(instruction, &op)
        unsafe op.source = UInt16(instruction.addressSize)
        unsafe op.scaleShift = kind
        unsafe op.handler = NearTransfer.loop
    }

    private static func far(
        _ instruction: Instruction, _ op: inout DecodedInstruction,
        _ directHandler: InstructionHandler, _ memoryHandler: InstructionHandler
    ) {
        unsafe op.auxiliary = instruction.operandSize
        if instruction.operand0 == .farPointer {
            unsafe op.immediate = instruction.immediate
            unsafe op.displacement = Int32(truncatingIfNeeded: instruction.secondImmediate)
            unsafe op.handler = unsafe directHandler
        } else {
            unsafe op.handler = unsafe memoryHandler
        }
    }
}
