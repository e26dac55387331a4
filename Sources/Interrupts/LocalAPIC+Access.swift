internal import HostIO
internal import Synchronization
internal import Vocabulary

// The registers as the vCPU reaches them: by memory and by MSR.
extension LocalAPIC {
    /// What a write asks the controller to do.
    public enum Effect: Sendable, Equatable {
        case none
        case command(Command)
        /// End of interrupt of a level-triggered vector: the IOAPICs hear of it.
        case endOfInterrupt(vector: UInt8)
    }

    /// A 32-bit read at `offset` of the page, or of x2APIC MSR 0x800 + offset / 16.
    public func read(_ offset: UInt32) -> UInt32 {
        switch offset & 0xff0 {
        case 0x180...0x1f0: return triggers.current.register((offset >> 4) & 7)
        case 0x200...0x270: return requests.current.register((offset >> 4) & 7)
        case 0x390: return currentCount
        default:
            if !Registers.isKnown(offset & 0xff0) { report(ErrorStatus.illegalRegisterAddress) }
            return registers.withLock { registers in
                // Only these show what is in service.
                if offset & 0xff0 == 0x0a0 || offset & 0xf80 == 0x100 {
                    settle(&registers)
                    publish(registers)
                }
                return registers.read(offset)
            }
        }
    }

    /// A 32-bit write. The interrupt command's high half is kept until the low half is written.
    public func write(_ offset: UInt32, _ value: UInt32) -> Effect {
        if !Registers.isKnown(offset & 0xff0) { report(ErrorStatus.illegalRegisterAddress) }
        var due: UInt8?
        let result = registers.withLock { registers in
            if offset & 0xff0 == 0x280 {
                registers.errorStatus = errors.exchange(0, ordering: .acquiringAndReleasing)
                return Registers.Consequence()
            }
            // This end is of what is in service after the one made in memory.
            if offset & 0xff0 == 0x0b0 { retract(&registers) }
            if offset & 0xff0 == 0x320 { due = settleTimer(value, &registers) }
            let result = registers.write(
                offset, value, source: index, isLevelTriggered: { triggers.contains($0) })
            if result.timer { programTimer(offset, &registers) }
            publish(registers)
            return result
        }
        if let due { requestTimer(due, due: timing.now()) }
        if let delivery = result.delivery { deliver(delivery) }
        announce()
        return result.effect
    }

    /// RDMSR 0x800 to 0x8ff. Nil: #GP.
    public func readX2(_ index: UInt32) -> UInt64? {
        guard address.isX2 else { return nil }
        let offset = (index & 0xff) << 4
        switch offset {
        case 0x300: return registers.withLock { $0.interruptCommand }
        case 0x0b0, 0x3f0, 0x0e0, 0x310: return nil
        default: return Registers.isKnown(offset) ? UInt64(read(offset)) : nil
        }
    }

    /// WRMSR. Nil: #GP (SDM volume 3, 11.12.1.2).
    public func writeX2(_ index: UInt32, _ value: UInt64) -> Effect? {
        guard address.isX2 else { return nil }
        let offset = (index & 0xff) << 4
        if offset == 0x300 {
            // Reserved: 31:20, 17:16, 13. Bit 12 was the delivery status and is ignored.
            guard value & 0xfff3_2000 == 0 else { return nil }
            let command = value & ~0x1000
            registers.withLock { $0.interruptCommand = command }
            return .command(Command(value: command, isX2: true, source: self.index))
        }
        guard value >> 32 == 0 else { return nil }
        if offset == 0x3f0 {
            guard value >> 8 == 0 else { return nil }
            let vector = UInt8(truncatingIfNeeded: value)
            if vector >= 16 {
                request(vector: vector, level: false, origin: InterruptOrigin(.processor))
            } else {
                report(ErrorStatus.sendIllegalVector)
            }
            return Effect.none
        }
        guard let writable = Registers.writableX2(offset), value & ~UInt64(writable) == 0,
            offset != 0x320 || value & 0x6_0000 != 0x6_0000
        else { return nil }
        return write(offset, UInt32(truncatingIfNeeded: value))
    }
}
