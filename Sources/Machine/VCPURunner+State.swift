import VirtualCPU

extension VCPURunner {
    /// A vCPU that stands still.
    struct State: Codable, Sendable, Equatable {
        var engine: ArchitecturalState
        var isHalted: Bool
        var waitsByHypercall: Bool
        var waitsForStartUp: Bool
    }

    /// While the vCPU stands still, or after it ended.
    func captureState() -> State {
        var state = engine.state
        // The counter is the machine's, which goes on with it: a vCPU adds its adjustment alone. Set from
        // here it would be behind the clocks by as long as it takes to make the machine.
        state.modelSpecific.tsc = 0
        return State(
            engine: state, isHalted: isHalted, waitsByHypercall: waitsByHypercall,
            waitsForStartUp: waitsForStartUp)
    }

    /// Before it runs for the first time.
    func restore(_ state: State) {
        engine.state = state.engine
        let adjustment = state.engine.modelSpecific.tscAdjust
        if adjustment != 0 { surroundings.counterAdjusted(by: adjustment) }
        isHalted = state.isHalted
        waitsByHypercall = state.waitsByHypercall
        waitsForStartUp = state.waitsForStartUp
    }
}
