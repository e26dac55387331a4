internal import CEngine
internal import Synchronization

// How an engine gets from one generation of blocks to the next.

/// Where a vCPU begins to run guest code: from here on what it runs stays where it is.
func enterCode(_ cpu: CPU, _ engine: EngineContext) {
    engine.resident.oldest.store(engine.code.number, ordering: .sequentiallyConsistent)
    unsafe changeGeneration(cpu, engine)
}

/// In the run loop, where no instruction pointer is held and no translated code has been called.
func changeGeneration(_ cpu: CPU, _ engine: EngineContext) {
    let newest = engine.cache.newest.load(ordering: .sequentiallyConsistent)
    if engine.code.number == newest, engine.resident.oldest.load(ordering: .relaxed) == newest {
        return
    }
    // The one that it was in may go.
    engine.sampler?.setBlocks(0..<0)
    let arena = engine.cache.change(engine.resident)
    engine.sampler?.setBlocks(arena.addresses)
    if arena === engine.code { return }
    engine.code = arena
    unsafe forgetInstructions(cpu, engine)
}

/// On the way to a block for which there was no room. What called this may be translated code of the
/// earlier generation, which stays until the run loop gets to `changeGeneration`.
func nextGeneration(_ cpu: CPU, _ engine: EngineContext) {
    engine.code = engine.cache.next(after: engine.code)
    engine.sampler?.setBlocks(engine.code.addresses)
    unsafe forgetInstructions(cpu, engine)
}

private func forgetInstructions(_ cpu: CPU, _ engine: EngineContext) {
    unsafe engine.code.describe(to: cpu)
    unsafe cpu.pointee.block = nil
    unsafe cpu.pointee.codeGeneration &+= 1
    unsafe flushJumpCache(cpu)
}
