internal import GuestMemory
internal import HostIO
internal import Vocabulary

// The end of an interrupt without an exit (MSR_KVM_PV_EOI_EN, Linux
// Documentation/virt/kvm/x86/msr.rst): bit 0 of a word in the guest's memory, set while the interrupt
// in service may be ended by clearing it. The guest tests and clears it with one instruction on the
// vCPU itself, and writes the register if it was clear.
//
// It is offered for an edge when nothing else waits, because nobody hears of such an end: the host
// finds the bit clear the next time it needs to know what is in service (`settle`), and takes the offer
// back before something waits for the end (`retract`). Requests come from other threads, so an APIC
// with an offer open says so in `LocalAPICAddress`, and a sender that sees it interrupts the vCPU
// whatever the priority. The offer is published before the requests are looked at again, and a
// sender inserts its request before it looks: one of the two sees the other.
//
// All with the lock held, on the vCPU's thread; the bit changes only while its guest code does not run.
extension LocalAPIC {
    private static let offered: UInt32 = 1

    /// MSR_KVM_PV_EOI_EN: bit 0 enable, the rest is the word's address.
    public var endOfInterruptWord: UInt64 { registers.withLock { $0.endOfInterruptWord } }

    /// False: #GP. The word is aligned to 4 bytes and, if enabled, is RAM (kvm_lapic_set_pv_eoi).
    public func setEndOfInterruptWord(_ value: UInt64) -> Bool {
        guard value & 2 == 0 else { return false }
        if value & 1 != 0, memory?.contains(value & ~1, 4) != true { return false }
        registers.withLock { registers in
            retract(&registers)
            registers.endOfInterruptWord = value
            publish(registers)
        }
        announce()
        return true
    }

    /// Offers the end of `vector`, which has just gone into service. False: it takes a write.
    private func offer(_ vector: UInt8, _ registers: inout Registers) -> Bool {
        guard registers.endOfInterruptWord & 1 != 0, !triggers.contains(vector),
            requests.current.isEmpty, let memory
        else { return false }
        let word = GuestPhysicalAddress(registers.endOfInterruptWord & ~1)
        guard memory.atomicOr(word, Self.offered) != nil else { return false }
        registers.endIsOffered = true
        return true
    }

    /// Carries out the end that the guest has made in its memory, if it has.
    func settle(_ registers: inout Registers) {
        guard registers.endIsOffered, let memory else { return }
        let word = GuestPhysicalAddress(registers.endOfInterruptWord & ~1)
        let bits = memory.atomicLoad(word, as: UInt32.self) ?? 0
        if bits & Self.offered == 0 { end(&registers) }
    }

    /// Takes the offer back: from now on the end takes a write, if it has not been made.
    func retract(_ registers: inout Registers) {
        guard registers.endIsOffered, let memory else { return }
        let word = GuestPhysicalAddress(registers.endOfInterruptWord & ~1)
        let bits = memory.atomicAnd(word, ~Self.offered) ?? 0
        if bits & Self.offered == 0 {
            end(&registers)
        } else {
            registers.endIsOffered = false
        }
    }

    /// The offer was for the highest in service: a higher one does not go there before it is taken
    /// back. It is an edge, so no IOAPIC waits to hear of it.
    private func end(_ registers: inout Registers) {
        registers.endIsOffered = false
        guard let vector = registers.inService.highest else { return }
        registers.inService.remove(vector)
        counters.add(.endsWithoutWrite)
    }

    /// Takes the highest deliverable request into service. Nil if there is none. What
    /// remains has a lower priority; the end of this interrupt raises the pending bit for it. The
    /// vCPU's thread, which has cleared the pending bit before.
    public func acknowledge() -> UInt8? {
        registers.withLock { registers in
            settle(&registers)
            guard let vector = deliverable(registers.processorPriority, registers.isSoftwareEnabled)
            else {
                // What waits behind the one in service has to hear of its end.
                if !requests.current.isEmpty { retract(&registers) }
                publish(registers)
                return nil
            }
            retract(&registers)
            requests.remove(vector)
            registers.inService.insert(vector)
            let isOffered = offer(vector, &registers)
            publish(registers)
            if isOffered, !requests.current.isEmpty {
                retract(&registers)
                publish(registers)
            }
            counters.add(.acknowledged)
            record.add(vector, stamps, timing)
            return vector
        }
    }
}
