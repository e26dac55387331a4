internal import HostIO
internal import Synchronization
public import Vocabulary

/// The I/O APIC: 24 lines, each with an entry that says where its interrupt goes (Intel 82093AA,
/// with the EOI register of version 0x20).
///
/// Owner: `InterruptController`. Any thread. Each line has a lock of its own, so that devices on
/// different lines never meet. Messages leave while it is held: after a guest has masked or moved
/// an entry nothing comes from what the entry was.
public final class IOAPIC: MachinePart {
    public static let lineCount = 24

    /// An interrupt that leaves the I/O APIC.
    public struct Message: Sendable, Equatable {
        public var vector: UInt8
        /// 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 external.
        public var deliveryMode: UInt8
        public var isLogical: Bool
        public var isLevel: Bool
        public var destination: UInt8
    }

    /// One line, and what others may know of it without its lock.
    final class Line: Sendable {
        let number: Int
        let entry: RankedLock<RedirectionEntry>
        /// 0x100 and the vector while the entry waits for the end of it, or 0. Written under the
        /// lock, before the message leaves: who ends an interrupt finds it.
        private let awaitedEnd = Atomic<UInt32>(0)

        init(_ number: Int) {
            self.number = number
            entry = RankedLock(RedirectionEntry(), owner: "ioapic-line\(number)", rank: .ioAPIC)
        }

        func awaitsEnd(of vector: UInt8) -> Bool {
            awaitedEnd.load(ordering: .sequentiallyConsistent) == 0x100 | UInt32(vector)
        }

        /// With the lock held, after each change of the entry.
        func publish(_ entry: RedirectionEntry) {
            awaitedEnd.store(
                entry.remoteRequest ? 0x100 | UInt32(entry.vector) : 0,
                ordering: .sequentiallyConsistent)
        }
    }

    public let name = "ioapic"
    let lines = (0..<lineCount).map { Line($0) }
    /// IOREGSEL and the identifier. Two vCPUs that use the register pair at the same time mix up
    /// their accesses, as on hardware; Linux has a lock for it.
    let select = Atomic<UInt32>(0)
    let identifier = Atomic<UInt32>(0)
    private let deliver: @Sendable (Message, InterruptOrigin) -> Bool

    /// - Parameter deliver: delivers a message; called with the line's lock held, must not come back.
    ///   False: nobody took it.
    public init(deliver: @escaping @Sendable (Message, InterruptOrigin) -> Bool) {
        self.deliver = deliver
    }

    /// Sets the level of a line; a rising edge or an asserted level sends its message. `asserted` is
    /// what the device means: the polarity of the entry says how the wire would have it, and every
    /// wire here is as the guest programs it.
    ///
    /// - Parameter event: when the host's event happened; nil: now.
    public func setLine(_ number: Int, asserted: Bool, since event: Instant? = nil) {
        guard number >= 0, number < Self.lineCount else { return }
        let line = lines[number]
        line.entry.withLock { entry in
            let rises = asserted && !entry.asserted
            entry.asserted = asserted
            if asserted { send(line, edge: rises, &entry, event) }
        }
    }

    /// A local APIC has ended a level-triggered interrupt. Takes the locks of those lines alone that
    /// wait for it.
    public func endOfInterrupt(vector: UInt8) {
        for line in lines where line.awaitsEnd(of: vector) {
            line.entry.withLock { entry in
                guard entry.endInterrupt(vector) else { return }
                entry.counters.ends &+= 1
                line.publish(entry)
                send(line, edge: false, &entry, nil)
            }
        }
    }

    private func send(
        _ line: Line, edge: Bool, _ entry: inout RedirectionEntry, _ event: Instant?
    ) {
        guard let message = entry.evaluate(edge: edge) else { return }
        line.publish(entry)
        // A level that nobody took waits for no end.
        let origin = InterruptOrigin(.line(line.number), at: event)
        if !deliver(message, origin), message.isLevel {
            _ = entry.endInterrupt(message.vector)
            line.publish(entry)
        }
    }

    // MARK: Registers

    /// A 32-bit read at `offset` of the page.
    public func read(_ offset: UInt64) -> UInt32 {
        let select = select.load(ordering: .relaxed)
        switch offset & 0xff {
        case 0x00: return select
        case 0x10: break
        default: return 0
        }
        switch select {
        // Identification and arbitration.
        case 0, 2: return identifier.load(ordering: .relaxed) << 24
        // Version 0x20, 24 entries.
        case 1: return UInt32(IOAPIC.lineCount - 1) << 16 | 0x20
        case 0x10...0x3f:
            let entry = lines[Int(select - 0x10) / 2].entry.withLock { $0.bits }
            return UInt32(truncatingIfNeeded: select & 1 == 0 ? entry : entry >> 32)
        default: return 0
        }
    }

    /// A 32-bit write at `offset` of the page.
    public func write(_ offset: UInt64, _ value: UInt32) {
        switch offset & 0xff {
        case 0x00: select.store(value & 0xff, ordering: .relaxed)
        case 0x10: write(register: select.load(ordering: .relaxed), value)
        case 0x40: endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
        default: break
        }
    }

    private func write(register: UInt32, _ value: UInt32) {
        if register == 0 { identifier.store((value >> 24) & 0xf, ordering: .relaxed) }
        guard register >= 0x10, register <= 0x3f else { return }
        let line = lines[Int(register - 0x10) / 2]
        line.entry.withLock { entry in
            if register & 1 == 0 { entry.writeLow(value) } else { entry.writeHigh(value) }
            line.publish(entry)
            // A level that waited behind the mask. An edge that came meanwhile is lost.
            send(line, edge: false, &entry, nil)
        }
    }
}
