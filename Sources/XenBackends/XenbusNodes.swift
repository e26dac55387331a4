internal import Vocabulary
internal import Xen
internal import XenStore

/// The nodes of one paravirtual device in the store: the backend's own and the frontend's.
///
/// Owner: the backend. Any thread, without a lock of a device.
struct XenbusNodes: Sendable {
    let store: StoreHost
    let client: StoreConnectionID
    /// `/local/domain/0/backend/vbd/1/51712`
    let backend: String
    /// `/local/domain/1/device/vbd/51712`
    let frontend: String

    init(
        store: StoreHost, client: StoreConnectionID, kind: String, domain: DomainID, device: UInt32
    ) {
        self.store = store
        self.client = client
        backend = "/local/domain/0/backend/\(kind)/\(domain.rawValue)/\(device)"
        frontend = "/local/domain/\(domain.rawValue)/device/\(kind)/\(device)"
    }

    /// What a toolstack writes for a new device: both ends know of each other, and each may write its
    /// own nodes and read the other's.
    func make(
        domain: DomainID, backendNodes: [(String, String)], frontendNodes: [(String, String)]
    ) throws(StoreError) {
        let id = client
        let (back, front) = (backend, frontend)
        try store.perform { (service) throws(StoreError) in
            try service.write(front, "", as: id)
            try service.setPermissions(
                front, [StorePermission(.none, domain), StorePermission(.read, .host)], as: id)
            try service.write(back, "", as: id)
            try service.setPermissions(
                back, [StorePermission(.none, .host), StorePermission(.read, domain)], as: id)
            let initialising = XenbusState.initialising.rawValue
            for (name, value) in [
                ("frontend", front), ("frontend-id", String(domain.rawValue)), ("online", "1"),
                ("state", initialising),
            ] + backendNodes {
                try service.write("\(back)/\(name)", value, as: id)
                try service.setPermissions(
                    "\(back)/\(name)",
                    [StorePermission(.none, .host), StorePermission(.read, domain)], as: id)
            }
            for (name, value) in [
                ("backend", back), ("backend-id", "0"), ("state", initialising),
            ] + frontendNodes {
                try service.write("\(front)/\(name)", value, as: id)
                try service.setPermissions(
                    "\(front)/\(name)",
                    [StorePermission(.none, domain), StorePermission(.read, .host)], as: id)
            }
        }
    }

    /// Writes nodes of the backend, all at once for whoever watches.
    func write(_ values: [(String, String)]) {
        let (id, back) = (client, backend)
        try? store.perform { (service) throws(StoreError) in
            for (name, value) in values {
                try service.write("\(back)/\(name)", value, as: id)
            }
        }
    }

    /// A node of the frontend; nil: it has none. At most 64 bytes count.
    func frontend(_ name: String) -> String? {
        let (id, front) = (client, frontend)
        let value = try? store.perform { (service) throws(StoreError) in
            try service.read("\(front)/\(name)", as: id)
        }
        return value.map { String(decoding: $0.prefix(64), as: UTF8.self) }
    }

    func frontendNumber(_ name: String) -> UInt32? { frontend(name).flatMap { UInt32($0) } }

    var frontendState: XenbusState {
        frontend("state").flatMap { XenbusState(rawValue: $0) } ?? .unknown
    }

    /// Tells the store's client of changes of a node of the frontend.
    func watchFrontend(_ name: String) throws(StoreError) {
        let (id, front) = (client, frontend)
        try store.perform { (service) throws(StoreError) in
            try service.watch("\(front)/\(name)", token: name, as: id)
        }
    }
}
