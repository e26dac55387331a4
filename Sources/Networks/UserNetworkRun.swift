internal import HostIO
internal import Vocabulary

/// What a `UserNetwork`'s thread does: the guest's packets into libslirp, libslirp's to the guest.
///
/// Owner: the thread.
@safe final class UserNetworkRun: @unchecked Sendable {
    private let stack: SlirpStack
    private let queue: SendQueue
    private let delivery: PacketDelivery
    private let counters: NetworkCounters
    private let mtu: Int
    private let segmentByteCount: Int
    private let segmentation = PacketSegmentation()
    private var sizes = SegmentSizes()
    private var fragments = FragmentReassembly()
    private var arena = PacketArena(capacity: SendQueue.capacity)
    private var scratch: [UInt8] = []
    private var head: [UInt8] = []

    init(
        stack: SlirpStack, queue: SendQueue, delivery: PacketDelivery, counters: NetworkCounters,
        mtu: Int, segmentByteCount: Int
    ) {
        self.stack = stack
        self.queue = queue
        self.delivery = delivery
        self.counters = counters
        self.mtu = mtu
        self.segmentByteCount = segmentByteCount
    }

    func run() {
        // libslirp sends without MSG_NOSIGNAL.
        HostThread.refuseBrokenPipeSignal()
        unsafe stack.output = { [unowned self] in unsafe output($0) }
        while !queue.isClosed {
            if queue.takeResumed() { delivery.retry() }
            takeInput()
            delivery.endBatch()
            let woken = stack.serve(
                waitingFor: queue.wake.descriptor, mayWait: queue.prepareToWait(),
                readsSockets: !delivery.isFull)
            delivery.endBatch()
            if woken { queue.wake.take() }
        }
    }

    // MARK: From the guest

    private func takeInput() {
        let (filled, producerWaited) = queue.exchange(arena)
        arena = filled
        if producerWaited { delivery.acceptAgain() }
        while let (frame, metadata) = unsafe arena.first {
            unsafe input(frame, metadata)
            arena.removeFirst()
        }
    }

    /// Makes a frame of the queue, which is ours to change, one that libslirp takes. It gets ARP and
    /// whole IP packets, nothing else that it would have code for.
    private func input(_ frame: UnsafeMutableRawBufferPointer, _ metadata: PacketMetadata) {
        switch unsafe frame.readable.big16(12) {
        case 0x0806: return unsafe stack.input(frame.readable)
        case 0x0800, 0x86dd: break
        default: return counters.sent.drop()
        }
        guard let headers = unsafe PacketHeaders(frame.readable) else {
            return counters.sent.error()
        }
        if headers.isFragment, headers.version == .v4 {
            guard
                let whole = unsafe fragments.add(
                    frame.readable, headers, now: HostThread.monotonicNow.nanoseconds)
            else { return }
            return unsafe whole.withUnsafeBytes { unsafe stack.input($0) }
        }
        if headers.isTCP { unsafe raiseOffer(frame, headers, metadata) }
        guard metadata.segmentation != .none else {
            if metadata.needsChecksum,
                unsafe !PacketChecksum.complete(
                    frame, start: Int(metadata.checksumStart), offset: Int(metadata.checksumOffset))
            {
                return counters.sent.error()
            }
            return unsafe stack.input(frame.readable)
        }
        guard headers.isTCP else { return counters.sent.error() }
        if headers.end - headers.networkOffset <= SlirpStack.largestMTU {
            // libslirp takes a segment of any size.
            unsafe PacketChecksum.complete(frame)
            return unsafe stack.input(frame.readable)
        }
        let cut = unsafe segmentation.segment(frame.readable, segmentByteCount: 32768) { segment in
            scratch = segment.bytes
            unsafe scratch.withUnsafeBytes { unsafe stack.input($0) }
        }
        if !cut { counters.sent.error() }
    }

    /// Replaces the segment size that the guest offers by a multiple of it, and notes it.
    private func raiseOffer(
        _ frame: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders, _ metadata: PacketMetadata
    ) {
        guard let offset = unsafe MaximumSegmentSize.offset(frame.readable, headers) else { return }
        let offer = unsafe frame.readable.big16(offset)
        let raised = segmentByteCount / max(Int(offer), 1) * Int(offer)
        guard raised > Int(offer) else { return }
        unsafe sizes.insert(.init(frame.readable, headers, toGuest: false), offer)
        unsafe MaximumSegmentSize.set(
            frame, headers, at: offset, UInt16(clamping: raised),
            needsChecksum: metadata.needsChecksum)
    }

    // MARK: To the guest

    private func output(_ frame: UnsafeRawBufferPointer) {
        guard let headers = unsafe PacketHeaders(frame) else {
            return unsafe Packet.withBytes(frame, delivery.deliver)
        }
        let isLarge = headers.end - headers.networkOffset > mtu
        if headers.isTCP {
            let byteCount = unsafe segmentSize(frame, headers)
            if isLarge || headers.end - headers.payloadOffset > byteCount {
                return unsafe outputSegments(frame, headers, byteCount)
            }
        } else if isLarge {
            return unsafe delivery.deliverFragments(frame)
        }
        unsafe Packet.withBytes(
            frame, metadata: headers.checksumOffset == nil ? PacketMetadata() : .valid,
            delivery.deliver)
    }

    /// The payload of a segment that the guest takes, in bytes.
    private func segmentSize(_ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders) -> Int {
        let smallest = SegmentSizes.smallest(headers.version)
        guard headers.end - headers.payloadOffset > smallest else { return smallest }
        let known = unsafe sizes.find(.init(frame, headers, toGuest: true)) ?? smallest
        return max(min(known, mtu - (headers.payloadOffset - headers.networkOffset)), 8)
    }

    /// A large segment goes as one packet that is to be segmented, its checksum to be made.
    private func outputSegments(
        _ frame: UnsafeRawBufferPointer, _ headers: PacketHeaders, _ byteCount: Int
    ) {
        var metadata = PacketChecksum.metadata(headers, 16)
        metadata.segmentation = headers.version == .v4 ? .tcpv4 : .tcpv6
        metadata.segmentByteCount = UInt16(clamping: byteCount)
        // libslirp's frame is not ours to change.
        head.removeAll(keepingCapacity: true)
        unsafe head.append(contentsOf: frame.part(0..<headers.payloadOffset))
        unsafe head.withUnsafeMutableBytes { head in
            let sum = unsafe PacketChecksum.pseudoHeader(
                head.readable, headers, byteCount: headers.end - headers.transportOffset)
            unsafe head.setBig16(sum, at: headers.transportOffset + 16)
            unsafe Packet.withBytes(
                head.readable, frame.part(headers.payloadOffset..<headers.end),
                metadata: metadata, delivery.deliver)
        }
    }
}
