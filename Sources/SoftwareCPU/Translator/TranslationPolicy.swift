internal import CEngine
internal import GuestMemory
internal import HostIO

/// Whether an engine makes host code of what it runs often.
public enum TranslationPolicy: Sendable, Equatable {
    /// Everything is interpreted.
    case off
    /// Blocks of 64-bit code become host code once they have been run this often, at least once.
    case afterRuns(UInt8)

    /// What pays on the whole: most blocks run a few times, and translating one costs as much as
    /// interpreting it some hundred times.
    public static let standard = TranslationPolicy.afterRuns(200)
}

/// Translates the block of `header` and goes on with it.
@inline(never)
func translateBlock(_ cpu: CPU, _ header: UnsafeMutablePointer<DecodedInstruction>) -> Next {
    let engine = unsafe context(cpu)
    guard let translator = engine.code.translator else {
        return unsafe blockHeader(cpu, header)
    }
    let crosses = unsafe engine.crossings.contains(header)
    let physical = unsafe header.physical
    if engine.memory.isAbsent(physical) {
        // Decoded instructions are there without it.
        unsafe translator.postpone(header, by: .max)
        return unsafe enterBlock(cpu, header)
    }
    let linear = unsafe cpu.pointee.codePage | physical & 0xfff
    let page = unsafe UnsafeRawBufferPointer(
        start: engine.hostBase + Int(truncatingIfNeeded: physical & ~0xfff), count: 4096)
    // Dictionaries compute with floating point, which must leave no trace in the guest's MXCSR.
    let control = vector_host_mxcsr()
    var isDoubtful = false
    let hasRoom = engine.cache.contents.withLock { contents in
        // Its header is this vCPU's own.
        if crosses {
            return unsafe translateCrossing(engine, translator, header, linear)
        }
        // Dropped meanwhile, or translated: another vCPU has counted to its end too.
        guard unsafe header.isHandled(by: countingHeader) else { return true }
        if engine.code.isFull { return false }
        if !engine.code.hears(translator) {
            unsafe translator.postpone(header, by: .max)
            return true
        }
        // Whatever comes of it, it is not tried again.
        unsafe cengine_set_handler(header, blockHeader)
        let reuse = unsafe translator.reuse(
            header, page: page, linear: linear, features: engine.features
        ) { offset in
            let attempt = unsafe buildBlock(
                cpu, engine, physical & ~0xfff | UInt64(offset), &contents)
            if case .doubtful = attempt { isDoubtful = true }
            return attempt
        }
        switch reuse {
        case .published, .later: return true
        case .noRoom: return false
        case .nothing: break
        }
        return unsafe translator.translate(
            header, of: engine.code, bytes: page, linear: linear, features: engine.features)
    }
    vector_set_host_mxcsr(control)
    if isDoubtful { engine.cache.tellOthers(of: physical & ~0xfff, engine.memory) }
    if !hasRoom {
        // Full: everything starts again.
        unsafe cpu.pointee.rip = unsafe cpu.instructionPointer(of: header)
        unsafe nextGeneration(cpu, engine)
        return unsafe lookUpBlock(cpu)
    }
    let entry = unsafe jumpCacheEntry(cpu, linear)
    if unsafe entry.pointee.instruction == UnsafePointer(header) {
        unsafe entry.pointee.code = unsafe translator.continuation(of: header)
    }
    return unsafe UnsafePointer(header)
}
