import CEngine
import Glibc
import Testing
import X86

@testable import SoftwareCPU

/// A processor state for one instruction, on the engine's side.
@safe
final class VectorBench {
    let cpu: UnsafeMutablePointer<CPUState>
    let op: UnsafeMutablePointer<DecodedInstruction>
    /// A page of guest memory, linear address equal to host address.
    let page: UnsafeMutableRawPointer

    init() {
        unsafe cpu = .allocate(capacity: 1)
        unsafe UnsafeMutableRawPointer(cpu).initializeMemory(
            as: UInt8.self, repeating: 0, count: MemoryLayout<CPUState>.size)
        unsafe op = .allocate(capacity: 1)
        unsafe op.initialize(
            to: DecodedInstruction(
                handler: { _, _ in nil }, immediate: 0, displacement: 0, destination: 0,
                source: 0, base: 0, index: 0, segmentBase: 0, scaleShift: 0, place: 4 << 12,
                flags: 0, auxiliary: 0))
        unsafe page = .allocate(byteCount: 4096, alignment: 4096)
        unsafe page.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
        let address = UInt64(UInt(bitPattern: unsafe page))
        let entry = unsafe tlbEntry(cpu, address)
        unsafe entry.pointee = TLBEntry(
            readTag: address, writeTag: address, addend: 0, physical: 0)
        unsafe cpu.pointee.blockMode = BlockMode.code64
        unsafe cpu.pointee.cr4 = 1 << 9 | 1 << 10 | 1 << 18
        unsafe cpu.pointee.xcr0 = 3
        unsafe cpu.pointee.extendedStates = 3
        unsafe cpu.pointee.mxcsr = 0x1f80
        unsafe cpu.pointee.x87Control = 0x37f
        // Writable data up to 4 GiB: outside 64-bit code the large accesses look at it.
        let flat = SegmentRegister(base: 0, limit: 0xffff_ffff, selector: 0x2b, attributes: 0xc0f3)
        for index in 0..<6 { unsafe cpu.setSegment(index, flat) }
    }

    deinit {
        unsafe cpu.deallocate()
        unsafe op.deallocate()
        unsafe page.deallocate()
    }

    /// Lowers and runs; true when the instruction completed.
    func run(_ instruction: VectorInstruction, address: UInt64) -> Bool {
        unsafe cpu.setGPR(GPR.rsi, address)
        unsafe op.pointee.base = Slot.gpr(GPR.rsi)
        unsafe op.pointee.index = Slot.zero
        unsafe op.pointee.segmentBase = Slot.zero
        var lowered = unsafe op.pointee
        guard unsafe VectorLowering.lower(instruction, into: &lowered, availability: .available)
        else {
            Issue.record("\(instruction) is not lowered")
            return false
        }
        unsafe op.pointee = lowered
        unsafe cpu.pointee.leaveReason = LeaveReason.none
        unsafe vectorStateLoad(cpu)
        let next = unsafe op.pointee.handler(cpu, op)
        unsafe vectorStateSync(cpu)
        return unsafe next == UnsafePointer(op) + 1
    }
}

/// Every instruction form against the host's processor.
@Suite struct VectorOracleTests {
    /// General-purpose registers of the state block, in its order.
    static let order = [GPR.rax, GPR.rbx, GPR.rcx, GPR.rdx, GPR.rsi]

    @Test func everyFormMatchesTheHost() {
        let bench = VectorBench()
        let native = NativeVectorUnit()
        var random = SplitMix(state: 1)
        for form in VectorForm.all {
            for round in 0..<60 {
                if !matches(form, round, bench, native, &random) { break }
            }
        }
    }

    /// Floating point with random exceptions unmasked: the same ones are raised, with the same
    /// flags, and nothing else has changed.
    @Test func everyExceptionMatchesTheHost() {
        let bench = VectorBench()
        let native = NativeVectorUnit()
        var random = SplitMix(state: 2)
        for form in VectorForm.all where form.raisesExceptions {
            for round in 0..<400 {
                if !matches(form, round, bench, native, &random, unmasked: true) { break }
            }
        }
    }

    private func matches(
        _ form: VectorForm, _ round: Int, _ bench: VectorBench, _ native: NativeVectorUnit,
        _ random: inout SplitMix, unmasked: Bool = false
    ) -> Bool {
        var form = form
        if form.hasImmediate {
            let immediate = UInt8(truncatingIfNeeded: random.next())
            form.bytes[form.bytes.count - 1] = round < 20 ? immediate & 0x1f : immediate
        }
        guard let instruction = form.instruction else {
            Issue.record("\(form.text) is not decoded")
            return false
        }
        let state = UnsafeMutableRawPointer.allocate(
            byteCount: NativeVectorUnit.stateByteCount, alignment: 64)
        defer { unsafe state.deallocate() }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
        defer { unsafe memory.deallocate() }
        unsafe randomize(form, state, memory, round, &random)
        if form.savesState || form.restoresState {
            unsafe randomizeArea(form, state, memory, &random)
        }
        if unmasked {
            let control = UInt32(truncatingIfNeeded: random.next() & 0xffff)
            unsafe state.storeBytes(of: control, toByteOffset: 88, as: UInt32.self)
        }
        unsafe bench.page.copyMemory(from: memory, byteCount: 1024)
        unsafe load(state, into: bench)

        unsafe state.storeBytes(
            of: UInt64(UInt(bitPattern: memory)), toByteOffset: 32, as: UInt64.self)
        let before = unsafe state.load(fromByteOffset: 88, as: UInt32.self)
        unsafe native.run(form.bytes, on: state)
        let completed = bench.run(
            instruction, address: UInt64(UInt(bitPattern: unsafe bench.page)))
        let trapped = unsafe state.load(fromByteOffset: 56, as: UInt64.self) == 1
        let faulted =
            unsafe !completed && bench.cpu.pointee.leaveReason == LeaveReason.fault
            && bench.cpu.pointee.faultVector == Vector.simdFloatingPoint
        // With an unmasked OE or UE the host's PE is about the result before its exponent is
        // brought into range; the engine's is about the masked result.
        if trapped, unsafe state.load(fromByteOffset: 88, as: UInt32.self) & 0x18 != 0 {
            let expected = unsafe state.load(fromByteOffset: 88, as: UInt32.self)
            unsafe state.storeBytes(of: expected | 0x20, toByteOffset: 88, as: UInt32.self)
            unsafe bench.cpu.pointee.mxcsr |= 0x20
        }
        let difference =
            (trapped ? faulted : completed)
            ? unsafe compare(state, memory, bench, form)
            : "completed: \(completed), host raised SIGFPE: \(trapped)"
        if let difference {
            Issue.record(
                "\(form.text), bytes \(form.bytes), round \(round), MXCSR \(hexadecimal(before)): \(difference)"
            )
            return false
        }
        return true
    }

    /// Registers and memory: random bits, small numbers, floating-point values of every kind.
    private func randomize(
        _ form: VectorForm, _ state: UnsafeMutableRawPointer,
        _ memory: UnsafeMutableRawPointer, _ round: Int, _ random: inout SplitMix
    ) {
        unsafe state.initializeMemory(
            as: UInt8.self, repeating: 0, count: NativeVectorUnit.stateByteCount)
        for offset in stride(from: 0, to: 32, by: 8) {
            let value = round % 3 == 0 ? random.next() & 31 : random.next()
            unsafe state.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
        }
        let flags = 0x202 | (random.next() & 0x8d5)
        unsafe state.storeBytes(of: flags, toByteOffset: 40, as: UInt64.self)
        unsafe state.storeBytes(of: 0x1f80, toByteOffset: 48, as: UInt32.self)
        // The image: FCW masks everything, MXCSR masks everything, random rounding, DAZ and FTZ.
        unsafe state.storeBytes(of: 0x37f, toByteOffset: 64, as: UInt16.self)
        let status = UInt16(truncatingIfNeeded: random.next() & 0x7f00)
        unsafe state.storeBytes(of: status, toByteOffset: 66, as: UInt16.self)
        unsafe state.storeBytes(
            of: UInt8(truncatingIfNeeded: random.next()), toByteOffset: 68, as: UInt8.self)
        let control = UInt32(truncatingIfNeeded: 0x1f80 | (random.next() & 0xe07f))
        unsafe state.storeBytes(of: control, toByteOffset: 88, as: UInt32.self)
        for register in 0..<8 {
            let slot = 64 + 32 + register * 16
            unsafe state.storeBytes(of: random.next(), toByteOffset: slot, as: UInt64.self)
            unsafe state.storeBytes(
                of: UInt16(truncatingIfNeeded: random.next()), toByteOffset: slot + 8,
                as: UInt16.self)
        }
        for register in 0..<16 {
            let slot = 64 + 160 + register * 16
            unsafe random.fill(state + slot, kind: Int(random.next() & 7))
        }
        for offset in stride(from: 0, to: 1024, by: 16) {
            unsafe random.fill(memory + offset, kind: Int(random.next() & 7))
        }
        if form.text.hasPrefix("ldmxcsr") {
            // No reserved bits, everything masked.
            let word = unsafe memory.load(as: UInt32.self)
            unsafe memory.storeBytes(of: word & 0xffff | 0x1f80, as: UInt32.self)
        }
    }

    /// A valid image and header in memory, and components of it in EDX:EAX.
    private func randomizeArea(
        _ form: VectorForm, _ state: UnsafeMutableRawPointer, _ memory: UnsafeMutableRawPointer,
        _ random: inout SplitMix
    ) {
        unsafe state.storeBytes(of: random.next() & 3, toByteOffset: 0, as: UInt64.self)
        unsafe state.storeBytes(of: 0, toByteOffset: 24, as: UInt64.self)
        unsafe memory.storeBytes(of: 0x37f, as: UInt16.self)
        let status = UInt16(truncatingIfNeeded: random.next() & 0x7f00)
        unsafe memory.storeBytes(of: status, toByteOffset: 2, as: UInt16.self)
        let control = UInt32(truncatingIfNeeded: 0x1f80 | (random.next() & 0xe07f))
        unsafe memory.storeBytes(of: control, toByteOffset: 24, as: UInt32.self)
        for offset in stride(from: 512, to: 576, by: 8) {
            unsafe memory.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self)
        }
        unsafe memory.storeBytes(of: random.next() & 3, toByteOffset: 512, as: UInt64.self)
        if form.restoresState, random.next() & 1 == 0 {
            let compacted = UInt64(1) << 63 | 3
            unsafe memory.storeBytes(of: compacted, toByteOffset: 520, as: UInt64.self)
        }
    }

    private func load(_ state: UnsafeMutableRawPointer, into bench: VectorBench) {
        let cpu = unsafe bench.cpu
        for (index, register) in Self.order.enumerated() {
            unsafe cpu.setGPR(register, state.load(fromByteOffset: index * 8, as: UInt64.self))
        }
        let flags = unsafe state.load(fromByteOffset: 40, as: UInt64.self)
        unsafe cpu.pointee.statusFlags = (flags & 0xd5 | 2) << 8 | (flags >> 11 & 1)
        unsafe bench.op.pointee.auxiliary = 1
        let form = unsafe SaveForm(cpu, bench.op)
        unsafe decodeX87(cpu, form, from: state + 64)
        unsafe cpu.pointee.mxcsr = state.load(fromByteOffset: 88, as: UInt32.self)
        unsafe (cpu.bytes + Int(Layout.xmm)).copyMemory(from: state + 64 + 160, byteCount: 256)
    }

    private func compare(
        _ state: UnsafeMutableRawPointer, _ memory: UnsafeMutableRawPointer, _ bench: VectorBench,
        _ form: VectorForm
    ) -> String? {
        let cpu = unsafe bench.cpu
        for (index, register) in Self.order.enumerated() where register != GPR.rsi {
            let expected = unsafe state.load(fromByteOffset: index * 8, as: UInt64.self)
            let found = unsafe cpu.gpr(register)
            if found != expected { return "register \(register): \(found), host \(expected)" }
        }
        let flags = unsafe state.load(fromByteOffset: 40, as: UInt64.self)
        let expectedFlags = (flags & 0xd5 | 2) << 8 | (flags >> 11 & 1)
        let foundFlags = unsafe cpu.pointee.statusFlags
        if foundFlags != expectedFlags { return "flags \(foundFlags), host \(expectedFlags)" }
        let image = UnsafeMutableRawPointer.allocate(byteCount: 512, alignment: 16)
        defer { unsafe image.deallocate() }
        unsafe bench.op.pointee.auxiliary = 1
        unsafe collectInto(image, cpu, bench.op)
        if let offset = unsafe firstDifference(state + 64, image, form: form) {
            let found = unsafe image.load(fromByteOffset: offset & ~3, as: UInt32.self)
            let expected = unsafe state.load(fromByteOffset: 64 + offset & ~3, as: UInt32.self)
            return "image at \(offset & ~3): \(hexadecimal(found)), host \(hexadecimal(expected))"
        }
        let count = form.text.hasPrefix("fxsave") ? 416 : form.savesState ? 576 : 1024
        for offset in 0..<count where form.comparesMemory(at: offset) {
            let found = unsafe bench.page.load(fromByteOffset: offset, as: UInt8.self)
            let expected = unsafe memory.load(fromByteOffset: offset, as: UInt8.self)
            if found != expected { return "memory at \(offset): \(found), host \(expected)" }
        }
        return nil
    }

    /// The image that FXSAVE64 would store, MXCSR as it is outside the run loop.
    private func collectInto(
        _ image: UnsafeMutableRawPointer, _ cpu: UnsafeMutablePointer<CPUState>,
        _ op: UnsafeMutablePointer<DecodedInstruction>
    ) {
        unsafe vectorStateLoad(cpu)
        unsafe encodeLegacyArea(cpu, SaveForm(cpu, op), into: image)
        unsafe vectorStateSync(cpu)
    }

    /// FOP, FIP, FDP and MXCSR_MASK depend on the host's make; reserved bytes too.
    private func firstDifference(
        _ expected: UnsafeMutableRawPointer, _ found: UnsafeMutableRawPointer, form: VectorForm
    ) -> Int? {
        (0..<416).first { offset in
            if (6..<24).contains(offset) || (28..<32).contains(offset) { return false }
            if (32..<160).contains(offset), offset % 16 >= 10 { return false }
            return unsafe expected.load(fromByteOffset: offset, as: UInt8.self)
                != found.load(fromByteOffset: offset, as: UInt8.self)
        }
    }
}

private func hexadecimal(_ value: UInt32) -> String { String(value, radix: 16) }

/// A small reproducible generator.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    private static let singles: [Float] = [
        0, -0.0, 1, -1, 1.5, 3.25e9, -7.75e-3, .infinity, -.infinity, .nan, .signalingNaN,
        .leastNonzeroMagnitude, .greatestFiniteMagnitude, .leastNormalMagnitude, 2_147_483_648,
        Float.leastNormalMagnitude / 64,
    ]
    private static let doubles: [Double] = [
        0, -0.0, 1, -1, 2.5, 1e300, -1e-300, .infinity, .nan, .signalingNaN,
        .leastNonzeroMagnitude, .greatestFiniteMagnitude, .leastNormalMagnitude,
        9_223_372_036_854_775_808, 4_294_967_296.5, .leastNormalMagnitude / 64,
    ]

    /// Sixteen bytes of one kind of content.
    mutating func fill(_ target: UnsafeMutableRawPointer, kind: Int) {
        switch kind {
        case 0, 1:
            for lane in 0..<4 {
                let value = Self.singles[Int(next() & 15)]
                unsafe target.storeBytes(of: value, toByteOffset: lane * 4, as: Float.self)
            }
        case 2, 3:
            for lane in 0..<2 {
                let value = Self.doubles[Int(next() & 15)]
                unsafe target.storeBytes(of: value, toByteOffset: lane * 8, as: Double.self)
            }
        case 4:
            // Small numbers: shift counts, string elements.
            for lane in 0..<16 {
                let value = UInt8(truncatingIfNeeded: next() & 3)
                unsafe target.storeBytes(of: value, toByteOffset: lane, as: UInt8.self)
            }
        case 5:
            unsafe target.storeBytes(of: next() & 63, as: UInt64.self)
            unsafe target.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        default:
            unsafe target.storeBytes(of: next(), as: UInt64.self)
            unsafe target.storeBytes(of: next(), toByteOffset: 8, as: UInt64.self)
        }
    }
}
