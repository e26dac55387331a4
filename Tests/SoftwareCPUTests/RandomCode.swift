import GuestMemory
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// Random 64-bit programs of one page: blocks of arithmetic and memory accesses that jump to each other,
/// most of them back, until R13 has been counted down.
struct RandomCode {
    /// Where the program is to run.
    static let address: UInt64 = 0x5000
    private(set) var bytes: [UInt8] = []
    private var random: OracleRandom
    private var starts: [Int] = []
    /// Displacements to be filled in, with the numbers of the blocks they lead to; -1: the end.
    private var jumps: [(place: Int, block: Int)] = []
    /// RSI, RDI and RSP have uses of their own, R13 counts, RBP stays.
    private static let registers: [UInt8] = [0, 1, 2, 3, 8, 9, 10, 11, 14, 15]

    init(seed: UInt64) {
        random = OracleRandom(state: seed)
        let count = pick(2...9)
        for block in 0..<count {
            starts.append(bytes.count)
            // sub r13d, 1; js end
            bytes += [0x41, 0x83, 0xed, 1, 0x0f, 0x88]
            displacement(to: -1)
            for _ in 0..<pick(1...7) { instruction() }
            end(block, of: count)
        }
        // jmp to the first; hlt
        bytes.append(0xe9)
        displacement(to: 0)
        let last = bytes.count
        bytes.append(0xf4)
        for (place, block) in jumps {
            let target = block < 0 ? last : starts[block]
            let distance = UInt32(truncatingIfNeeded: target - (place + 4))
            for index in 0..<4 {
                bytes[place + index] = UInt8(truncatingIfNeeded: distance >> UInt32(index * 8))
            }
        }
    }

    private mutating func pick(_ range: ClosedRange<Int>) -> Int {
        .random(in: range, using: &random)
    }

    private mutating func register() -> UInt8 { Self.registers[pick(0...9)] }

    private mutating func displacement(to block: Int) {
        jumps.append((bytes.count, block))
        bytes += [0, 0, 0, 0]
    }

    /// What the block jumps to: mostly itself or one shortly before it.
    private mutating func end(_ block: Int, of count: Int) {
        let target = pick(0...3) == 0 ? pick(0...(count - 1)) : max(0, block - pick(0...2))
        switch pick(0...9) {
        case 0: return
        case 1:
            bytes.append(0xe9)
            displacement(to: pick(0...(count - 1)))
        case 2:
            // jrcxz over jmp; RCX is 0 or 1 half of the time.
            if pick(0...1) == 0 { bytes += [0x83, 0xe1, 0x01] }
            bytes += [0xe3, 5, 0xe9]
            displacement(to: target)
        default:
            bytes += [0x0f, 0x80 | UInt8(pick(0...15))]
            displacement(to: target)
        }
    }

    /// REX, opcode and ModRM of two registers.
    private mutating func pair(_ opcode: UInt8, map: Bool = false) {
        let (one, other) = (register(), register())
        let wide: UInt8 = pick(0...1) == 0 ? 8 : 0
        bytes.append(0x40 | wide | (one & 8) >> 1 | (other & 8) >> 3)
        if map { bytes.append(0x0f) }
        bytes += [opcode, 0xc0 | (one & 7) << 3 | other & 7]
    }

    /// The same of a register and the memory at RSI or RDI and a displacement of one byte.
    private mutating func memory(_ opcode: UInt8, map: Bool = false) {
        let one = register()
        let wide: UInt8 = pick(0...1) == 0 ? 8 : 0
        bytes.append(0x40 | wide | (one & 8) >> 1)
        if map { bytes.append(0x0f) }
        let base: UInt8 = pick(0...1) == 0 ? 6 : 7
        bytes += [opcode, 0x40 | (one & 7) << 3 | base, UInt8(pick(0...15) * 8)]
    }

    private mutating func instruction() {
        let operations: [UInt8] = [0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38]
        switch pick(0...15) {
        case 0...2: pair(operations[pick(0...7)] | 1)
        case 3...5: memory(operations[pick(0...7)] | 3)
        case 6: memory(operations[pick(0...7)] | 1)
        case 7: memory(0x8b)
        case 8: memory(0x89)
        case 9: memory(0xb6, map: true)
        case 10: step()
        case 11: shift()
        case 12: pair(0x40 | UInt8(pick(0...15)), map: true)
        case 13: pair(0xb6, map: true)
        case 14: stack()
        default: walk()
        }
    }

    /// INC or DEC.
    private mutating func step() {
        let one = register()
        let wide: UInt8 = pick(0...1) == 0 ? 8 : 0
        bytes += [0x40 | wide | (one & 8) >> 3, 0xff, 0xc0 | UInt8(pick(0...1)) << 3 | one & 7]
    }

    /// A shift or rotation by 1, which leaves no flag undefined but AF.
    private mutating func shift() {
        let one = register()
        let kinds: [UInt8] = [0, 1, 4, 5, 7]
        bytes += [0x40 | (one & 8) >> 3, 0xd1, 0xc0 | kinds[pick(0...4)] << 3 | one & 7]
    }

    private mutating func stack() {
        let (one, other) = (register() & 3, register() & 3)
        if pick(0...2) == 0 {
            // push [rsi + displacement]
            bytes += [0xff, 0x76, UInt8(pick(0...15) * 8), 0x58 | other]
        } else {
            bytes += [0x50 | one, 0x58 | other]
        }
    }

    /// RDI goes on, and now and then beyond what is mapped.
    private mutating func walk() {
        switch pick(0...7) {
        // add rdi, rbp; add rdi, 8; inc rsi; dec rsi; sub rsi, 8
        case 0: bytes += [0x48, 0x01, 0xef]
        case 1...3: bytes += [0x48, 0x83, 0xc7, 8]
        case 4: bytes += [0x48, 0xff, 0xc6]
        case 5: bytes += [0x48, 0xff, 0xce]
        default: bytes += [0x48, 0x83, 0xee, 8]
        }
    }
}

extension RandomCode {
    /// Runs the program, which the machine has, with registers and memory that `seed` says, and gives what
    /// it comes to without what is undefined.
    func run(
        in machine: TranslationMachine, seed: UInt64,
        by run: (SoftwareEngine) -> VMExit = { $0.run(budget: 1_000_000) }
    ) -> (exit: VMExit, state: ArchitecturalState, memory: [UInt8]) {
        machine.mapSmallPages()
        var random = OracleRandom(state: seed)
        for address in stride(from: 0x8000 as UInt64, to: 0xa000, by: 8) {
            machine.memory.write(GuestPhysicalAddress(address), integer: random.next())
        }
        for number in Self.registers { machine.setRegisters([Int(number): random.next()]) }
        // RDI goes from one small page to the other and beyond.
        machine.setRegisters([
            4: 0x9800, 5: 0x3f8, 6: 0x9100, 7: 0x20_0f00 + seed % 256, 13: 3000,
        ])
        let exit = run(machine.engine)
        var state = machine.engine.state
        state.modelSpecific.tsc = 0
        var bytes: [UInt8] = []
        for start in [0x8000, 0x20_0000, 0x20_2000] as [UInt64] {
            bytes += (0..<0x2000).map {
                machine.memory.read(GuestPhysicalAddress(start + $0), as: UInt8.self) ?? 0
            }
        }
        // Shifts leave AF undefined; a fault's frame has the flags 24 bytes up.
        state.rflags &= ~0x10
        let image = Int(truncatingIfNeeded: state.generalPurposeRegisters[4]) + 24 - 0x8000
        if state.rip == 0x3001, bytes.indices.contains(image) { bytes[image] &= ~0x10 }
        return (exit, state, bytes)
    }
}
