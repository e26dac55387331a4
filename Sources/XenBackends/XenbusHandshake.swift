internal import HostIO
internal import Interrupts
internal import Vocabulary
internal import Xen
internal import XenStore

/// The backend's half of a paravirtual device's life (xen/include/public/io/xenbus.h): it says what it
/// can, waits for the frontend's rings, and follows it through closing and beginning anew.
///
/// Owner: the backend. The frontend is followed in the store's context; any thread asks for the state.
final class XenbusHandshake: Sendable {
    /// What is the device's own. All but `offer` in `begin` and `disconnect` in `fail` are called in the
    /// store's context.
    struct Actions: Sendable {
        /// Nodes that say what the frontend may use.
        var offer: @Sendable () -> [(String, String)]
        /// The frontend has said where its rings are. Nil, or what is wrong with them, after "the
        /// frontend".
        var connect: @Sendable () -> String?
        /// The rings are not to be touched any more once this returns. May be called without `connect`.
        var disconnect: @Sendable () -> Void
        /// A node that is watched has changed, its name.
        var changed: @Sendable (String) -> Void = { _ in }
    }

    let nodes: XenbusNodes
    private let actions: Actions
    private let current: RankedLock<XenbusState>

    init(
        store: StoreHost, kind: String, domain: DomainID, device: UInt32, title: String,
        actions: Actions
    ) {
        self.actions = actions
        current = RankedLock(.initialising, owner: "\(title)-bus", rank: .device)
        let later = Later<XenbusHandshake>()
        let client = store.makeClient { later.part?.heard(of: $0) }
        nodes = XenbusNodes(
            store: store, client: client, kind: kind, domain: domain, device: device)
        later.set(self)
    }

    /// Makes the device's nodes and begins. Once.
    ///
    /// - Parameter watched: nodes of the frontend that `Actions.changed` is told of.
    /// - Throws: `XError`, if the store refuses.
    func begin(
        domain: DomainID, title: String, backendNodes: [(String, String)],
        frontendNodes: [(String, String)], watched: [String] = []
    ) throws(XError) {
        do throws(StoreError) {
            try nodes.make(
                domain: domain, backendNodes: backendNodes, frontendNodes: frontendNodes)
            offer()
            for name in [Self.stateNode] + watched { try nodes.watchFrontend(name) }
        } catch {
            throw XError(.busy, "the store refuses the nodes of \(title): \(error)")
        }
    }

    private static let stateNode = "state"

    var state: XenbusState { current.withLock { $0 } }

    private func offer() {
        nodes.write(actions.offer())
        enter(.initWait)
    }

    func enter(_ state: XenbusState) {
        current.withLock { $0 = state }
        publish()
    }

    /// Two threads may enter states at once: what the store has last is the last of them.
    private func publish() {
        var written: XenbusState
        repeat {
            written = state
            nodes.write([(Self.stateNode, written.rawValue)])
        } while state != written
    }

    /// False: it is in none of these states.
    private func leave(_ states: Set<XenbusState>, for next: XenbusState) -> Bool {
        current.withLock { state in
            guard states.contains(state) else { return false }
            state = next
            return true
        }
    }

    private func heard(of event: StoreWatchEvent) {
        if event.token == Self.stateNode { return follow() }
        actions.changed(event.token)
    }

    private func follow() {
        let state = state
        switch nodes.frontendState {
        case .initialised, .connected:
            if state == .initWait { connect() }
        case .initialising:
            // The frontend begins anew, as after its module was loaded again.
            guard state != .initialising, state != .initWait else { return }
            actions.disconnect()
            offer()
        case .closing:
            actions.disconnect()
            enter(.closing)
        case .closed:
            guard state != .closed, state != .initWait else { return }
            actions.disconnect()
            enter(.closed)
        case .unknown, .initWait, .reconfiguring, .reconfigured: break
        }
    }

    private func connect() {
        if let reason = actions.connect() { return fail("the frontend \(reason)") }
        // As soon as rings are connected they may be found broken.
        guard leave([.initWait], for: .connected) else { return actions.disconnect() }
        publish()
    }

    /// The device cannot go on; whoever reads the store sees why. One that has no frontend any more is
    /// left as it is. Any thread, without a lock of a device.
    func fail(_ reason: String) {
        guard leave([.initWait, .connected], for: .closing) else { return }
        actions.disconnect()
        nodes.write([("error", reason)])
        publish()
    }

    /// Goes on where a state was captured.
    func restore(_ state: XenbusState) { current.withLock { $0 = state } }
}
