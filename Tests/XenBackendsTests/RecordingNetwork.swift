import Foundation
import Networks
import Synchronization
import Vocabulary

/// A network that keeps what the guest sends, and lets a test say what comes and when it is full. It
/// has no thread: the sink is called by the test.
final class RecordingNetwork: Network {
    struct Sent: Equatable {
        var bytes: [UInt8]
        var metadata: PacketMetadata
    }

    private struct State {
        var sent: [Sent] = []
        /// Frames that it still takes; nil: any number.
        var room: Int?
        var offloads: PacketOffloads = []
        var resumes = 0
        var refusals = 0
        var sink: (any PacketSink)?
        var whileSending: (@Sendable () -> Void)?
    }

    let name = "recording"
    let capabilities = NetworkCapabilities(mtu: 1400)
    let statistics = NetworkStatistics()
    private let state = Mutex(State())

    /// In order, taken away by this.
    func takeSent() -> [Sent] {
        state.withLock { state in
            defer { state.sent = [] }
            return state.sent
        }
    }

    /// Frames that it takes before it is full; nil: it is never full.
    func setRoom(_ count: Int?) { state.withLock { $0.room = count } }

    /// Called for each frame that is sent, while it is.
    func whileSending(_ body: (@Sendable () -> Void)?) { state.withLock { $0.whileSending = body } }

    var offloads: PacketOffloads { state.withLock { $0.offloads } }
    /// How often the backend said that it has room again.
    var resumes: Int { state.withLock { $0.resumes } }
    /// Frames that were offered while it was full.
    var refusals: Int { state.withLock { $0.refusals } }

    private var sink: (any PacketSink)? { state.withLock { $0.sink } }

    /// A frame comes, in buffers of at most so many bytes. False: the backend has no room.
    @discardableResult
    func deliver(
        _ frame: [UInt8], _ metadata: PacketMetadata = PacketMetadata(), bufferByteCount: Int = .max
    ) -> Bool {
        guard let sink else { return true }
        return unsafe frame.withUnsafeBytes { bytes in
            let vectors = unsafe stride(from: 0, to: bytes.count, by: min(bufferByteCount, 1 << 20))
                .map { start in
                    let part = unsafe bytes[start...].prefix(bufferByteCount)
                    return unsafe iovec(
                        iov_base: UnsafeMutableRawPointer(
                            mutating: UnsafeRawBufferPointer(rebasing: part).baseAddress),
                        iov_len: part.count)
                }
            // SAFETY: frame and vectors live through the call; nobody writes to them.
            return unsafe vectors.withUnsafeBufferPointer {
                sink.receive(unsafe Packet(buffers: $0, metadata: metadata))
            }
        }
    }

    /// No more frames for now.
    func endBatch() { sink?.receivedBatch() }

    /// It is full no more.
    func acceptAgain() {
        setRoom(nil)
        sink?.networkAcceptsAgain()
    }

    // MARK: Network

    func start(sink: any PacketSink, offloads: PacketOffloads) throws(XError) {
        state.withLock { ($0.sink, $0.offloads) = (sink, offloads) }
    }

    func setOffloads(_ offloads: PacketOffloads) { state.withLock { $0.offloads = offloads } }

    func send(_ packet: Packet) -> SendOutcome {
        state.withLock { $0.whileSending }?()
        let sent = Sent(bytes: packet.bytes, metadata: packet.metadata)
        return state.withLock { state in
            if let room = state.room {
                guard room > 0 else {
                    state.refusals += 1
                    return .full
                }
                state.room = room - 1
            }
            state.sent.append(sent)
            return .accepted
        }
    }

    func resume() { state.withLock { $0.resumes += 1 } }

    func stop() { state.withLock { $0.sink = nil } }
}
