internal import CEngine

extension SharedRoutines {
    /// What `recallVictim` does.
    static func emitRecall(_ assembler: inout Assembler, write: Bool) {
        let second = Int32(truncatingIfNeeded: Int(TLB_ENTRY_COUNT) &* MemoryLayout<TLBEntry>.size)
        func word(_ number: Int, _ distance: Int32) -> HostAddress {
            var address = HostLayout.readTag(.r10)
            address.displacement &+= distance &+ Int32(truncatingIfNeeded: number &* 8)
            return address
        }
        // CMP R11, [victim's tag].
        assembler.instruction(
            HostOpcode(0x3b, wide: true), register: 11, .memory(word(write ? 1 : 0, second)))
        let absent = assembler.jump(.notEqual)
        // By way of the stack: no register is free, and PUSH and POP leave the flags alone.
        let words = 0..<(MemoryLayout<TLBEntry>.size / 8)
        for distance in [0, second] {
            for number in words {
                assembler.instruction(
                    HostOpcode(0xff), register: 6, .memory(word(number, distance)))
            }
        }
        for distance in [0, second] {
            for number in words.reversed() {
                assembler.instruction(
                    HostOpcode(0x8f), register: 0, .memory(word(number, distance)))
            }
        }
        assembler.bind(absent)
        assembler.byte(0xc3)
    }
}
