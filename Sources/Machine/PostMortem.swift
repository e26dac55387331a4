public import VirtualCPU
public import Vocabulary

/// What is known about a guest that died: why, the registers of the vCPU at fault, its last exits.
public struct PostMortem: Sendable, CustomStringConvertible {
    public var reason: StopReason
    public var vcpu: VCPUIndex
    public var state: ArchitecturalState
    /// Oldest first, one line each.
    public var lastExits: [String]

    /// Several lines for a person.
    public var description: String {
        var lines = [reason.description]
        lines.append(contentsOf: state.registerLines)
        lines.append("last exits, oldest first:")
        lines.append(contentsOf: lastExits.map { "  " + $0 })
        return lines.joined(separator: "\n")
    }
}

extension ArchitecturalState {
    /// The registers as a person wants to see them after an accident.
    var registerLines: [String] {
        let names = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
            "r12", "r13", "r14", "r15",
        ]
        var lines: [String] = []
        lines.append("rip \(hexadecimal(rip, digits: 16)) rflags \(hexadecimal(rflags, digits: 8))")
        var row: [String] = []
        for (name, value) in zip(names, generalPurposeRegisters) {
            row.append("\(name) \(hexadecimal(value, digits: 16))")
            if row.count == 4 {
                lines.append(row.joined(separator: " "))
                row.removeAll()
            }
        }
        lines.append(
            "cr0 \(hexadecimal(cr0, digits: 8)) cr2 \(hexadecimal(cr2, digits: 16)) "
                + "cr3 \(hexadecimal(cr3, digits: 16)) cr4 \(hexadecimal(cr4, digits: 8)) "
                + "efer \(hexadecimal(modelSpecific.efer, digits: 4))")
        for (name, segment) in [
            ("cs", cs), ("ss", ss), ("ds", ds), ("es", es), ("fs", fs), ("gs", gs),
            ("tr", taskRegister), ("ldt", localDescriptorTable),
        ] {
            lines.append(
                name + String(repeating: " ", count: 4 - name.count)
                    + "\(hexadecimal(UInt64(segment.selector), digits: 4)) "
                    + "base \(hexadecimal(segment.base, digits: 16)) "
                    + "limit \(hexadecimal(UInt64(segment.limit), digits: 8)) "
                    + "attributes \(hexadecimal(UInt64(segment.attributes), digits: 4))")
        }
        lines.append(
            "gdt base \(hexadecimal(gdt.base, digits: 16)) limit \(hexadecimal(UInt64(gdt.limit))) "
                + "idt base \(hexadecimal(idt.base, digits: 16)) limit "
                + hexadecimal(UInt64(idt.limit)))
        return lines
    }
}
