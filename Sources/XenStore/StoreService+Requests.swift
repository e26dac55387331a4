internal import Vocabulary

/// The protocol: messages of a client become operations, their results replies (`xenstore.txt`).
extension StoreService {
    /// Whether bytes of this client may be taken now. No: it has too many requests whose reply or
    /// whose events were not taken yet (XSA-326), or is ignored, or gone.
    public func wantsInput(_ id: StoreConnectionID) -> Bool {
        guard let connection = connections[id], !connection.isIgnored else { return false }
        if connection.isPrivileged {
            return connection.output.byteCount < Self.privilegedOutputLimit
        }
        let limit = quotas(of: connection.domain).outstandingRequests
        return limit == 0 || connection.outstanding.count < limit
    }

    /// Takes bytes that a client has sent, in pieces of any length, and answers what is complete.
    /// Stops where `wantsInput` becomes false.
    public mutating func receive(_ bytes: [UInt8], from id: StoreConnectionID) -> StoreReceipt {
        var rest = bytes[...]
        while wantsInput(id) {
            do throws(StoreProtocolViolation) {
                guard let message = try connections[id]?.decoder.next(from: &rest) else { break }
                handle(message, from: id)
            } catch {
                ignore(id)
                return StoreReceipt(
                    consumedByteCount: bytes.count - rest.count, violation: error)
            }
        }
        return StoreReceipt(consumedByteCount: bytes.count - rest.count, violation: nil)
    }

    /// Answers one message; the reply is in the client's output then.
    public mutating func handle(_ message: StoreMessage, from id: StoreConnectionID) {
        // No copy of the connection is kept: what it holds would be copied with each change.
        guard let isPrivileged = connections[id]?.isPrivileged,
            let request = connections[id]?.nextRequest, connections[id]?.isIgnored == false
        else { return }
        connections[id]?.nextRequest &+= 1
        origin = isPrivileged ? nil : .init(connection: id, request: request)
        defer { origin = nil }
        counters.requests &+= 1

        var reply = StoreMessage(
            message.kind, requestID: message.requestID, transactionID: message.transactionID)
        var watch: StoreWatch?
        do throws(StoreError) {
            let answer = try answer(message, from: id, isPrivileged: isPrivileged)
            guard answer.payload.count <= StoreMessage.payloadByteCountLimit else {
                throw .tooBig
            }
            reply.payload = answer.payload
            watch = answer.watch
        } catch {
            counters.refusals &+= 1
            reply.kind = .error
            reply.payload = Array(error.rawValue.utf8) + [0]
        }
        if !isPrivileged { connections[id]?.outstanding[request, default: 0] += 1 }
        connections[id]?.output.append(reply, origin: origin)
        // After the reply, and not on the account of the request.
        if let watch { post(watch, at: watch.path, origin: nil) }
    }

    /// What a request is answered with.
    struct Answer {
        var payload: [UInt8]
        /// Was set, and is to have its first event.
        var watch: StoreWatch?

        init(_ payload: [UInt8]) { self.payload = payload }
        init(_ text: String) { payload = Array(text.utf8) + [0] }
        static var done: Answer { Answer("OK") }
    }

    private static let privilegedKinds: Set<StoreMessageKind> = [
        .control, .introduce, .release, .isDomainIntroduced, .resume, .setTarget, .setFeature,
        .getQuota, .setQuota,
    ]

    private mutating func answer(
        _ message: StoreMessage, from id: StoreConnectionID, isPrivileged: Bool
    ) throws(StoreError) -> Answer {
        if Self.privilegedKinds.contains(message.kind), !isPrivileged { throw .accessDenied }
        let transaction = message.transactionID
        switch message.kind {
        case .watch: return try answerWatch(message, from: id)
        case .unwatch:
            let parts = message.terminatedStrings
            guard parts.count == 2 else { throw .invalidArgument }
            try removeWatch(String(decoding: parts[0], as: UTF8.self), Array(parts[1]), as: id)
            return .done
        default: break
        }
        if let known = try answerAdministration(message, from: id, isPrivileged: isPrivileged) {
            return known
        }
        // All others are in the transaction that they name.
        guard transaction == 0 || connections[id]?.transactions[transaction] != nil else {
            throw Self.nodeKinds.contains(message.kind) ? .notFound : .notSupported
        }
        switch message.kind {
        case .read:
            return Answer(try read(try only(message), transaction: transaction, as: id))
        case .directory:
            return Answer(try node(try only(message), transaction, as: id).childList)
        case .directoryPart: return try answerDirectoryPart(message, from: id)
        case .getPermissions:
            let permissions = try permissions(
                try only(message), transaction: transaction, as: id)
            return Answer(permissions.flatMap { Array($0.text.utf8) + [0] })
        case .setPermissions: try answerSetPermissions(message, from: id)
        case .write:
            guard let end = message.payload.firstIndex(of: 0) else { throw .invalidArgument }
            try write(
                String(decoding: message.payload[..<end], as: UTF8.self),
                Array(message.payload[(end + 1)...]), transaction: transaction, as: id)
        case .makeDirectory:
            try makeDirectory(try only(message), transaction: transaction, as: id)
        case .remove: try remove(try only(message), transaction: transaction, as: id)
        case .transactionStart:
            guard transaction == 0 else { throw .busy }
            return Answer(String(try startTransaction(as: id)))
        case .transactionEnd:
            let argument = try only(message)
            guard argument == "T" || argument == "F" else { throw .invalidArgument }
            try endTransaction(transaction, commit: argument == "T", as: id)
        case .resetWatches: resetWatches(as: id)
        default: throw .notSupported
        }
        return .done
    }

    private static let nodeKinds: Set<StoreMessageKind> = [
        .read, .directory, .directoryPart, .getPermissions, .setPermissions, .write,
        .makeDirectory, .remove, .transactionStart, .transactionEnd, .resetWatches,
    ]

    func only(_ message: StoreMessage) throws(StoreError) -> String {
        guard let text = message.onlyString else { throw .invalidArgument }
        return text
    }

    /// `path|token|` and, where the client was told of it, `depth|`.
    private mutating func answerWatch(
        _ message: StoreMessage, from id: StoreConnectionID
    ) throws(StoreError) -> Answer {
        let parts = message.terminatedStrings
        guard parts.count == 2 || parts.count == 3 else { throw .invalidArgument }
        var depth: Int?
        if parts.count == 3 {
            let text = String(decoding: parts[2], as: UTF8.self)
            guard let client = client(id),
                client.isPrivileged
                    || features(of: client.domain) & Self.watchDepthFeature != 0,
                let number = Self.number(text)
            else { throw .invalidArgument }
            depth = number
        }
        var answer = Answer.done
        answer.watch = try addWatch(
            String(decoding: parts[0], as: UTF8.self), Array(parts[1]), depth: depth, as: id)
        return answer
    }

    /// `path|` and one or more permissions, as `r3|`.
    private mutating func answerSetPermissions(
        _ message: StoreMessage, from id: StoreConnectionID
    ) throws(StoreError) {
        let strings = message.strings
        guard strings.count >= 2 else { throw .invalidArgument }
        var permissions: [StorePermission] = []
        for text in strings.dropFirst() {
            guard let permission = StorePermission(text) else { throw .invalidArgument }
            permissions.append(permission)
        }
        try setPermissions(
            strings[0], permissions, transaction: message.transactionID, as: id)
    }

    /// `path|offset|`: the generation of the node, then as many names from the offset on as fit, and
    /// an empty name at the end of the list.
    private mutating func answerDirectoryPart(
        _ message: StoreMessage, from id: StoreConnectionID
    ) throws(StoreError) -> Answer {
        let strings = message.strings
        guard strings.count == 2, let offset = Self.number(strings[1]) else {
            throw .invalidArgument
        }
        let node = try node(strings[0], message.transactionID, as: id)
        var payload = Array(String(node.generation).utf8) + [0]
        let rest = node.childList.dropFirst(offset)
        // Room for the empty name is kept.
        let room = StoreMessage.payloadByteCountLimit - payload.count - 1
        if rest.count <= room {
            payload.append(contentsOf: rest)
            payload.append(0)
        } else if let end = rest.prefix(room).lastIndex(of: 0) {
            payload.append(contentsOf: rest[...end])
        }
        return Answer(payload)
    }

    /// A decimal number from 0 to 999,999,999.
    static func number(_ text: String) -> Int? {
        guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy(StorePath.isDigit) else {
            return nil
        }
        return Int(text)
    }
}
