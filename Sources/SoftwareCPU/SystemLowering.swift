internal import CEngine
internal import X86

/// Privileged, segment, string and port instructions.
enum SystemLowering {
    /// Nil: not one of these.
    static func lower(
        _ instruction: Instruction, into op: inout DecodedInstruction, mode: UInt32
    ) -> Lowering.Outcome? {
        if let outcome = unsafe strings(instruction, &op) { return outcome }
        if let outcome = unsafe segments(instruction, &op) { return outcome }
        switch instruction.mnemonic {
        case .mov:
            guard case .register(let file, let number) = instruction.operand1,
                file == .control || file == .debug
            else { return unsafe moveToSpecial(instruction, &op) }
            if file == .control, ![0, 2, 3, 4, 8].contains(number) {
                return unsafe set(&op, SystemInstruction.invalidOpcode, .ends)
            }
            unsafe op.auxiliary = number
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.handler =
                file == .control ? ControlRegister.read : DebugRegister.read
            return .continues
        case .hlt: return unsafe set(&op, SystemInstruction.halt, .ends)
        case .pause: return unsafe set(&op, SystemInstruction.pause, .continues)
        case .vmcall, .vmmcall: return unsafe set(&op, SystemInstruction.hypercall, .ends)
        case .cpuid: return unsafe set(&op, SystemInstruction.cpuid, .ends)
        case .invd, .wbinvd: return unsafe set(&op, SystemInstruction.cacheControl, .continues)
        case .invlpg: return unsafe set(&op, SystemInstruction.invalidatePage, .ends)
        case .invpcid:
            unsafe op.destination = Lowering.offset(instruction.operand0)
            return unsafe set(&op, SystemInstruction.invalidatePCID, .ends)
        case .swapgs: return unsafe set(&op, SystemInstruction.swapGS, .continues)
        case .clts: return unsafe set(&op, ControlRegister.clearTaskSwitched, .ends)
        case .rdmsr: return unsafe set(&op, ModelSpecificRegister.read, .continues)
        case .wrmsr: return unsafe set(&op, ModelSpecificRegister.write, .ends)
        case .rdtsc, .rdtscp:
            unsafe op.auxiliary = instruction.mnemonic == .rdtscp ? 1 : 0
            return unsafe set(&op, ModelSpecificRegister.timeStampCounter, .continues)
        case .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase: return unsafe bases(instruction, &op)
        case .cli: return unsafe set(&op, SystemInstruction.clearInterrupt, .continues)
        case .sti: return unsafe set(&op, SystemInstruction.setInterrupt, .endsAfterNext)
        case .clac: return unsafe set(&op, SystemInstruction.clearAccessCheck, .continues)
        case .stac: return unsafe set(&op, SystemInstruction.setAccessCheck, .continues)
        case .pushf:
            unsafe op.auxiliary = instruction.operandSize
            return unsafe set(&op, SystemInstruction.pushFlags, .continues)
        case .popf:
            unsafe op.auxiliary = instruction.operandSize
            return unsafe set(&op, SystemInstruction.popFlags, .ends)
        case .lgdt, .lidt:
            unsafe op.auxiliary = instruction.operandSize
            return unsafe set(
                &op,
                instruction.mnemonic == .lgdt
                    ? DescriptorTables.loadGlobal : DescriptorTables.loadInterrupt, .continues)
        case .sgdt: return unsafe set(&op, DescriptorTables.storeGlobal, .continues)
        case .sidt: return unsafe set(&op, DescriptorTables.storeInterrupt, .continues)
        case .in, .out: return unsafe port(instruction, &op)
        case .rdpmc: return unsafe set(&op, SystemInstruction.performanceCounter, .ends)
        // RDPID, XSAVES and XRSTORS: no processor model offers them (CPUID leaves 7 and 0xd).
        case .ud0, .ud1, .ud2, .rsm, .rdpid, .xsaves, .xrstors:
            return unsafe set(&op, SystemInstruction.invalidOpcode, .ends)
        default: return nil
        }
    }

    private static func set(
        _ op: inout DecodedInstruction, _ handler: InstructionHandler, _ outcome: Lowering.Outcome
    ) -> Lowering.Outcome {
        unsafe op.handler = unsafe handler
        return outcome
    }

    private static func moveToSpecial(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> Lowering.Outcome? {
        guard case .register(let file, let number) = instruction.operand0,
            file == .control || file == .debug
        else { return nil }
        if file == .control, ![0, 2, 3, 4, 8].contains(number) {
            return unsafe set(&op, SystemInstruction.invalidOpcode, .ends)
        }
        unsafe op.auxiliary = number
        unsafe op.source = Lowering.offset(instruction.operand1)
        unsafe op.handler = file == .control ? ControlRegister.write : DebugRegister.write
        return .ends
    }

    private static func bases(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> Lowering.Outcome {
        let isFS = instruction.mnemonic == .rdfsbase || instruction.mnemonic == .wrfsbase
        let reads = instruction.mnemonic == .rdfsbase || instruction.mnemonic == .rdgsbase
        unsafe op.auxiliary = UInt8(isFS ? Segment.fs : Segment.gs)
        unsafe op.immediate = UInt64(instruction.operandSize)
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.source = unsafe op.destination
        unsafe op.handler =
            reads ? SystemInstruction.readBase : SystemInstruction.writeBase
        return .continues
    }

    private static func port(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> Lowering.Outcome {
        let isInput = instruction.mnemonic == .in
        let number = isInput ? instruction.operand1 : instruction.operand0
        unsafe op.immediate = instruction.immediate
        unsafe op.source = Lowering.offset(number)
        unsafe op.auxiliary = instruction.operandSize
        unsafe op.handler = isInput ? PortIO.input : PortIO.output
        return .continues
    }

    // MARK: Strings

    private static func strings(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> Lowering.Outcome? {
        let handler: InstructionHandler
        switch instruction.mnemonic {
        case .movs: unsafe handler = StringInstruction.move
        case .stos: unsafe handler = StringInstruction.store
        case .lods: unsafe handler = StringInstruction.load
        case .scas: unsafe handler = StringInstruction.scan
        case .cmps: unsafe handler = StringInstruction.compare
        case .ins: unsafe handler = StringInstruction.input
        case .outs: unsafe handler = StringInstruction.output
        default: return nil
        }
        unsafe op.handler = unsafe handler
        unsafe op.auxiliary = instruction.operandSize
        unsafe op.scaleShift =
            instruction.prefixes.contains(.rep) ? 1 : instruction.prefixes.contains(.repne) ? 2 : 0
        return .continues
    }

    // MARK: Segment registers

    private static func segmentNumber(_ operand: Operand) -> UInt8? {
        if case .register(.segment, let number) = operand { number } else { nil }
    }

    private static func segments(
        _ instruction: Instruction, _ op: inout DecodedInstruction
    ) -> Lowering.Outcome? {
        switch instruction.mnemonic {
        case .mov:
            if let number = segmentNumber(instruction.operand0) {
                unsafe op.auxiliary = number
                unsafe op.source = Lowering.offset(instruction.operand1)
                unsafe op.handler = SegmentInstruction.load
                return .ends
            }
            if let number = segmentNumber(instruction.operand1) {
                unsafe op.auxiliary = number
                unsafe op.immediate = UInt64(instruction.operandSize)
                unsafe op.destination = Lowering.offset(instruction.operand0)
                unsafe op.handler = SegmentInstruction.store
                return .continues
            }
            return nil
        case .push, .pop:
            guard let number = segmentNumber(instruction.operand0) else { return nil }
            unsafe op.immediate = UInt64(number)
            unsafe op.auxiliary = instruction.operandSize
            let isPush = instruction.mnemonic == .push
            unsafe op.handler = isPush ? SegmentInstruction.push : SegmentInstruction.pop
            return isPush ? .continues : .ends
        case .les: return unsafe pointer(instruction, &op, Segment.es)
        case .lss: return unsafe pointer(instruction, &op, Segment.ss)
        case .lds: return unsafe pointer(instruction, &op, Segment.ds)
        case .lfs: return unsafe pointer(instruction, &op, Segment.fs)
        case .lgs: return unsafe pointer(instruction, &op, Segment.gs)
        case .sldt: return unsafe stored(instruction, &op, 0)
        case .str: return unsafe stored(instruction, &op, 1)
        case .smsw: return unsafe stored(instruction, &op, 2)
        case .lldt: return unsafe loaded(instruction, &op, SegmentInstruction.loadSystem, 0)
        case .ltr: return unsafe loaded(instruction, &op, SegmentInstruction.loadSystem, 1)
        case .lmsw:
            _ = unsafe loaded(instruction, &op, SegmentInstruction.loadSystem, 2)
            return .ends
        case .verr: return unsafe loaded(instruction, &op, SegmentInstruction.verify, 0)
        case .verw: return unsafe loaded(instruction, &op, SegmentInstruction.verify, 1)
        case .lar, .lsl:
            unsafe op.destination = Lowering.offset(instruction.operand0)
            unsafe op.source = Lowering.offset(instruction.operand1)
            unsafe op.immediate = UInt64(instruction.operandSize)
            unsafe op.auxiliary = instruction.mnemonic == .lar ? 0 : 1
            unsafe op.handler = SegmentInstruction.inspectDescriptor
            return .continues
        case .arpl:
            unsafe op.source = Lowering.offset(instruction.operand0)
            unsafe op.destination = Lowering.offset(instruction.operand1)
            unsafe op.handler = SegmentInstruction.adjustPrivilege
            return .continues
        default: return nil
        }
    }

    private static func pointer(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ number: Int
    ) -> Lowering.Outcome {
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.auxiliary = instruction.operandSize
        unsafe op.immediate = UInt64(number)
        unsafe op.handler = SegmentInstruction.loadPointer
        return .ends
    }

    private static func stored(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ kind: UInt8
    ) -> Lowering.Outcome {
        unsafe op.destination = Lowering.offset(instruction.operand0)
        unsafe op.immediate = UInt64(instruction.operandSize)
        unsafe op.auxiliary = kind
        unsafe op.handler = SegmentInstruction.storeSystem
        return .continues
    }

    private static func loaded(
        _ instruction: Instruction, _ op: inout DecodedInstruction, _ handler: InstructionHandler,
        _ kind: UInt8
    ) -> Lowering.Outcome {
        unsafe op.source = Lowering.offset(instruction.operand0)
        unsafe op.auxiliary = kind
        unsafe op.handler = unsafe handler
        return .continues
    }
}
