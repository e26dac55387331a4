internal import GuestMemory
internal import Synchronization
internal import Vocabulary

/// struct shared_info of 64-bit guests (xen/include/public/xen.h).
enum SharedInfo {
    static let byteCount = 4096
    /// vcpu_info of the first 32 vCPUs, 64 bytes each.
    static let embeddedProcessorCount = 32
    static let pending: UInt64 = 0x800
    static let mask: UInt64 = 0xa00
    /// wc_version, wc_sec, wc_nsec, wc_sec_hi.
    static let wallClock: UInt64 = 0xc00
    static let wallClockHighSeconds: UInt64 = 0xc0c
}

/// struct vcpu_info of 64-bit guests.
enum VCPUInformation {
    static let byteCount: UInt64 = 64
    static let upcallPending: UInt64 = 0
    static let upcallMask: UInt64 = 1
    static let pendingSelector: UInt64 = 8
    static let time: UInt64 = 32
}

// Events as bits: one for each port in shared_info, and one for each 64 of them in vcpu_info.
extension EventChannels {
    private func bit(
        _ port: EventChannelPort, _ area: UInt64
    ) -> (GuestPhysicalAddress, UInt64)? {
        let page = sharedInfo.load(ordering: .acquiring)
        guard page != 0, port.rawValue < Self.portCount else { return nil }
        return (
            GuestPhysicalAddress(page &+ area &+ UInt64(port.rawValue / 64) &* 8),
            1 << UInt64(port.rawValue % 64)
        )
    }

    func pendingBit(_ port: EventChannelPort) -> (GuestPhysicalAddress, UInt64)? {
        bit(port, SharedInfo.pending)
    }

    func maskBit(_ port: EventChannelPort) -> (GuestPhysicalAddress, UInt64)? {
        bit(port, SharedInfo.mask)
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

    /// Has the vCPU look at the word that the port's bit is in.
    func select(_ port: EventChannelPort, _ vcpu: VCPUIndex) {
        guard let information = processor(vcpu)?.information.load(ordering: .acquiring),
            information != 0
        else { return }
        let bit: UInt64 = 1 << UInt64(port.rawValue / 64)
        let selector = GuestPhysicalAddress(information &+ VCPUInformation.pendingSelector)
        if (memory.atomicOr(selector, bit) ?? bit) & bit == 0 { announce(to: vcpu) }
    }
}
