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
        State(
            engine: engine.state, isHalted: isHalted, waitsByHypercall: waitsByHypercall,
            waitsForStartUp: waitsForStartUp)
    }

    /// Before it runs for the first time.
    func restore(_ state: State) {
        engine.state = state.engine
        isHalted = state.isHalted
        waitsByHypercall = state.waitsByHypercall
        waitsForStartUp = state.waitsForStartUp
    }
}
