import CTestSupport
import Glibc
import GuestMemory
import VirtualCPU
import Vocabulary

@testable import SoftwareCPU

/// What an instruction starts from and leaves behind.
struct OracleState: Equatable {
    var general = [UInt64](repeating: 0, count: 16)
    var rip: UInt64 = 0
    var rflags: UInt64 = 0
    /// The exception that ended the run; 3: the breakpoint after the instruction.
    var vector: UInt64 = 0
    /// The first 416 bytes of the FXSAVE image.
    var legacy = [UInt8](repeating: 0, count: 512)
    var memory: [UInt8] = []
}

/// The same code and data pages at the same linear addresses, on the host and in an engine.
@safe
final class OracleMachine {
    static let code: UInt64 = 0x1000_0000
    static let data: UInt64 = 0x2000_0000
    /// One page is mapped at each; the code starts this far into its page.
    static let codeOffset: UInt64 = 0x800
    static let pageByteCount = 4096
    private static let handlers: UInt64 = 0x8000
    private static let tables: UInt64 = 0x10000
    private static let codePhysical: UInt64 = 0x20000
    private static let dataPhysical: UInt64 = 0x21000
    private static let stackTop: UInt64 = 0x30000

    private let memory: GuestMemory
    private let engine: SoftwareEngine
    private let nativeCode: UnsafeMutableRawPointer
    private let nativeData: UnsafeMutableRawPointer
    private var template = ArchitecturalState()

    init?() throws {
        guard let code = unsafe native_map(Self.code, 4096, 1),
            let data = unsafe native_map(Self.data, 4096, 0)
        else { return nil }
        unsafe nativeCode = code
        unsafe nativeData = data
        memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        engine = SoftwareEngine(memory: memory, events: PendingEvents()) { _, _ in CPUIDResult() }
        writeTables()
        writeTemplate()
        native_prepare()
    }

    deinit {
        native_finish()
        _ = unsafe munmap(nativeCode, 4096)
        _ = unsafe munmap(nativeData, 4096)
    }

    private func put(_ address: UInt64, _ value: UInt64) {
        var value = value
        let bytes = (0..<8).map { _ in
            defer { value >>= 8 }
            return UInt8(truncatingIfNeeded: value)
        }
        _ = memory.write(GuestPhysicalAddress(address), bytes)
    }

    private func writeTables() {
        let base = Self.tables
        put(base, base + 0x1007)
        put(base + 0x1000, base + 0x2007)
        // The first 2 MiB are the supervisor's, as they are.
        put(base + 0x2000, 0x83)
        put(base + 0x2000 + (Self.code >> 21) * 8, base + 0x3007)
        put(base + 0x2000 + (Self.data >> 21) * 8, base + 0x4007)
        put(base + 0x3000, Self.codePhysical | 7)
        put(base + 0x4000, Self.dataPhysical | 7 | 1 << 63)
        // Gates for all exceptions, to HLT at `handlers` plus the vector, on the task's stack.
        for vector: UInt64 in 0..<32 {
            let target = Self.handlers + vector
            let kind: UInt64 = vector == 3 || vector == 4 ? 0xee00 : 0x8e00
            put(0x7000 + vector * 16, target & 0xffff | 8 << 16 | kind << 32)
            put(0x7000 + vector * 16 + 8, 0)
            _ = memory.write(GuestPhysicalAddress(target), [0xf4])
        }
        put(0x6000, 0)
        put(0x6008, 0x00af_9b00_0000_ffff)
        put(0x6010, 0x00cf_9300_0000_ffff)
        put(0x5004, Self.stackTop)
    }

    private func writeTemplate() {
        typealias Segment = ArchitecturalState.Segment
        template.cr0 = 0x8005_0033
        template.cr3 = Self.tables
        template.cr4 = 0x620
        template.modelSpecific.efer = 0xd01
        let data = Segment(selector: 0x2b, base: 0, limit: 0xffff_ffff, attributes: 0xc0f3)
        template.cs = Segment(selector: 0x33, base: 0, limit: 0xffff_ffff, attributes: 0xa0fb)
        template.ss = data
        // As the host's kernel leaves them for programs.
        var null = data
        null.selector = 0
        template.ds = null
        template.es = null
        template.fs = null
        template.gs = null
        template.taskRegister = Segment(
            selector: 0x18, base: 0x5000, limit: 0x67, attributes: 0x8b)
        template.gdt.base = 0x6000
        template.gdt.limit = 0x17
        template.idt.base = 0x7000
        template.idt.limit = 0x1ff
    }

    /// A code page full of breakpoints with `code` in it.
    private func page(_ code: [UInt8]) -> [UInt8] {
        var page = [UInt8](repeating: 0xcc, count: Self.pageByteCount)
        page.replaceSubrange(
            Int(Self.codeOffset)..<Int(Self.codeOffset) + code.count, with: code)
        return page
    }

    /// The host's own processor.
    func native(_ code: [UInt8], _ start: OracleState) -> OracleState {
        unsafe nativeCode.copyMemory(from: page(code), byteCount: Self.pageByteCount)
        unsafe nativeData.copyMemory(from: start.memory, byteCount: Self.pageByteCount)
        var result = start
        var state = NativeState()
        unsafe withUnsafeMutableBytes(of: &state.gpr) { target in
            unsafe start.general.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        }
        unsafe withUnsafeMutableBytes(of: &state.legacy) { target in
            unsafe start.legacy.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        }
        state.rip = start.rip
        state.rflags = start.rflags
        unsafe native_run(&state)
        unsafe withUnsafeBytes(of: &state.gpr) {
            result.general = unsafe Array($0.bindMemory(to: UInt64.self))
        }
        unsafe withUnsafeBytes(of: &state.legacy) { result.legacy = unsafe Array($0) }
        result.rip = state.rip
        result.rflags = state.rflags
        result.vector = state.vector
        result.memory = unsafe Array(
            UnsafeRawBufferPointer(start: nativeData, count: Self.pageByteCount))
        return result
    }

    /// The engine. Nil: it did not come to an exception.
    func interpreted(_ code: [UInt8], _ start: OracleState) -> OracleState? {
        _ = memory.write(GuestPhysicalAddress(Self.codePhysical), page(code))
        _ = memory.write(GuestPhysicalAddress(Self.dataPhysical), start.memory)
        var state = template
        state.generalPurposeRegisters = start.general
        state.rip = start.rip
        state.rflags = start.rflags
        Self.setLegacy(&state, start.legacy)
        engine.state = state
        guard engine.run(budget: 10000) == .halt else { return nil }
        let end = engine.state
        var result = start
        result.general = end.generalPurposeRegisters
        result.vector = end.rip &- 1 &- Self.handlers
        let top = Self.stackTop
        result.rip = word(top - 40)
        result.rflags = word(top - 24)
        result.general[4] = word(top - 16)
        Self.legacy(end, into: &result.legacy)
        result.memory =
            memory.read(GuestPhysicalAddress(Self.dataPhysical), byteCount: Self.pageByteCount)
            ?? []
        return result
    }

    private func word(_ address: UInt64) -> UInt64 {
        let bytes = memory.read(GuestPhysicalAddress(address), byteCount: 8) ?? []
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func setWord(
        _ bytes: inout [UInt8], _ offset: Int, _ count: Int, _ value: UInt64
    ) {
        for index in 0..<count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
        }
    }

    private static func setLegacy(_ state: inout ArchitecturalState, _ legacy: [UInt8]) {
        state.x87.control = UInt16(word(legacy, 0, 2))
        state.x87.status = UInt16(word(legacy, 2, 2))
        state.x87.tags = legacy[4]
        state.vector.mxcsr = UInt32(word(legacy, 24, 4))
        let top = Int(state.x87.status >> 11) & 7
        for index in 0..<8 {
            state.x87.significand[(top + index) & 7] = word(legacy, 32 + index * 16, 8)
            state.x87.signExponent[(top + index) & 7] = UInt16(word(legacy, 40 + index * 16, 2))
        }
        for index in 0..<16 {
            state.vector.low[index] = word(legacy, 160 + index * 16, 8)
            state.vector.high[index] = word(legacy, 168 + index * 16, 8)
        }
    }

    private static func legacy(_ state: ArchitecturalState, into legacy: inout [UInt8]) {
        setWord(&legacy, 0, 2, UInt64(state.x87.control))
        setWord(&legacy, 2, 2, UInt64(state.x87.status))
        legacy[4] = state.x87.tags
        setWord(&legacy, 24, 4, UInt64(state.vector.mxcsr))
        let top = Int(state.x87.status >> 11) & 7
        for index in 0..<8 {
            setWord(&legacy, 32 + index * 16, 8, state.x87.significand[(top + index) & 7])
            setWord(&legacy, 40 + index * 16, 2, UInt64(state.x87.signExponent[(top + index) & 7]))
        }
        for index in 0..<16 {
            setWord(&legacy, 160 + index * 16, 8, state.vector.low[index])
            setWord(&legacy, 168 + index * 16, 8, state.vector.high[index])
        }
    }
}
