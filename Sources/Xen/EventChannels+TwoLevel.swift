internal import GuestMemory
internal import Synchronization
internal import Vocabulary

/// struct shared_info (xen/include/public/xen.h), which has other places for 32-bit guests: as many words
/// as before, of 32 bits.
enum SharedInfo {
    static let byteCount = 4096
    /// vcpu_info of the first 32 vCPUs, 64 bytes each.
    static let embeddedProcessorCount = 32
    static let pending: UInt64 = 0x800
    static let mask: UInt64 = 0xa00
    static let narrowMask: UInt64 = 0x880
    /// wc_version, wc_sec, wc_nsec, wc_sec_hi.
    static let wallClock: UInt64 = 0xc00
    static let narrowWallClock: UInt64 = 0x900
    static let wallClockHighSeconds: UInt64 = 0xc0c
    static let narrowWallClockHighSeconds: UInt64 = 0x924
}

/// struct vcpu_info.
enum VCPUInformation {
    static let byteCount: UInt64 = 64
    static let upcallPending: UInt64 = 0
    static let upcallMask: UInt64 = 1
    static let pendingSelector: UInt64 = 8
    static let narrowPendingSelector: UInt64 = 4
    static let time: UInt64 = 32
}

// Events as bits: one for each port in shared_info, and one for each word of them in vcpu_info. A port's bit
// is the same of a 64-bit word and of the 32-bit one that is half of it.
extension EventChannels {
    private func bit(
        _ port: EventChannelPort, _ area: UInt64
    ) -> (GuestPhysicalAddress, UInt64)? {
        let page = sharedInfo.load(ordering: .acquiring)
        guard page != 0, port.rawValue < reachablePortCount else { return nil }
        return (
            GuestPhysicalAddress(page &+ area &+ UInt64(port.rawValue / 64) &* 8),
            1 << UInt64(port.rawValue % 64)
        )
    }

    /// Ports that have a bit.
    private var reachablePortCount: UInt32 {
        isNarrow.load(ordering: .acquiring) ? 32 * 32 : Self.portCount
    }

    func pendingBit(_ port: EventChannelPort) -> (GuestPhysicalAddress, UInt64)? {
        bit(port, SharedInfo.pending)
    }

    func maskBit(_ port: EventChannelPort) -> (GuestPhysicalAddress, UInt64)? {
        bit(
            port,
            isNarrow.load(ordering: .acquiring) ? SharedInfo.narrowMask : SharedInfo.mask)
    }

    func raiseBit(_ port: EventChannelPort, _ channel: EventChannel, _ word: EventChannelWord) {
        guard let (address, bit) = pendingBit(port), let (mask, _) = maskBit(port) else {
            channel.isEarly.store(true, ordering: .releasing)
            return
        }
        let old = memory.atomicOr(address, bit) ?? bit
        if old & bit != 0 { return }
        if (memory.atomicLoad(mask, as: UInt64.self) ?? 0) & bit == 0 { select(port, word.vcpu) }
    }

    /// shared_info has got another layout: what is pending is looked for anew.
    func selectPending() {
        if usesFIFO.load(ordering: .acquiring) { return }
        for (number, channel) in ports.enumerated() {
            let (port, word) = (EventChannelPort(UInt32(number)), channel.current)
            if word.isOpen, isPending(port) { select(port, word.vcpu) }
        }
    }

    /// Has the vCPU look at the word that the port's bit is in.
    func select(_ port: EventChannelPort, _ vcpu: VCPUIndex) {
        guard let information = processor(vcpu)?.information.load(ordering: .acquiring),
            information != 0
        else { return }
        if isNarrow.load(ordering: .acquiring) {
            let bit: UInt32 = 1 << (port.rawValue / 32)
            let selector = GuestPhysicalAddress(
                information &+ VCPUInformation.narrowPendingSelector)
            if (memory.atomicOr(selector, bit) ?? bit) & bit == 0 { announce(to: vcpu) }
            return
        }
        let bit: UInt64 = 1 << UInt64(port.rawValue / 64)
        let selector = GuestPhysicalAddress(information &+ VCPUInformation.pendingSelector)
        if (memory.atomicOr(selector, bit) ?? bit) & bit == 0 { announce(to: vcpu) }
    }
}
