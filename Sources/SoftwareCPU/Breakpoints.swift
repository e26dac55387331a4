internal import CEngine

// Breakpoints of DR0 to DR3 (SDM volume 3, 17.2). While DR7 enables none, nothing is asked anywhere:
// a page with a data breakpoint is never in the TLB, and a page with an instruction breakpoint never
// in the jump cache, so both are met on slow paths only.

/// What DR7 enables. Owner: `EngineContext`; made anew with each write to a debug register.
struct Breakpoints {
    enum Kind: UInt64 {
        case execute = 0
        case write = 1
        case port = 2
        case access = 3
    }

    struct Entry {
        var kind: Kind
        var start: UInt64
        var byteCount: UInt64
        /// The bit of DR6.
        var bit: UInt64

        func overlaps(_ address: UInt64, _ count: UInt64) -> Bool {
            address &- start < byteCount || start &- address < count
        }
    }

    private(set) var entries: [Entry] = []
    private(set) var hasExecute = false
    private(set) var hasData = false
    private(set) var hasPort = false

    /// - Parameter registers: DR0 to DR7.
    init(registers: UnsafePointer<UInt64>, debugExtensions: Bool) {
        let dr7 = unsafe registers[7]
        for index in 0..<4 {
            let number = UInt64(index)
            guard (dr7 &>> (number &* 2)) & 3 != 0,
                let kind = Kind(rawValue: (dr7 &>> (16 &+ number &* 4)) & 3)
            else { continue }
            let lengths: [UInt64] = [1, 2, 8, 4]
            var count = lengths[Int(truncatingIfNeeded: (dr7 &>> (18 &+ number &* 4)) & 3)]
            switch kind {
            case .execute:
                hasExecute = true
                count = 1
            case .write, .access: hasData = true
            case .port:
                if !debugExtensions { continue }
                hasPort = true
            }
            entries.append(
                Entry(
                    kind: kind, start: unsafe registers[index] & ~(count &- 1), byteCount: count,
                    bit: 1 &<< number))
        }
    }

    init() {}

    /// The DR6 bits of the breakpoints that a data access meets.
    func data(_ address: UInt64, _ count: Int, write: Bool) -> UInt64 {
        var bits: UInt64 = 0
        for entry in entries where entry.kind == .access || write && entry.kind == .write {
            if entry.overlaps(address, UInt64(truncatingIfNeeded: count)) { bits |= entry.bit }
        }
        return bits
    }

    func port(_ port: UInt16, _ width: Int) -> UInt64 {
        var bits: UInt64 = 0
        for entry in entries where entry.kind == .port {
            if entry.overlaps(UInt64(port), UInt64(truncatingIfNeeded: width)) { bits |= entry.bit }
        }
        return bits
    }

    func execute(_ linear: UInt64) -> UInt64 {
        var bits: UInt64 = 0
        for entry in entries where entry.kind == .execute && entry.start == linear {
            bits |= entry.bit
        }
        return bits
    }

    func watchesData(page: UInt64) -> Bool {
        entries.contains {
            ($0.kind == .write || $0.kind == .access) && $0.start &>> 12 == page &>> 12
        }
    }

    func watchesExecution(page: UInt64) -> Bool {
        entries.contains { $0.kind == .execute && $0.start &>> 12 == page &>> 12 }
    }
}

/// After any change of a debug register or of CR4.DE.
func refreshBreakpoints(_ cpu: CPU) {
    let registers = unsafe UnsafeRawPointer(cpu.bytes + CPUOffsets.debugRegisters)
        .assumingMemoryBound(to: UInt64.self)
    let engine = unsafe context(cpu)
    let had = engine.breakpoints.hasExecute || engine.breakpoints.hasData
    engine.breakpoints = unsafe Breakpoints(
        registers: registers, debugExtensions: cpu.pointee.cr4 & CR4.de != 0)
    unsafe cpu.pointee.hasExecutionBreakpoints = engine.breakpoints.hasExecute ? 1 : 0
    if had || engine.breakpoints.hasExecute || engine.breakpoints.hasData {
        unsafe flushEverything(cpu)
    }
}

/// A data access on the slow path. False: it meets a breakpoint, and its instruction runs again alone
/// so that the trap can follow it.
func passesBreakpoints(_ cpu: CPU, _ address: UInt64, _ byteCount: Int, write: Bool) -> Bool {
    // DR7: none of the four is enabled.
    let enabled = unsafe (cpu.bytes + CPUOffsets.debugRegisters).load(
        fromByteOffset: 56, as: UInt64.self)
    if _fastPath(enabled & 0xff == 0) { return true }
    let engine = unsafe context(cpu)
    if !engine.breakpoints.hasData { return true }
    let bits = engine.breakpoints.data(address, byteCount, write: write)
    if bits == 0 { return true }
    if unsafe cpu.pointee.stepping & Stepping.armed != 0 {
        unsafe cpu.pointee.pendingDebug |= bits
        return true
    }
    unsafe cpu.pointee.stepping |= Stepping.alone
    unsafe refreshContexts(cpu)
    unsafe cpu.pointee.leaveReason = LeaveReason.restart
    return false
}

/// An IN or OUT that has been answered, and so runs alone: the trap follows.
func notePortBreakpoints(_ cpu: CPU, _ port: UInt16, _ width: Int) {
    let engine = unsafe context(cpu)
    if !engine.breakpoints.hasPort { return }
    unsafe cpu.pointee.pendingDebug |= engine.breakpoints.port(port, width)
}

/// The reasons of a debug exception. B0 to B3 are those of this one, the others stay until software
/// clears them (SDM volume 3, 17.2.3).
func setDebugStatus(_ cpu: CPU, _ bits: UInt64) {
    let dr6 =
        unsafe (cpu.bytes + CPUOffsets.debugRegisters).assumingMemoryBound(to: UInt64.self) + 6
    unsafe dr6.pointee = unsafe dr6.pointee & ~0xf | bits
}
