internal import CEngine

// Vector floating point with some exceptions unmasked (SDM volume 1, 11.5).

/// The elements of a result that overflow or underflow, and how they came about: with those
/// exceptions unmasked, the flags are not those of the masked host operation.
enum VectorFormat {
    /// Integers, comparisons, or values that neither overflow nor underflow.
    case other
    case scalarSingle(VectorArithmetic), packedSingle(VectorArithmetic)
    case scalarDouble(VectorArithmetic), packedDouble(VectorArithmetic)

    /// Makes its result in steps, each of which may raise an exception.
    var hasStages: Bool {
        if case .dotProduct? = shape?.arithmetic { true } else { false }
    }

    typealias Shape = (count: Int, isDouble: Bool, arithmetic: VectorArithmetic)

    /// Elements and their size.
    var shape: Shape? {
        switch self {
        case .other: nil
        case .scalarSingle(let arithmetic): (1, false, arithmetic)
        case .packedSingle(let arithmetic): (4, false, arithmetic)
        case .scalarDouble(let arithmetic): (1, true, arithmetic)
        case .packedDouble(let arithmetic): (2, true, arithmetic)
        }
    }
}

/// What makes an element of the result from elements of the operands.
enum VectorArithmetic {
    case add, subtract, multiply, divide
    /// Even elements are subtracted, odd ones added.
    case addSubtract
    case horizontalAdd, horizontalSubtract
    /// From double to single.
    case convert
    case dotProduct
    /// A product and a sum in one. The flags are those of the masked run, but for tiny results.
    case fused
}

/// One vector operation: its operands as they were, and a result that is not the guest's yet.
@safe
struct VectorRun {
    var format: VectorFormat
    var first: UnsafeRawPointer
    var second: UnsafeRawPointer
    var result: UnsafeRawPointer
    var immediate: UInt32 = 0
    /// Pieces of 128 bits, each of which `format` describes.
    var laneCount = 1

    init(
        _ format: VectorFormat, _ first: UnsafeRawPointer, _ second: UnsafeRawPointer,
        result: UnsafeRawPointer
    ) {
        self.format = format
        unsafe self.first = first
        unsafe self.second = second
        unsafe self.result = result
    }
}

private let overflow: UInt32 = 1 << 3
private let underflow: UInt32 = 1 << 4
private let precision: UInt32 = 1 << 5

/// Runs `compute`, which writes only `run.result`, with an empty set of flags and everything
/// masked. True: no unmasked exception, `mxcsr` has the flags, the caller commits. False: #XM
/// (or #UD) is recorded (SDM volume 1, section 11.5).
@inline(never)
func withExceptions(_ cpu: CPU, _ op: Op, _ run: VectorRun, _ compute: () -> Void) -> Bool {
    let guest = unsafe collectFlags(cpu)
    let masks = guest & UInt32(MXCSR_MASKS)
    let allFlags = UInt32(MXCSR_FLAGS)
    let unmasked = ~(masks >> UInt32(MXCSR_MASK_SHIFT)) & allFlags
    var control = hostControl(guest) & ~allFlags
    // An unmasked underflow reports the tiny result instead of flushing it.
    if unmasked & underflow != 0 { control &= ~UInt32(MXCSR_FLUSH_TO_ZERO) }
    vector_set_host_mxcsr(control)
    compute()
    var flags = vector_host_mxcsr() & allFlags
    if unmasked & (overflow | underflow) != 0 || run.format.hasStages {
        flags = unsafe elementFlags(cpu, run, flags, unmasked, control)
    } else {
        flags = reported(flags, unmasked)
    }
    vector_set_host_mxcsr(hostControl(guest))
    unsafe setMXCSR(cpu, guest | flags)
    if flags & unmasked == 0 { return true }
    let reported = unsafe cpu.pointee.cr4 & (1 << 10) != 0
    unsafe raise(
        cpu, op, vector: reported ? Vector.simdFloatingPoint : Vector.invalidOpcode)
    return false
}

/// IE, DE and ZE are found before the operation and then keep OE, UE and PE from happening.
private func reported(_ flags: UInt32, _ unmasked: UInt32) -> UInt32 {
    flags & unmasked & 0x7 != 0 ? flags & 0x7 : flags
}

/// The flags with overflow or underflow unmasked: every element on its own. `flags` are those of
/// the masked run.
private func elementFlags(
    _ cpu: CPU, _ run: VectorRun, _ flags: UInt32, _ unmasked: UInt32, _ control: UInt32
) -> UInt32 {
    guard let shape = run.format.shape else { return reported(flags, unmasked) }
    // The x87 registers of the host are needed: the guest's are put back.
    unsafe x87_release(cpu)
    var lanes = ElementRun(isDouble: shape.isDouble, unmasked: unmasked, control: control)
    if case .fused = shape.arithmetic { lanes.flags = flags }
    if case .dotProduct = shape.arithmetic {
        dotProduct(&lanes, shape, run)
        return lanes.finished | reported(lanes.flags, unmasked)
    }
    for lane in 0..<run.laneCount {
        runLane(&lanes, shape, run, at: lane &* 16)
    }
    return lanes.finished | reported(lanes.flags, unmasked)
}

/// The elements of 128 bits, `offset` bytes into the operands.
private func runLane(
    _ lanes: inout ElementRun, _ shape: VectorFormat.Shape, _ run: VectorRun, at offset: Int
) {
    let isDouble = shape.isDouble
    func first(_ index: Int) -> UInt64 { unsafe element(run.first + offset, index, isDouble) }
    func second(_ index: Int) -> UInt64 { unsafe element(run.second + offset, index, isDouble) }
    switch shape.arithmetic {
    case .add, .subtract, .multiply, .divide:
        for index in 0..<shape.count {
            lanes.run(shape.arithmetic, first(index), second(index))
        }
    case .addSubtract:
        for index in 0..<shape.count {
            lanes.run(index & 1 == 0 ? .subtract : .add, first(index), second(index))
        }
    case .horizontalAdd, .horizontalSubtract:
        let arithmetic: VectorArithmetic =
            if case .horizontalAdd = shape.arithmetic { .add } else { .subtract }
        for index in stride(from: 0, to: shape.count, by: 2) {
            lanes.run(arithmetic, first(index), first(index &+ 1))
            lanes.run(arithmetic, second(index), second(index &+ 1))
        }
    case .convert:
        for index in 0..<min(shape.count, 2) {
            let value = unsafe run.second.loadUnaligned(
                fromByteOffset: offset &+ index &* 8, as: UInt64.self)
            lanes.run(.convert, 0, value)
        }
    case .fused:
        for index in 0..<shape.count {
            lanes.noteTiny(unsafe element(run.result + offset, index, isDouble))
        }
    case .dotProduct: break
    }
}

private func element(_ vector: UnsafeRawPointer, _ index: Int, _ isDouble: Bool) -> UInt64 {
    isDouble
        ? unsafe vector.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
        : UInt64(unsafe vector.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
}

/// Products, then sums of pairs, then the sum of those; an unmasked exception ends it. Every step is
/// that of all pieces of 128 bits.
private func dotProduct(_ lanes: inout ElementRun, _ shape: VectorFormat.Shape, _ run: VectorRun) {
    let isDouble = shape.isDouble
    var values = [UInt64](repeating: 0, count: shape.count &* run.laneCount)
    for index in values.indices
    where run.immediate & (16 &<< UInt32(index % max(shape.count, 1))) != 0 {
        values[index] = lanes.run(
            .multiply, unsafe element(run.first, index, isDouble),
            unsafe element(run.second, index, isDouble))
    }
    while values.count > run.laneCount, lanes.flags & lanes.unmasked == 0 {
        lanes.finished |= lanes.flags
        lanes.flags = 0
        values = stride(from: 0, to: values.count, by: 2).map {
            lanes.run(.add, values[$0], values[$0 &+ 1])
        }
    }
}

/// Runs elements one by one and collects their flags.
private struct ElementRun {
    var isDouble: Bool
    var unmasked: UInt32
    /// MXCSR with everything masked and no flags.
    var control: UInt32
    var flags: UInt32 = 0
    /// Flags of the stages that have raised nothing.
    var finished: UInt32 = 0

    init(isDouble: Bool, unmasked: UInt32, control: UInt32) {
        self.isDouble = isDouble
        self.unmasked = unmasked
        self.control = control
    }

    /// An overflow or underflow that is not masked leaves the exponent as wide as it is, and so
    /// the precision flag says whether the significand was rounded.
    @discardableResult
    mutating func run(_ arithmetic: VectorArithmetic, _ first: UInt64, _ second: UInt64) -> UInt64 {
        var number = UInt32(VECTOR_ELEMENT_ADD)
        switch arithmetic {
        case .subtract: number = UInt32(VECTOR_ELEMENT_SUBTRACT)
        case .multiply: number = UInt32(VECTOR_ELEMENT_MULTIPLY)
        case .divide: number = UInt32(VECTOR_ELEMENT_DIVIDE)
        case .convert: number = UInt32(VECTOR_ELEMENT_CONVERT)
        default: break
        }
        if isDouble { number |= 1 }
        var result: UInt64 = 0
        var found = unsafe vector_element(number, first, second, control, &result)
        if unmasked & underflow != 0, isDenormal(result) { found |= underflow }
        if found & unmasked & (overflow | underflow) != 0 {
            found &= ~precision
            let rounding = (control &>> 13) & 3
            if vector_element_inexact(number, first, second, rounding) != 0 { found |= precision }
        }
        flags |= found
        return result
    }

    /// An underflow that is not masked is raised by exact results too.
    mutating func noteTiny(_ result: UInt64) {
        if unmasked & underflow != 0, isDenormal(result) { flags |= underflow }
    }

    private func isDenormal(_ bits: UInt64) -> Bool {
        isDouble
            ? bits & 0x7ff0_0000_0000_0000 == 0 && bits & 0xf_ffff_ffff_ffff != 0
            : bits & 0x7f80_0000 == 0 && bits & 0x7f_ffff != 0
    }
}
