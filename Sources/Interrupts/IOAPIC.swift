internal import HostIO
public import Vocabulary

/// The I/O APIC: 24 lines, each with an entry that says where its interrupt goes (Intel 82093AA,
/// with the EOI register of version 0x20).
///
/// Owner: `InterruptController`. Any thread. Messages leave while the lock is held, so that after a
/// guest has masked or moved an entry nothing comes from what the entry was.
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

    public let name = "ioapic"
    let registers = RankedLock(Registers(), owner: "ioapic", rank: .ioAPIC)
    private let deliver: @Sendable (Message) -> Bool

    /// - Parameter deliver: delivers a message; called with the lock held, must not come back. False:
    ///   nobody took it.
    public init(deliver: @escaping @Sendable (Message) -> Bool) { self.deliver = deliver }

    /// Sets the level of a line; a rising edge or an asserted level sends its message. `asserted` is
    /// what the device means: the polarity of the entry says how the wire would have it, and every
    /// wire here is as the guest programs it.
    public func setLine(_ line: Int, asserted: Bool) {
        guard line >= 0, line < Self.lineCount else { return }
        registers.withLock { registers in
            let rises = asserted && !registers.asserted[line]
            registers.asserted[line] = asserted
            if asserted { send(line, edge: rises, &registers) }
        }
    }

    /// A local APIC has ended a level-triggered interrupt.
    public func endOfInterrupt(vector: UInt8) {
        registers.withLock { registers in
            registers.counters.ends &+= 1
            for line in 0..<Self.lineCount where registers.endInterrupt(line, vector) {
                send(line, edge: false, &registers)
            }
        }
    }

    private func send(_ line: Int, edge: Bool, _ registers: inout Registers) {
        guard let message = registers.evaluate(line, edge: edge) else { return }
        // A level that nobody took waits for no end.
        if !deliver(message), message.isLevel { _ = registers.endInterrupt(line, message.vector) }
    }

    /// A 32-bit read at `offset` of the page.
    public func read(_ offset: UInt64) -> UInt32 {
        registers.withLock { $0.read(offset) }
    }

    /// A 32-bit write at `offset` of the page.
    public func write(_ offset: UInt64, _ value: UInt32) {
        if offset & 0xff == 0x40 {
            endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
            return
        }
        registers.withLock { registers in
            guard let line = registers.write(offset, value) else { return }
            // A level that waited behind the mask. An edge that came meanwhile is lost.
            send(line, edge: false, &registers)
        }
    }
}
