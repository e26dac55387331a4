internal import CEngine
internal import X86

/// A memory operand of the guest in 64-bit code, as translated code computes it.
struct GuestAccess: Equatable {
    enum Base: Equatable {
        case none
        /// A guest register.
        case register(UInt8)
        /// The linear address of the page that the block lies in.
        case codePage
    }

    var base = Base.none
    /// A guest register.
    var index: UInt8?
    var scaleShift: UInt8 = 0
    var displacement: Int64 = 0
    /// FS (4) or GS (5).
    var segment: UInt8?
    var byteCount = 0

    /// The operand of an instruction at `pageOffset`. Nil: 32-bit addresses, which the interpreter
    /// does.
    init?(_ instruction: Instruction, pageOffset: Int) {
        let memory = instruction.memory
        if instruction.addressSize != 8 { return nil }
        displacement = memory.displacement
        switch memory.base {
        case MemoryOperand.absent: break
        case MemoryOperand.instructionPointer:
            base = .codePage
            displacement &+= Int64(pageOffset &+ Int(instruction.length))
        default: base = .register(memory.base)
        }
        if memory.index != MemoryOperand.absent {
            index = memory.index
            scaleShift = memory.scaleShift
        }
        if memory.segment >= 4 { segment = memory.segment }
        byteCount = Int(memory.byteCount)
        if !fits { return nil }
    }

    /// Bytes at a guest register plus a displacement.
    init(register: UInt8, displacement: Int64, byteCount: Int) {
        base = .register(register)
        self.displacement = displacement
        self.byteCount = byteCount
    }

    /// Every byte's displacement can be encoded.
    private var fits: Bool {
        let last = displacement &+ Int64(byteCount) &+ 16
        return displacement >= Int64(Int32.min) && last <= Int64(Int32.max)
    }

    /// Two host registers and a displacement.
    var indexedBase: (base: HostRegister, index: HostRegister)? {
        guard segment == nil, case .register(let number) = base,
            let base = HostLayout.host(number), let index = index.flatMap(HostLayout.host)
        else { return nil }
        return (base, index)
    }

    /// One host register and a displacement.
    var simpleBase: HostRegister? {
        guard index == nil, segment == nil, case .register(let number) = base else { return nil }
        return HostLayout.host(number)
    }
}

extension Assembler {
    /// The linear address of `access`, `more` bytes on, into `target`. Clobbers the host's flags.
    mutating func compute(_ access: GuestAccess, plus more: Int = 0, into target: HostRegister) {
        let displacement = Int32(truncatingIfNeeded: access.displacement &+ Int64(more))
        var address = HostAddress(displacement: displacement)
        switch access.base {
        case .none: break
        case .codePage:
            load(target, HostLayout.codePage)
            address.base = target
        case .register(let number):
            if let host = HostLayout.host(number) {
                address.base = host
            } else if access.index.flatMap(HostLayout.host) != nil || access.index == nil {
                load(target, HostLayout.generalRegister(Int(number)))
                address.base = target
            }
        }
        if let index = access.index {
            if let host = HostLayout.host(index) {
                address.index = host
                address.scaleShift = access.scaleShift
            } else {
                address = scaledFromState(index, access, address, into: target)
            }
        }
        loadAddress(target, address)
        if let segment = access.segment {
            // ADD target, segment base.
            instruction(
                HostOpcode(0x03, wide: true), register: target.number,
                .memory(HostLayout.field(Int(Layout.segmentBase(Int(segment))))))
        }
    }

    /// An index that stays in `CPUState`; its base may too.
    private mutating func scaledFromState(
        _ index: UInt8, _ access: GuestAccess, _ address: HostAddress, into target: HostRegister
    ) -> HostAddress {
        var address = address
        if address.base == target {
            // RIP-relative operands have no index.
            return address
        }
        load(target, HostLayout.generalRegister(Int(index)))
        if let base = address.base {
            address.base = base
            address.index = target
            address.scaleShift = access.scaleShift
            return address
        }
        if access.scaleShift != 0 {
            // SHL target, scale.
            instruction(
                HostOpcode(0xc1, wide: true), register: 4, .register(target.number))
            byte(access.scaleShift)
        }
        if case .register(let base) = access.base {
            instruction(
                HostOpcode(0x03, wide: true), register: target.number,
                .memory(HostLayout.generalRegister(Int(base))))
        }
        address.base = target
        return address
    }
}
