import CEngine
import CTestSupport
import Glibc
import GuestMemory
import VirtualCPU
import Vocabulary
import X86

@testable import SoftwareCPU

/// The same code and data pages at the same linear addresses, on the host and in an engine.
@safe
final class OracleMachine {
    static let code: UInt64 = 0x1000_0000
    static let data: UInt64 = 0x2000_0000
    /// One page is mapped at each; the code starts this far into its page.
    static let codeOffset: UInt64 = 0x7d3
    static let pageByteCount = 4096
    /// Base of GS in 64-bit code.
    static let gsBase: UInt64 = 0x1000
    /// Limits of the 16-bit segments: half of the data segment is not mapped.
    static let codeLimit: UInt32 = 0xfff
    static let dataLimit: UInt32 = 0x1fff
    /// RFLAGS with IF and the fixed bit.
    static let flags: UInt64 = 0x202
    private static let frame: UInt64 = 0x2000_f000
    /// Where the engine's system structures are.
    private static let upper: UInt64 = 0xffff_8000_0000_0000
    private static let handlers: UInt64 = 0x8000
    private static let tables: UInt64 = 0x10000
    private static let codePhysical: UInt64 = 0x20000
    private static let dataPhysical: UInt64 = 0x21000
    private static let stackTop: UInt64 = 0x30000

    private let memory: GuestMemory
    /// The interpreter, and the translator at work from the first run of a block.
    enum Side: Int, CaseIterable {
        case interpreter, translator
    }

    private let engines: [SoftwareEngine]
    /// The one that runs.
    private var engine: SoftwareEngine
    private var cpu: CPU
    // Host addresses of the two machines' pages: owned by this object and by `memory`.
    private let nativeCode: UnsafeMutableRawPointer
    let nativeData: UnsafeMutableRawPointer
    private let guestCode: UnsafeMutableRawPointer
    let guestData: UnsafeMutableRawPointer
    private let guestStack: UnsafeMutableRawPointer
    private var codeByteCount = 0
    private let exitJump: [UInt8]

    init?() throws {
        guard let code = unsafe native_map_code(Self.code, 4096),
            let data = unsafe native_map(Self.data, 4096), native_set_frame(Self.frame) != 0,
            native_set_segment(0, UInt32(Self.code), Self.codeLimit, 1) != 0,
            native_set_segment(1, UInt32(Self.data), Self.dataLimit, 0) != 0
        else { return nil }
        unsafe nativeCode = code
        unsafe nativeData = data
        memory = try GuestMemory(regions: [
            MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)
        ])
        let memory = memory
        engines = [TranslationPolicy.off, .afterRuns(1)].map { translation in
            SoftwareEngine(memory: memory, events: PendingEvents(), translation: translation) {
                let leaf = Self.model.leaf($0, $1, CPUIDModel.Context())
                return CPUIDResult(eax: leaf.eax, ebx: leaf.ebx, ecx: leaf.ecx, edx: leaf.edx)
            }
        }
        engine = engines[0]
        unsafe cpu = engine.cpu
        unsafe guestCode = memory.hostBase + Int(Self.codePhysical)
        unsafe guestData = memory.hostBase + Int(Self.dataPhysical)
        unsafe guestStack = memory.hostBase + Int(Self.stackTop)
        // jmp [rip]; the address behind it.
        let exit = native_exit_address()
        exitJump = [0xff, 0x25, 0, 0, 0, 0] + (0..<8).map { UInt8(exit >> ($0 * 8) & 0xff) }
        unsafe nativeCode.initializeMemory(
            as: UInt8.self, repeating: 0xcc, count: Self.pageByteCount)
        unsafe guestCode.initializeMemory(
            as: UInt8.self, repeating: 0xcc, count: Self.pageByteCount)
        writeTables()
        for engine in engines { engine.state = Self.template }
        native_set_gs_base(Self.gsBase)
        native_prepare()
    }

    deinit {
        native_finish()
        _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: UInt(Self.code)), 4096)
        _ = unsafe munmap(nativeCode, 4096)
        _ = unsafe munmap(nativeData, 4096)
        _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: UInt(Self.frame)), 4096)
    }

    private func put(_ address: UInt64, _ value: UInt64) {
        memory.write(GuestPhysicalAddress(address), integer: value)
    }

    private func writeTables() {
        let base = Self.tables
        put(base, base + 0x1007)
        put(base + 0x1000, base + 0x2007)
        // The first 2 MiB are at the start of the upper half, the supervisor's.
        put(base + 0x800, base + 0x5003)
        put(base + 0x5000, base + 0x6003)
        put(base + 0x6000, 0x83)
        put(base + 0x2000 + (Self.code >> 21) * 8, base + 0x3007)
        put(base + 0x2000 + (Self.data >> 21) * 8, base + 0x4007)
        // Read only.
        put(base + 0x3000, Self.codePhysical | 5)
        put(base + 0x4000, Self.dataPhysical | 7 | 1 << 63)
        // Gates for all exceptions, to HLT at `handlers` plus the vector, on the task's stack.
        for vector: UInt64 in 0..<32 {
            let target = Self.handlers + vector
            let kind: UInt64 = vector == 3 || vector == 4 ? 0xee00 : 0x8e00
            put(0x7000 + vector * 16, target & 0xffff | 8 << 16 | kind << 32)
            put(0x7000 + vector * 16 + 8, Self.upper >> 32)
            memory.write(GuestPhysicalAddress(target), [0xf4])
        }
        put(0x6000, 0)
        put(0x6008, 0x00af_9b00_0000_ffff)
        put(0x6010, 0x00cf_9300_0000_ffff)
        put(0x5004, Self.upper + Self.stackTop)
        // No I/O permission bitmap.
        memory.write(GuestPhysicalAddress(0x5066), integer: UInt16(0x68))
    }

    private static let model = CPUIDModel.host(HostProcessor.features)

    private static var template: ArchitecturalState {
        typealias Segment = ArchitecturalState.Segment
        var state = ArchitecturalState()
        state.cr0 = 0x8005_0033
        state.cr3 = Self.tables
        // PAE, OSFXSR, OSXMMEXCPT, OSXSAVE.
        state.cr4 = 0x4_0620
        state.xcr0 = model.extendedStateMask
        state.modelSpecific.efer = 0xd01
        state.taskRegister = Segment(
            selector: 0x18, base: Self.upper + 0x5000, limit: 0x67, attributes: 0x8b)
        state.gdt.base = Self.upper + 0x6000
        state.gdt.limit = 0x17
        state.idt.base = Self.upper + 0x7000
        state.idt.limit = 0x1ff
        return state
    }

    /// Puts `code` into both code pages. `leaves`: straight 64-bit code, which on the host need not
    /// end in a signal.
    func setCode(_ code: [UInt8], leaves: Bool) {
        let start = Int(Self.codeOffset)
        unsafe (nativeCode + start).initializeMemory(
            as: UInt8.self, repeating: 0xcc, count: codeByteCount)
        unsafe (guestCode + start).initializeMemory(
            as: UInt8.self, repeating: 0xcc, count: codeByteCount)
        unsafe Self.copy(code, to: nativeCode + start)
        unsafe Self.copy(code, to: guestCode + start)
        if leaves { unsafe Self.copy(exitJump, to: nativeCode + start + code.count) }
        self.leaves = leaves
        codeByteCount = code.count + exitJump.count
        endOfCode = Self.code + Self.codeOffset + UInt64(code.count) + 1
        // As `GuestMemory.wrote` would, without waiting for the engine to look.
        memory.clearCode(Self.codePhysical)
        for engine in engines { engine.engine.cache.drop(page: Self.codePhysical) }
    }
    private var endOfCode: UInt64 = 0
    private var leaves = false

    private static func copy(_ bytes: [UInt8], to target: UnsafeMutableRawPointer) {
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }

    private func fill(
        _ target: UnsafeMutableRawPointer, _ page: UnsafeRawPointer, _ patch: OraclePatch
    ) {
        unsafe target.copyMemory(from: page, byteCount: Self.pageByteCount)
        unsafe Self.copy(patch.bytes, to: target + patch.offset)
    }

    /// Runs on the host's own processor, from `state` to `state`.
    func native(
        _ state: OracleState, _ mode: OracleMode, _ page: UnsafeRawPointer, _ patch: OraclePatch
    ) {
        unsafe fill(nativeData, page, patch)
        state.rip = mode.start
        state.setSegments(mode)
        unsafe native_run(state.pointer)
        // The jump out leaves RIP as it was; a breakpoint would be behind the code.
        if leaves, state.vector == 3, state.rip == mode.start { state.rip = endOfCode }
    }

    /// Runs in an engine, from `start` to `result`. False: it did not come to an exception.
    func run(
        on side: Side, _ start: OracleState, _ result: OracleState, _ mode: OracleMode,
        _ page: UnsafeRawPointer, _ patch: OraclePatch
    ) -> Bool {
        engine = engines[side.rawValue]
        unsafe cpu = engine.cpu
        unsafe fill(guestData, page, patch)
        load(start, mode)
        guard engine.run(budget: 100_000) == .halt else {
            engine.state = Self.template
            return false
        }
        save(result)
        return true
    }

    private func load(_ state: OracleState, _ mode: OracleMode) {
        unsafe (cpu.bytes + Int(Layout.gpr(0))).copyMemory(from: state.bytes, byteCount: 128)
        unsafe cpu.pointee.rip = mode.start
        let wide: UInt32 = .max
        let code = SegmentRegister(
            base: mode.codeBase, limit: mode == .code16 ? Self.codeLimit : wide,
            selector: UInt16(mode.codeSelector),
            attributes: [0xa0fb, 0xc0fb, 0x00fb][mode.rawValue])
        let data = SegmentRegister(
            base: mode.dataBase, limit: mode == .code16 ? Self.dataLimit : wide,
            selector: UInt16(mode.dataSelector), attributes: mode == .code16 ? 0x00f3 : 0xc0f3)
        let none = SegmentRegister(base: 0, limit: 0, selector: 0, attributes: 0)
        var gs = none
        gs.base = Self.gsBase
        unsafe cpu.setSegment(Segment.cs, code)
        for number in [Segment.es, Segment.ss, Segment.ds] { unsafe cpu.setSegment(number, data) }
        unsafe cpu.setSegment(Segment.fs, none)
        unsafe cpu.setSegment(Segment.gs, gs)
        unsafe cpu.pointee.stepping = 0
        unsafe cpu.pointee.replayCount = 0
        unsafe cpu.pointee.replayCursor = 0
        unsafe cpu.pointee.interruptShadow = 0
        unsafe cpu.pointee.cr2 = 0
        unsafe writeFlags(cpu, state.rflags)
        unsafe refreshMode(cpu)
        let image = unsafe UnsafeRawPointer(state.legacy)
        unsafe cpu.pointee.x87Control = image.load(as: UInt16.self)
        let status = unsafe image.load(fromByteOffset: 2, as: UInt16.self)
        unsafe cpu.pointee.x87Status = status
        unsafe cpu.pointee.x87Tags = image.load(fromByteOffset: 4, as: UInt8.self)
        unsafe cpu.pointee.x87Opcode = 0
        unsafe cpu.pointee.x87InstructionPointer = 0
        unsafe cpu.pointee.x87DataPointer = 0
        unsafe cpu.pointee.x87InstructionSelector = 0
        unsafe cpu.pointee.x87DataSelector = 0
        unsafe cpu.pointee.mxcsr = image.load(fromByteOffset: 24, as: UInt32.self)
        let top = Int(status >> 11) & 7
        for index in 0..<8 {
            unsafe stackRegister(cpu, top + index).copyMemory(
                from: image + 32 + index * 16, byteCount: 16)
        }
        unsafe (cpu.bytes + Int(Layout.xmm)).copyMemory(from: image + 160, byteCount: 256)
        unsafe (cpu.bytes + Int(Layout.upper(0))).copyMemory(
            from: state.upper, byteCount: OracleState.upperByteCount)
    }

    private func save(_ result: OracleState) {
        unsafe result.bytes.copyMemory(from: cpu.bytes + Int(Layout.gpr(0)), byteCount: 128)
        result.vector = unsafe cpu.pointee.rip &- 1 &- Self.upper &- Self.handlers
        result.rip = frameWord(-40)
        result.rflags = frameWord(-24)
        result[4] = frameWord(-16)
        result.errorCode = [8, 10, 11, 12, 13, 14, 17].contains(result.vector) ? frameWord(-48) : 0
        result.address = unsafe cpu.pointee.cr2
        let image = unsafe result.legacy
        unsafe image.storeBytes(of: cpu.pointee.x87Control, as: UInt16.self)
        let status = unsafe cpu.pointee.x87Status
        unsafe image.storeBytes(of: status, toByteOffset: 2, as: UInt16.self)
        unsafe image.storeBytes(of: cpu.pointee.x87Tags, toByteOffset: 4, as: UInt8.self)
        unsafe image.storeBytes(of: cpu.pointee.mxcsr, toByteOffset: 24, as: UInt32.self)
        let top = Int(status >> 11) & 7
        for index in 0..<8 {
            unsafe (image + 32 + index * 16).copyMemory(
                from: stackRegister(cpu, top + index), byteCount: 10)
        }
        unsafe (image + 160).copyMemory(from: cpu.bytes + Int(Layout.xmm), byteCount: 256)
        unsafe result.upper.copyMemory(
            from: cpu.bytes + Int(Layout.upper(0)), byteCount: OracleState.upperByteCount)
    }

    private func frameWord(_ offset: Int) -> UInt64 {
        unsafe guestStack.load(fromByteOffset: offset, as: UInt64.self)
    }
}
