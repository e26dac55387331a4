public import Vocabulary

extension StoreService {
    /// Everything that clients could tell apart, for a machine that is suspended. Transactions that
    /// are open stay open, but end with `EAGAIN`, which clients are made for.
    public struct State: Codable, Sendable {
        struct Node: Codable, Sendable {
            var path: String
            var value: [UInt8]
            var permissions: [StorePermission]
            var generation: UInt64
        }

        struct Watch: Codable, Sendable {
            var connection: StoreConnectionID
            var path: String
            var token: [UInt8]
            var depth: Int?
            var prefixByteCount: Int
        }

        struct Output: Codable, Sendable {
            var message: StoreMessage
            var originConnection: StoreConnectionID?
            var originRequest: UInt64?
            var age: Int
        }

        struct Connection: Codable, Sendable {
            var id: StoreConnectionID
            var domain: DomainID
            var isPrivileged: Bool
            var isIgnored: Bool
            var decoder: StoreMessageDecoder
            var transactions: [UInt32]
            var nextTransactionID: UInt32
            var output: [Output]
            var takenByteCount: Int
            var nextRequest: UInt64
        }

        struct Domain: Codable, Sendable {
            var id: DomainID
            var known: StoreDomain
        }

        /// Parents come before their children.
        var nodes: [Node]
        var generation: UInt64
        var watches: [Watch]
        var connections: [Connection]
        var domains: [Domain]
        var defaultQuotas: StoreQuotas
        var nextConnection: UInt64
    }

    /// The state between two calls.
    public func captureState() -> State {
        State(
            nodes: tree.all.map {
                State.Node(
                    path: $0.path.text, value: $0.node.value, permissions: $0.node.permissions,
                    generation: $0.node.generation)
            },
            generation: generation,
            watches: watches.all.map {
                State.Watch(
                    connection: $0.connection, path: $0.path.text, token: $0.token,
                    depth: $0.depth, prefixByteCount: $0.prefixByteCount)
            },
            connections: connectionIDs.compactMap { connections[$0] }.map(Self.state),
            domains: domains.sorted { $0.key < $1.key }.map {
                State.Domain(id: $0.key, known: $0.value)
            },
            defaultQuotas: defaultQuotas, nextConnection: nextConnection)
    }

    private static func state(_ connection: StoreConnection) -> State.Connection {
        State.Connection(
            id: connection.id, domain: connection.domain, isPrivileged: connection.isPrivileged,
            isIgnored: connection.isIgnored, decoder: connection.decoder,
            transactions: connection.transactions.keys.sorted(),
            nextTransactionID: connection.nextTransactionID,
            output: connection.output.waiting.map {
                State.Output(
                    message: $0.message, originConnection: $0.origin?.connection,
                    originRequest: $0.origin?.request, age: $0.age)
            },
            takenByteCount: connection.output.takenByteCount, nextRequest: connection.nextRequest)
    }

    /// A service that goes on from `state`. Clients have the connections they had; those that did not
    /// come along, as sockets, are to be disconnected.
    /// - Throws: `XError` for a state that no service can be in.
    public init(restoring state: State) throws(XError) {
        self.init()
        try restoreNodes(state)
        generation = max(state.generation, state.nodes.map(\.generation).max() ?? 0)
        defaultQuotas = state.defaultQuotas
        nextConnection = state.nextConnection
        for each in state.connections {
            guard each.id.rawValue < nextConnection, connections[each.id] == nil,
                each.isPrivileged == (each.domain == .host)
            else { throw Self.broken("connection \(each.id.rawValue)") }
            connections[each.id] = restored(each)
        }
        for each in state.domains {
            let id = each.known.connection
            guard each.id != .host, each.id < .firstReserved, domains[each.id] == nil,
                id.map({ connections[$0]?.domain == each.id }) ?? true
            else { throw Self.broken("domain \(each.id.rawValue)") }
            domains[each.id] = each.known
        }
        for connection in connections.values where !connection.isPrivileged {
            guard domains[connection.domain]?.connection == connection.id else {
                throw Self.broken("connection \(connection.id.rawValue)")
            }
        }
        for each in state.watches {
            guard let path = StorePath(each.path), connections[each.connection] != nil,
                each.prefixByteCount >= 0, each.prefixByteCount < path.text.utf8.count
            else { throw Self.broken("watch of \(each.path)") }
            _ = watches.add(
                each.connection, path, each.token, depth: each.depth,
                prefixByteCount: each.prefixByteCount)
        }
        recountOutstanding()
        recount()
    }

    private static func broken(_ what: String) -> XError {
        XError(
            .invalidFormat,
            "The saved XenStore has an impossible \(what); the file is damaged, use another one.")
    }

    private mutating func restoreNodes(_ state: State) throws(XError) {
        guard let root = state.nodes.first, root.path == "/", !root.permissions.isEmpty else {
            throw Self.broken("root")
        }
        tree = StoreTree(rootPermissions: root.permissions)
        tree.replace(
            .root, value: root.value, permissions: root.permissions, generation: root.generation)
        for each in state.nodes.dropFirst() {
            guard let path = StorePath(each.path), path.level > 0, !each.permissions.isEmpty,
                tree.insert(
                    path, below: path.level - 1, value: each.value,
                    permissions: each.permissions, generation: each.generation)
            else { throw Self.broken("node \(each.path)") }
            // To insert a node changes the generation of the one above it; that is put right below.
        }
        for each in state.nodes {
            guard let path = StorePath(each.path) else { continue }
            tree.replace(
                path, value: each.value, permissions: each.permissions,
                generation: each.generation)
        }
    }

    private func restored(_ state: State.Connection) -> StoreConnection {
        var connection = StoreConnection(
            id: state.id, domain: state.domain, isPrivileged: state.isPrivileged)
        connection.isIgnored = state.isIgnored
        connection.decoder = state.decoder
        connection.nextTransactionID = state.nextTransactionID
        connection.nextRequest = state.nextRequest
        for number in state.transactions {
            var open = StoreTransaction(tree, isExplicit: true)
            open.markStale()
            connection.transactions[number] = open
        }
        for each in state.output {
            var origin: StoreOutput.Origin?
            if let id = each.originConnection, let request = each.originRequest {
                origin = StoreOutput.Origin(connection: id, request: request)
            }
            connection.output.append(each.message, origin: origin, age: each.age)
        }
        connection.output.markTaken(state.takenByteCount)
        return connection
    }

    /// Counts the messages that come from each request.
    private mutating func recountOutstanding() {
        for connection in connections.values {
            for origin in connection.output.waiting.compactMap(\.origin) {
                connections[origin.connection]?.outstanding[origin.request, default: 0] += 1
            }
        }
    }
}
