internal import Boot
internal import SoftwareCPU
import VirtualCPU
import Vocabulary

/// What the tools that a machine is configured with want to know of its engines, and what they are told.
///
/// Owner: the machine. `add` while it is put together; the rest by whoever owns the machine.
struct MachineObservation {
    /// Forms that statistics name.
    private static let formCount = 20

    private let profile: GuestProfile?
    private let symbols: KernelSymbols
    /// What the cache of translations is asked for.
    let ofCode: CodeObservation
    /// Of the vCPUs so far, in their order, if there is a profile.
    private(set) var samplers: [GuestSampler] = []

    init(_ configuration: MachineConfiguration) {
        profile = configuration.profile
        let perfMap = configuration.perfMap
        symbols =
            profile == nil && perfMap == nil
            ? KernelSymbols() : KernelSymbols(kernel: configuration.kernel)
        perfMap?.use(symbols)
        var ofCode = CodeObservation()
        ofCode.countsForms = configuration.countsForms
        ofCode.keepsPlaces = profile != nil
        if let perfMap {
            ofCode.translated = { perfMap.add(host: $0, byteCount: $1, guest: $2) }
        }
        self.ofCode = ofCode
    }

    /// One more vCPU.
    mutating func add(_ engine: SoftwareEngine) {
        if profile != nil { samplers.append(engine.makeSampler()) }
    }

    /// The vCPUs are about to run.
    func start() throws(XError) { try profile?.start(samplers, symbols) }

    /// The vCPUs have ended.
    func stop() { profile?.stop() }

    /// The forms that left most often.
    func mostFrequent(_ exits: [FormExits]) -> [FormExits] {
        Array(exits.sorted { ($1.count, $0.form) < ($0.count, $1.form) }.prefix(Self.formCount))
    }
}
