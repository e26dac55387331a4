internal import HostIO
internal import XenStore

/// A client of the store that brings bytes of the protocol and takes bytes, as one on a socket does.
public final class StoreStream: Sendable {
    let id: StoreConnectionID
    let waiting: @Sendable () -> Void

    init(_ id: StoreConnectionID, _ waiting: @escaping @Sendable () -> Void) {
        self.id = id
        self.waiting = waiting
    }
}

/// The ring's way of being served, for clients on the host's side: bytes in, bytes out.
extension StoreHost {
    /// What is known of a stream.
    struct Stream: Sendable {
        let stream: StoreStream
        /// It knows that there is output, and has not taken any since.
        var isTold = false
    }

    /// A client with the rights of the host.
    ///
    /// - Parameter waiting: there is output to take, or the connection has ended. Once until output is
    ///   taken; in the store's context; must not block.
    public func connect(waiting: @escaping @Sendable () -> Void) -> StoreStream {
        registers.withLock { registers in
            let stream = StoreStream(registers.service.connect(), waiting)
            registers.streams[stream.id] = Stream(stream: stream)
            return stream
        }
    }

    /// Takes bytes, in pieces of any length, and answers what is complete; at most a few kilobytes at
    /// a time, for which everybody else has to wait.
    ///
    /// - Returns: how many it has taken, from the front; bring the others after output was taken. Nil:
    ///   the connection has ended, by what no client may send or by a state that was taken back.
    public func receive(_ bytes: [UInt8], from stream: StoreStream) -> Int? {
        let count = registers.withLock { registers -> Int? in
            guard registers.has(stream) else { return nil }
            let receipt = registers.service.receive(bytes, from: stream.id)
            follow(registers.service.takeEffects(), &registers)
            guard receipt.violation == nil else {
                registers.end(stream)
                return nil
            }
            return receipt.consumedByteCount
        }
        signal()
        return count
    }

    /// Takes up to `limit` bytes of what waits for the client; nil: the connection has ended.
    public func takeOutput(_ stream: StoreStream, limit: Int) -> [UInt8]? {
        let (bytes, frees) = registers.withLock { registers -> ([UInt8]?, Bool) in
            guard registers.has(stream) else { return (nil, false) }
            registers.streams[stream.id]?.isTold = false
            let wasHeard = registers.service.wantsInput(registers.domain)
            let bytes = registers.service.takeOutput(stream.id, limit: limit)
            return (bytes, !wasHeard && registers.service.wantsInput(registers.domain))
        }
        // The guest waited for its events to be taken.
        if frees { signal() }
        return bytes
    }

    /// The client goes, with its watches and transactions.
    public func disconnect(_ stream: StoreStream) {
        registers.withLock { registers in
            if registers.has(stream) { registers.end(stream) }
        }
        signal()
    }

    /// What a client on the host's side has asked for beyond the store itself.
    private func follow(_ effects: [StoreEffect], _ registers: inout Registers) {
        for effect in effects {
            // The guest's ring begins anew; there is no other.
            guard case .introduced(domain, connection: let id, frame: _, port: _) = effect else {
                continue
            }
            registers.domain = id
            restart(&registers)
        }
    }
}

extension StoreHost.Registers {
    func has(_ stream: StoreStream) -> Bool { streams[stream.id]?.stream === stream }

    mutating func end(_ stream: StoreStream) {
        streams[stream.id] = nil
        service.disconnect(stream.id)
    }

    /// The streams that have output and have not been told.
    mutating func takeStreamsToTell() -> [StoreStream] {
        guard !streams.isEmpty else { return [] }
        var found: [StoreStream] = []
        for (id, known) in streams where !known.isTold && service.hasOutput(id) {
            streams[id]?.isTold = true
            found.append(known.stream)
        }
        return found
    }
}
