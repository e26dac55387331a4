public import Vocabulary

/// The local APICs of all vCPUs and the I/O APIC, and the way between them. The machine's
/// `InterruptSink`.
///
/// Any thread. No lock is shared: each APIC has its own, and delivery to a local APIC takes none.
public final class InterruptController: InterruptSink, Sendable {
    /// In the order of their identifiers, which count from 0.
    public let localAPICs: [LocalAPIC]
    public let ioAPIC: IOAPIC

    public init(localAPICs: [LocalAPIC]) {
        self.localAPICs = localAPICs
        ioAPIC = IOAPIC { message, origin in
            Self.deliver(
                localAPICs,
                Interrupt(
                    vector: message.vector, mode: message.deliveryMode, isLevel: message.isLevel,
                    origin: origin),
                Destination(
                    value: UInt32(message.destination), isLogical: message.isLogical, isWide: false)
            )
        }
    }

    // MARK: InterruptSink

    public func setLine(_ line: UInt32, asserted: Bool, since event: Instant?) {
        ioAPIC.setLine(Int(clamping: line), asserted: asserted, since: event)
    }

    /// SDM volume 3, 11.11.
    public func send(messageAddress address: UInt64, data: UInt32) {
        // The end of a level, which has no meaning for a message.
        if data & 0xc000 == 0x8000 { return }
        Self.deliver(
            localAPICs,
            Interrupt(
                vector: UInt8(truncatingIfNeeded: data),
                mode: UInt8(truncatingIfNeeded: data >> 8) & 7, isLevel: data & 0x8000 != 0,
                origin: InterruptOrigin(.message)),
            Destination(
                value: UInt32(truncatingIfNeeded: address >> 12) & 0xff,
                isLogical: address & 4 != 0, isWide: false))
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
        let interrupt = Interrupt(
            vector: UInt8(truncatingIfNeeded: command.value),
            mode: UInt8(truncatingIfNeeded: command.value >> 8) & 7, isLevel: false,
            origin: InterruptOrigin(.processor))
        // INIT level de-assert does nothing on the processors this stands for.
        if interrupt.mode == 5, command.value & 0xc000 == 0x8000 { return }
        let source = Int(clamping: command.source.rawValue)
        guard source < localAPICs.count else { return }
        if interrupt.mode <= 1, interrupt.vector < 16 {
            localAPICs[source].report(LocalAPIC.ErrorStatus.sendIllegalVector)
            return
        }
        switch (command.value >> 18) & 3 {
        case 1: Self.deliver(localAPICs[source], interrupt)
        case 2: Self.deliver(localAPICs, interrupt) { _ in true }
        case 3: Self.deliver(localAPICs, interrupt) { $0.index != command.source }
        default:
            let destination = Destination(
                value: UInt32(
                    truncatingIfNeeded: command.isX2 ? command.value >> 32 : command.value >> 56),
                isLogical: command.value & (1 << 11) != 0, isWide: command.isX2)
            Self.deliver(localAPICs, interrupt, destination)
        }
    }

    /// A fixed or lowest-priority interrupt command is for this vCPU among others.
    public func reaches(_ vcpu: VCPUIndex, _ command: LocalAPIC.Command) -> Bool {
        let index = Int(clamping: vcpu.rawValue)
        guard index < localAPICs.count, (command.value >> 8) & 7 <= 1 else { return false }
        switch (command.value >> 18) & 3 {
        case 1: return vcpu == command.source
        case 2: return true
        case 3: return vcpu != command.source
        default:
            let destination =
                command.isX2 ? command.value >> 32 : command.value >> 56
            return localAPICs[index].address.matches(
                localAPICs[index].identifier, UInt32(truncatingIfNeeded: destination),
                isLogical: command.value & (1 << 11) != 0, isWide: command.isX2)
        }
    }

    /// Wakes a vCPU for a kick, which has been noted elsewhere. Nobody, if there is no such vCPU.
    public func kick(_ target: VCPUIndex) {
        let index = Int(clamping: target.rawValue)
        if index < localAPICs.count { localAPICs[index].kick() }
    }

    /// Nobody, if there is no such vCPU.
    public func sendNonMaskableInterrupt(to target: VCPUIndex) {
        let index = Int(clamping: target.rawValue)
        if index < localAPICs.count { localAPICs[index].requestNonMaskableInterrupt() }
    }

    /// One interrupt for many local APICs by their identifiers (KVM_HC_SEND_IPI).
    ///
    /// - Parameters:
    ///   - command: vector, delivery mode, level and trigger mode of an interrupt command.
    ///   - first: the identifier that bit 0 of `targets` stands for.
    /// - Returns: how many accepted it.
    public func send(command: UInt32, to targets: UInt128, from first: UInt32) -> Int {
        let isLevel = command & 0x8000 != 0
        // The end of a level: nothing is sent.
        if isLevel, command & 0x4000 == 0 { return 0 }
        let interrupt = Interrupt(
            vector: UInt8(truncatingIfNeeded: command),
            mode: UInt8(truncatingIfNeeded: command >> 8) & 7, isLevel: isLevel,
            origin: InterruptOrigin(.processor))
        var left = targets
        var count = 0
        while left != 0 {
            let index = Int(first) + left.trailingZeroBitCount
            left &= left &- 1
            guard index < localAPICs.count else { break }
            let apic = localAPICs[index]
            if apic.address.isEnabled, Self.deliver(apic, interrupt) { count += 1 }
        }
        return count
    }

    // MARK: Delivery

    private struct Interrupt {
        var vector: UInt8
        /// 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 6 start-up, 7 external.
        var mode: UInt8
        var isLevel: Bool
        var origin: InterruptOrigin
    }

    private struct Destination {
        var value: UInt32
        var isLogical: Bool
        /// 32 bits, as x2APIC senders have them.
        var isWide: Bool
    }

    /// True if somebody took it.
    @discardableResult
    private static func deliver(
        _ localAPICs: [LocalAPIC], _ interrupt: Interrupt, _ destination: Destination
    ) -> Bool {
        // One processor by its number needs no search. 0xff is everybody to a narrow sender.
        let isBroadcast = destination.value == (destination.isWide ? .max : 0xff)
        if !destination.isLogical, !isBroadcast {
            let index = Int(clamping: destination.value)
            guard index < localAPICs.count, localAPICs[index].address.isEnabled else {
                return false
            }
            return deliver(localAPICs[index], interrupt)
        }
        return deliver(localAPICs, interrupt) {
            $0.address.matches(
                $0.identifier, destination.value, isLogical: destination.isLogical,
                isWide: destination.isWide)
        }
    }

    @discardableResult
    private static func deliver(
        _ localAPICs: [LocalAPIC], _ interrupt: Interrupt, to isMeant: (LocalAPIC) -> Bool
    ) -> Bool {
        guard interrupt.mode == 1 else {
            var isTaken = false
            for apic in localAPICs where isMeant(apic) {
                if deliver(apic, interrupt) { isTaken = true }
            }
            return isTaken
        }
        // Of equal priorities the vector chooses, so that not all interrupts go to the first.
        let count = localAPICs.count
        var best: (apic: LocalAPIC, priority: UInt8)?
        for step in 0..<count {
            let apic = localAPICs[(Int(interrupt.vector) + step) % count]
            let address = apic.address
            guard address.isSoftwareEnabled, isMeant(apic) else { continue }
            let priority = address.processorPriority & 0xf0
            if best.map({ priority < $0.priority }) ?? true { best = (apic, priority) }
        }
        return best.map { deliver($0.apic, interrupt) } ?? false
    }

    /// SMIs and external interrupts (ExtINT) go nowhere: there is no system management mode and no
    /// 8259 that would name a vector.
    @discardableResult
    private static func deliver(_ apic: LocalAPIC, _ interrupt: Interrupt) -> Bool {
        switch interrupt.mode {
        case 0, 1:
            return apic.request(
                vector: interrupt.vector, level: interrupt.isLevel, origin: interrupt.origin)
        case 4: apic.requestNonMaskableInterrupt()
        case 5: apic.request(.initialize)
        case 6: apic.request(.startUp(vector: interrupt.vector))
        default: return false
        }
        return true
    }
}
