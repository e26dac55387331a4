public import Vocabulary
internal import XenStore

/// What the host asks of a guest by its store: to end, to begin anew, or a key of the kernel's "magic
/// SysRq" (xen/docs/misc/xenstore-paths.pandoc, `control/`; Linux, drivers/xen/manage.c).
///
/// Owner: the machine. Any thread.
public final class PowerControl: Sendable {
    /// Values of `control/shutdown`.
    public enum Request: String, Sendable, CaseIterable {
        case powerOff = "poweroff"
        case halt
        case reboot
        case suspend

        /// The node by which a guest says that it listens. Linux has none for a halt.
        var feature: String {
            switch self {
            case .powerOff, .halt: "feature-poweroff"
            case .reboot: "feature-reboot"
            case .suspend: "feature-suspend"
            }
        }
    }

    private let store: StoreHost
    private let client: StoreConnectionID
    private let control: String

    public init(store: StoreHost, domain: DomainID) {
        self.store = store
        client = store.makeClient()
        control = "/local/domain/\(domain.rawValue)/control"
    }

    private func read(_ name: String) -> String {
        let (id, path) = (client, "\(control)/\(name)")
        let value = try? store.perform { (service) throws(StoreError) in
            try service.read(path, as: id)
        }
        return value.map { String(decoding: $0.prefix(64), as: UTF8.self) } ?? ""
    }

    private func write(_ name: String, _ value: String) throws(XError) {
        let (id, path) = (client, "\(control)/\(name)")
        do throws(StoreError) {
            try store.perform { (service) throws(StoreError) in
                try service.write(path, value, as: id)
            }
        } catch {
            throw XError(.busy, "the store refuses to write \(path): \(error)")
        }
    }

    /// The guest has said that it listens to such requests.
    public func isHeard(_ request: Request) -> Bool { read(request.feature) == "1" }

    /// A guest that goes on in a new domain listens as it did, and does not say so again.
    public func assumeHeard() throws(XError) {
        for feature in Set(Request.allCases.map(\.feature)) { try write(feature, "1") }
    }

    /// Asks the guest. It has heard once `isAcknowledged`.
    ///
    /// - Throws: `XError`: another request is not acknowledged, or the guest does not listen.
    public func ask(_ request: Request) throws(XError) {
        guard isHeard(request) else {
            throw XError(
                .busy,
                "the guest does not listen to '\(request.rawValue)' (yet); wait for its kernel, or end "
                    + "it with martlet stop")
        }
        let waiting = read("shutdown")
        guard waiting.isEmpty else {
            throw XError(
                .busy, "the guest has not acknowledged '\(waiting)' yet; wait, or end it")
        }
        try write("shutdown", request.rawValue)
    }

    /// The guest has taken the last request: it empties the node.
    public var isAcknowledged: Bool { read("shutdown").isEmpty }

    /// Takes back a request. False: the guest has taken it, or there was none.
    public func withdraw() -> Bool {
        let (id, path) = (client, "\(control)/shutdown")
        let wasThere = try? store.perform { (service) throws(StoreError) in
            // One step: the guest takes it before this or finds nothing.
            guard try !service.read(path, as: id).isEmpty else { return false }
            try service.write(path, "", as: id)
            return true
        }
        return wasThere ?? false
    }

    /// Presses a key of the kernel's SysRq.
    public func press(systemRequest key: Character) throws(XError) {
        try write("sysrq", String(key))
    }
}
