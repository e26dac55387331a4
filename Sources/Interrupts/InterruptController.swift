internal import Vocabulary

/// The local APICs of all vCPUs and the I/O APIC, and the way between them. The machine's
/// `InterruptSink`.
///
/// Any thread. No lock is shared: each APIC has its own.
public final class InterruptController: InterruptSink, Sendable {
    public let localAPICs: [LocalAPIC]
    private let lines: IOAPICBox

    /// The I/O APIC sends into the controller that owns it.
    private final class IOAPICBox: Sendable {
        let ioAPIC: IOAPIC
        init(_ ioAPIC: IOAPIC) { self.ioAPIC = ioAPIC }
    }

    public init(localAPICs: [LocalAPIC]) {
        self.localAPICs = localAPICs
        lines = IOAPICBox(
            IOAPIC { message in
                Self.deliver(
                    localAPICs, vector: message.vector, mode: message.deliveryMode,
                    destination: UInt32(message.destination), isLogical: message.isLogical,
                    isX2: false, isLevel: message.isLevel)
            })
    }

    public var ioAPIC: IOAPIC { lines.ioAPIC }

    // MARK: InterruptSink

    public func setLine(_ line: UInt32, asserted: Bool) {
        ioAPIC.setLine(Int(clamping: line), asserted: asserted)
    }

    public func send(messageAddress address: UInt64, data: UInt32) {
        Self.deliver(
            localAPICs, vector: UInt8(truncatingIfNeeded: data),
            mode: UInt8(truncatingIfNeeded: data >> 8) & 7,
            destination: UInt32(truncatingIfNeeded: address >> 12) & 0xff,
            isLogical: address & 4 != 0, isX2: false, isLevel: data & 0x8000 != 0)
    }

    // MARK: Local APIC registers

    /// Carries out what a register write asked for.
    public func perform(_ effect: LocalAPIC.Effect) {
        switch effect {
        case .none: break
        case .endOfInterrupt(let vector): ioAPIC.endOfInterrupt(vector: vector)
        case .command(let command): perform(command)
        }
    }

    /// An interrupt command (SDM volume 3, 11.6.1).
    private func perform(_ command: LocalAPIC.Command) {
        let vector = UInt8(truncatingIfNeeded: command.value)
        let mode = UInt8(truncatingIfNeeded: command.value >> 8) & 7
        let isLogical = command.value & (1 << 11) != 0
        let isAsserted = command.value & (1 << 14) != 0
        let destination =
            command.isX2
            ? UInt32(truncatingIfNeeded: command.value >> 32)
            : UInt32(truncatingIfNeeded: command.value >> 56)
        // INIT level de-assert does nothing on the processors this stands for.
        if mode == 5, !isAsserted { return }
        switch (command.value >> 18) & 3 {
        case 1:
            for apic in localAPICs where apic.index == command.source {
                Self.deliver(apic, vector: vector, mode: mode, isLevel: false)
            }
        case 2:
            for apic in localAPICs {
                Self.deliver(apic, vector: vector, mode: mode, isLevel: false)
            }
        case 3:
            for apic in localAPICs where apic.index != command.source {
                Self.deliver(apic, vector: vector, mode: mode, isLevel: false)
            }
        default:
            Self.deliver(
                localAPICs, vector: vector, mode: mode, destination: destination,
                isLogical: isLogical, isX2: command.isX2, isLevel: false)
        }
    }

    private static func deliver(
        _ localAPICs: [LocalAPIC], vector: UInt8, mode: UInt8, destination: UInt32,
        isLogical: Bool, isX2: Bool, isLevel: Bool
    ) {
        if mode == 1 {
            var best: (LocalAPIC, UInt8)?
            for apic in localAPICs
            where apic.matches(destination: destination, isLogical: isLogical, isX2: isX2) {
                guard let priority = apic.arbitrationPriority else { continue }
                if best.map({ priority < $0.1 }) ?? true { best = (apic, priority) }
            }
            best?.0.request(vector: vector, level: isLevel)
            return
        }
        for apic in localAPICs
        where apic.matches(destination: destination, isLogical: isLogical, isX2: isX2) {
            deliver(apic, vector: vector, mode: mode, isLevel: isLevel)
        }
    }

    private static func deliver(_ apic: LocalAPIC, vector: UInt8, mode: UInt8, isLevel: Bool) {
        switch mode {
        case 0, 1, 7: apic.request(vector: vector, level: isLevel)
        case 4: apic.requestNonMaskableInterrupt()
        case 5: apic.request(.initialize)
        case 6: apic.request(.startUp(vector: vector))
        default: break
        }
    }
}
