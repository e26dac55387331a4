public import Vocabulary
public import XenStore

/// The nodes that a toolstack makes for a new domain (xen/docs/misc/xenstore-paths.pandoc).
public struct DomainNodes: Sendable {
    public var domain: DomainID
    public var name: String
    /// Hexadecimal with hyphens.
    public var identifier: String
    public var processorCount: Int
    public var memoryByteCount: UInt64
    public var storePort: EventChannelPort
    public var storeFrame: UInt64
    public var consolePort: EventChannelPort
    public var consoleFrame: UInt64

    public init(
        domain: DomainID, name: String, identifier: String, processorCount: Int,
        memoryByteCount: UInt64, storePort: EventChannelPort, storeFrame: UInt64,
        consolePort: EventChannelPort, consoleFrame: UInt64
    ) {
        self.domain = domain
        self.name = name
        self.identifier = identifier
        self.processorCount = processorCount
        self.memoryByteCount = memoryByteCount
        self.storePort = storePort
        self.storeFrame = storeFrame
        self.consolePort = consolePort
        self.consoleFrame = consoleFrame
    }

    /// `/local/domain/N`.
    public var home: String { "/local/domain/\(domain.rawValue)" }

    /// The guest may write below these.
    private static let writable = [
        "control/shutdown", "control/feature-poweroff", "control/feature-reboot",
        "control/feature-suspend", "control/sysrq", "device/suspend/event-channel", "data",
        "drivers", "feature", "attr", "error",
    ]

    /// Makes them, as the client `host` on the host's side.
    public func make(
        in service: inout StoreService, as host: StoreConnectionID
    ) throws(StoreError) {
        let forGuest = [StorePermission(.none, .host), StorePermission(.read, domain)]
        let ofGuest = [StorePermission(.none, domain)]
        func put(
            _ path: String, _ value: String, _ permissions: [StorePermission]
        ) throws(StoreError) {
            try service.write(path, value, as: host)
            try service.setPermissions(path, permissions, as: host)
        }
        try put(home, "", forGuest)
        for (path, value) in fixed { try put("\(home)/\(path)", value, forGuest) }
        for path in ["cpu", "memory", "device", "control", "store", "console", "backend"] {
            try service.setPermissions("\(home)/\(path)", forGuest, as: host)
        }
        for processor in 0..<processorCount {
            try put("\(home)/cpu/\(processor)", "", forGuest)
            try put("\(home)/cpu/\(processor)/availability", "online", forGuest)
        }
        try put("\(home)/device/suspend", "", forGuest)
        for path in Self.writable { try put("\(home)/\(path)", "", ofGuest) }
        let machine = "/vm/\(identifier)"
        try put(machine, "", forGuest)
        for (path, value) in [("uuid", identifier), ("name", name)] {
            try put("\(machine)/\(path)", value, forGuest)
        }
    }

    private var fixed: [(String, String)] {
        let kibibytes = String(memoryByteCount >> 10)
        return [
            ("vm", "/vm/\(identifier)"), ("name", name), ("domid", String(domain.rawValue)),
            ("cpu", ""), ("memory", ""), ("memory/static-max", kibibytes),
            ("memory/target", kibibytes), ("memory/videoram", "0"), ("device", ""),
            ("backend", ""), ("control", ""),
            ("control/platform-feature-multiprocessor-suspend", "1"),
            ("control/platform-feature-xs_reset_watches", "1"),
            ("store", ""), ("store/port", String(storePort.rawValue)),
            ("store/ring-ref", String(storeFrame)), ("console", ""),
            ("console/port", String(consolePort.rawValue)),
            ("console/ring-ref", String(consoleFrame)), ("console/type", "martlet"),
            ("console/limit", "1048576"), ("console/output", "pty"),
        ]
    }
}
