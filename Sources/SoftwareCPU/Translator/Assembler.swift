/// A general-purpose register of the host, by its number in instructions.
struct HostRegister: Equatable, Sendable {
    var number: UInt8

    static let rax = HostRegister(number: 0)
    static let rcx = HostRegister(number: 1)
    static let rdx = HostRegister(number: 2)
    static let rbx = HostRegister(number: 3)
    static let rsp = HostRegister(number: 4)
    static let rbp = HostRegister(number: 5)
    static let rsi = HostRegister(number: 6)
    static let rdi = HostRegister(number: 7)
    static let r10 = HostRegister(number: 10)
    static let r11 = HostRegister(number: 11)
    static let r12 = HostRegister(number: 12)
    static let r13 = HostRegister(number: 13)
    static let r14 = HostRegister(number: 14)
    static let r15 = HostRegister(number: 15)
}

/// Base + index * scale + displacement in the host's address space.
struct HostAddress: Equatable, Sendable {
    var base: HostRegister?
    /// Not RSP.
    var index: HostRegister?
    /// 0 to 3.
    var scaleShift: UInt8 = 0
    var displacement: Int32 = 0
    /// The displacement takes four bytes.
    var isLong = false
}

/// What ModRM.rm says.
enum HostPlace: Sendable {
    /// A general-purpose or vector register.
    case register(UInt8)
    case memory(HostAddress)
}

/// Prefixes and opcode of a host instruction.
struct HostOpcode: Sendable {
    /// Opcode map: 0 one byte, 1 0F, 2 0F38, 3 0F3A.
    var map: UInt8 = 0
    var opcode: UInt8
    var isWide = false
    /// 66, as operand size or as part of the opcode.
    var hasOperandSizePrefix = false
    /// F2, F3 or 0.
    var repeatPrefix: UInt8 = 0
    var isLocked = false
    /// A REX prefix even without bits: byte registers 4 to 7 are SPL to DIL.
    var needsREX = false

    init(_ opcode: UInt8, map: UInt8 = 0, wide: Bool = false) {
        self.opcode = opcode
        self.map = map
        isWide = wide
    }
}

/// Condition codes of the host, as in opcodes.
enum HostCondition: UInt8, Sendable {
    case overflow = 0
    case carry = 2
    case equal = 4
    case notEqual = 5
    case belowOrEqual = 6
    case above = 7
    case sign = 8
    case aboveOrEqual = 3
}

/// The few jumps of one instruction that lead to the same place.
struct Patches {
    private var places = InlineArray<4, Assembler.Patch>(repeating: 0)
    private(set) var count = 0

    init() {}

    init(_ patch: Assembler.Patch) { append(patch) }

    init(_ first: Assembler.Patch, _ second: Assembler.Patch) {
        append(first)
        append(second)
    }

    var isEmpty: Bool { count == 0 }

    subscript(_ index: Int) -> Assembler.Patch { places[index] }

    /// No instruction has more: a probe's, one for alignment or the cache line, two of a division.
    mutating func append(_ patch: Assembler.Patch) {
        precondition(count < places.count, "an instruction with more than 4 ways to fail")
        places[count] = patch
        count += 1
    }

    mutating func removeAll() { count = 0 }
}

/// Writes host instructions into code memory (SDM volume 2, 2.1 and 2.2).
///
/// What does not fit is dropped, and `isFull` says so: the caller looks once, at the end.
@safe
struct Assembler {
    /// A 32-bit relative displacement to be filled in: the offset of its first byte.
    typealias Patch = Int

    private let memory: CodeMemory
    /// That of `memory`, which lives as long.
    private let writable: UnsafeMutablePointer<UInt8>
    /// The offset of the next byte.
    private(set) var position: Int
    private let limit: Int
    private(set) var isFull = false
    /// See `Relocation`.
    var relocations = Relocations()

    init(_ memory: CodeMemory, at position: Int) {
        self.memory = memory
        unsafe writable = memory.writable
        self.position = position
        limit = memory.byteCount
    }

    /// Goes on at another place.
    mutating func move(to position: Int) {
        self.position = position
        isFull = false
        relocations.removeAll()
    }

    // MARK: Bytes

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        if _slowPath(position >= limit) {
            isFull = true
            return
        }
        unsafe writable[position] = value
        position &+= 1
    }

    @inline(__always)
    mutating func bytes(_ first: UInt8, _ second: UInt8) {
        byte(first)
        byte(second)
    }

    @inline(__always)
    mutating func bytes(_ first: UInt8, _ second: UInt8, _ third: UInt8) {
        byte(first)
        bytes(second, third)
    }

    mutating func sequence(_ values: UInt8...) {
        for value in values { byte(value) }
    }

    @inline(__always)
    mutating func integer32(_ value: Int32) { store(value, MemoryLayout<Int32>.size) }

    mutating func integer64(_ value: UInt64) { store(value, MemoryLayout<UInt64>.size) }

    @inline(__always)
    private mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, _ count: Int) {
        if _slowPath(position &+ count > limit) {
            // Nothing more is written, so that nothing stands in the place of something else.
            isFull = true
            position = limit
            return
        }
        unsafe UnsafeMutableRawPointer(writable + position)
            .storeBytes(of: value, as: T.self)
        position &+= count
    }

    /// Those of an instruction of the guest.
    mutating func immediate(of guest: GuestBytes) {
        var rest = guest.immediate
        for _ in 0..<guest.immediateCount {
            byte(UInt8(truncatingIfNeeded: rest))
            rest &>>= 8
        }
    }

    /// No-operations up to a multiple of 16 bytes.
    mutating func align() {
        while position & 15 != 0, !isFull { byte(0x90) }
    }

    // MARK: Instructions

    /// An instruction with ModRM; an immediate follows separately.
    mutating func instruction(_ opcode: HostOpcode, register: UInt8, _ place: HostPlace) {
        if opcode.isLocked { byte(0xf0) }
        if opcode.hasOperandSizePrefix { byte(0x66) }
        if opcode.repeatPrefix != 0 { byte(opcode.repeatPrefix) }
        var rex: UInt8 = opcode.isWide ? 8 : 0
        rex |= (register & 8) &>> 1
        switch place {
        case .register(let number): rex |= (number & 8) &>> 3
        case .memory(let address):
            if let base = address.base { rex |= (base.number & 8) &>> 3 }
            if let index = address.index { rex |= (index.number & 8) &>> 2 }
        }
        if rex != 0 || opcode.needsREX { byte(0x40 | rex) }
        switch opcode.map {
        case 1: byte(0x0f)
        case 2: bytes(0x0f, 0x38)
        case 3: bytes(0x0f, 0x3a)
        default: break
        }
        byte(opcode.opcode)
        let field = (register & 7) &<< 3
        switch place {
        case .register(let number): byte(0xc0 | field | number & 7)
        case .memory(let address): memoryOperand(address, field)
        }
    }

    mutating func memoryOperand(_ address: HostAddress, _ field: UInt8) {
        guard let base = address.base else {
            let index = address.index.map { $0.number & 7 } ?? 4
            bytes(field | 4, address.scaleShift &<< 6 | index &<< 3 | 5)
            integer32(address.displacement)
            return
        }
        let low = base.number & 7
        let mode: UInt8
        if address.displacement == 0, low != 5, !address.isLong {
            mode = 0
        } else {
            mode =
                Int32(Int8(truncatingIfNeeded: address.displacement)) == address.displacement
                    && !address.isLong
                ? 0x40 : 0x80
        }
        if address.index != nil || low == 4 {
            let index = address.index.map { $0.number & 7 } ?? 4
            bytes(mode | field | 4, address.scaleShift &<< 6 | index &<< 3 | low)
        } else {
            byte(mode | field | low)
        }
        if mode == 0x40 { byte(UInt8(truncatingIfNeeded: address.displacement)) }
        if mode == 0x80 { integer32(address.displacement) }
    }

    /// MOV between 64-bit registers.
    mutating func move(_ target: HostRegister, _ source: HostRegister) {
        instruction(
            HostOpcode(0x8b, wide: true), register: target.number, .register(source.number))
    }

    /// MOV of 64 bits from memory.
    mutating func load(_ target: HostRegister, _ address: HostAddress) {
        instruction(HostOpcode(0x8b, wide: true), register: target.number, .memory(address))
    }

    /// MOV of 64 bits to memory.
    mutating func store(_ address: HostAddress, _ source: HostRegister) {
        instruction(HostOpcode(0x89, wide: true), register: source.number, .memory(address))
    }

    /// MOV of a 64-bit constant.
    mutating func move(_ target: HostRegister, constant: UInt64) {
        if constant &>> 32 == 0 {
            if target.number >= 8 { byte(0x41) }
            byte(0xb8 | target.number & 7)
            integer32(Int32(truncatingIfNeeded: constant))
            return
        }
        moveWide(target, constant)
    }

    /// The same, always of eight bytes.
    private mutating func moveWide(_ target: HostRegister, _ constant: UInt64) {
        bytes(target.number >= 8 ? 0x49 : 0x48, 0xb8 | target.number & 7)
        integer64(constant)
    }

    /// MOV of the address of a decoded instruction: number `index` of block `block`, where 0 is the header.
    mutating func move(
        _ target: HostRegister, instruction address: UInt64, _ index: Int, of block: Int
    ) {
        moveWide(target, address)
        relocations.noteInstruction(at: position &- 8, index, of: block)
    }

    mutating func loadAddress(_ target: HostRegister, _ address: HostAddress, wide: Bool = true) {
        instruction(HostOpcode(0x8d, wide: wide), register: target.number, .memory(address))
    }

    /// LEA of an offset in code memory.
    mutating func loadAddress(_ target: HostRegister, ofCode patch: inout Patch) {
        bytes(target.number >= 8 ? 0x4c : 0x48, 0x8d, 0x05 | (target.number & 7) &<< 3)
        patch = position
        integer32(0)
    }

    // MARK: Control

    mutating func jump() -> Patch {
        byte(0xe9)
        integer32(0)
        return position &- 4
    }

    mutating func jump(_ condition: HostCondition) -> Patch { jump(code: condition.rawValue) }

    /// Jcc by the low four bits of its opcode.
    mutating func jump(code: UInt8) -> Patch {
        bytes(0x0f, 0x80 | code & 15)
        integer32(0)
        return position &- 4
    }

    mutating func jump(to offset: Int) { bind(jump(), to: offset) }

    mutating func call() -> Patch {
        byte(0xe8)
        integer32(0)
        return position &- 4
    }

    mutating func call(to offset: Int) { bind(call(), to: offset) }

    /// No-operations, until `byteCount` bytes that begin `distance` bytes from here lie in eight aligned
    /// ones: see `CodeMemory.replace`.
    mutating func makeReplaceable(_ byteCount: Int, after distance: Int = 0) {
        let start = (position &+ distance) & 7
        if start &+ byteCount <= 8 { return }
        switch 8 &- start {
        case 1: byte(0x90)
        case 2: bytes(0x66, 0x90)
        case 3: bytes(0x0f, 0x1f, 0x00)
        default: sequence(0x0f, 0x1f, 0x40, 0x00)
        }
    }

    /// A jump that is led elsewhere while others execute it: `rebind`.
    mutating func replaceableJump() -> Patch {
        makeReplaceable(4, after: 1)
        return jump()
    }

    /// The same on a condition.
    mutating func replaceableJump(code: UInt8) -> Patch {
        makeReplaceable(4, after: 2)
        return jump(code: code)
    }

    /// The same while RCX is 0: JRCXZ, which reaches 128 bytes, to a jump; over that otherwise.
    mutating func replaceableCounterJump() -> Patch {
        makeReplaceable(4, after: 5)
        bytes(0xe3, 2)
        bytes(0xeb, 5)
        return jump()
    }

    /// Fills the displacement of a jump of those in again, in one store.
    func rebind(_ patch: Patch, to offset: Int) {
        let distance = UInt32(truncatingIfNeeded: offset &- (patch &+ 4))
        memory.replace(at: patch, count: 4, with: UInt64(distance))
    }

    /// Fills a displacement in: it leads to `offset`.
    mutating func bind(_ patch: Patch, to offset: Int) {
        // A jump that did not fit has no place: what is there belongs to the code before.
        if isFull { return }
        guard patch >= 0, patch &+ 4 <= limit else { return }
        unsafe UnsafeMutableRawPointer(writable + patch).storeBytes(
            of: UInt32(truncatingIfNeeded: offset &- (patch &+ 4)), as: UInt32.self)
        relocations.noteWay(at: patch, to: offset)
    }

    /// Fills a displacement in: it leads here.
    mutating func bind(_ patch: Patch) { bind(patch, to: position) }

    /// Fills displacements in: they lead here.
    mutating func bind(_ patches: Patches) {
        for index in 0..<patches.count { bind(patches[index]) }
    }
}
