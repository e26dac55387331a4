internal import GuestMemory
internal import HostIO
internal import Synchronization
internal import Vocabulary

extension XenFace {
    /// XENMEM_* of xen/include/public/memory.h.
    private enum MemoryOperation {
        static let increase: UInt64 = 0
        static let decrease: UInt64 = 1
        static let maximumRAMPage: UInt64 = 2
        static let currentReservation: UInt64 = 3
        static let maximumReservation: UInt64 = 4
        static let populate: UInt64 = 6
        static let addToPhysmap: UInt64 = 7
        static let memoryMap: UInt64 = 9
        static let removeFromPhysmap: UInt64 = 15
        static let addToPhysmapRange: UInt64 = 23
    }

    private enum MapSpace {
        static let sharedInfo: UInt64 = 0
        static let grantTable: UInt64 = 1
    }

    /// Pages that one call may be about.
    private static let longestBatch: UInt64 = 1 << 16

    /// memory_op(command, address).
    func memory(
        _ command: UInt64, _ address: UInt64, _ arguments: HypercallMemory
    ) -> UInt64 {
        // Above the command is where a call that was interrupted goes on, which none is here.
        switch command & 0x3f {
        case MemoryOperation.addToPhysmap:
            // xen_add_to_physmap: domain 0, size 2, space 4, index 8, frame 16.
            guard let request = arguments.read(address, byteCount: 24) else {
                return XenError.fault.result
            }
            guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
            return map(
                space: UInt64(request.integer(4, as: UInt32.self)), index: request.integer(8),
                frame: request.integer(16))?.result ?? 0
        case MemoryOperation.addToPhysmapRange: return mapRange(address, arguments)
        case MemoryOperation.removeFromPhysmap:
            // xen_remove_from_physmap: domain 0, frame 8.
            guard let request = arguments.read(address, byteCount: 16) else {
                return XenError.fault.result
            }
            guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
            let frame = request.integer(8, as: UInt64.self)
            guard frame < 1 << 40, memory.contains(frame << 12, 4096) else {
                return XenError.invalidArgument.result
            }
            grantTable.remove(GuestPhysicalAddress(frame << 12))
            return 0
        case MemoryOperation.decrease, MemoryOperation.populate, MemoryOperation.increase:
            return reserve(
                address, arguments, gives: command & 0x3f != MemoryOperation.decrease)
        case MemoryOperation.currentReservation, MemoryOperation.maximumReservation:
            return memory.byteCount >> 12
        case MemoryOperation.maximumRAMPage: return memory.spanByteCount >> 12
        // Version 1 of the start info has the map.
        default: return XenError.noHypercall.result
        }
    }

    private func isOwn(_ asked: DomainID) -> Bool { asked == .itself || asked == domain }

    /// What Xen would map lies in the guest's page from now on.
    private func map(space: UInt64, index: UInt64, frame: UInt64) -> XenError? {
        guard frame < 1 << 40, memory.contains(frame << 12, 4096) else { return .invalidArgument }
        let address = frame << 12
        switch space {
        case MapSpace.sharedInfo:
            guard index == 0 else { return .invalidArgument }
            placeSharedInfo(address)
            return nil
        case MapSpace.grantTable:
            return grantTable.place(index, at: GuestPhysicalAddress(address))
        default: return .invalidArgument
        }
    }

    private func placeSharedInfo(_ address: UInt64) {
        let old = eventChannels.sharedInfo.load(ordering: .acquiring)
        if old != address {
            let content =
                old == 0
                ? [UInt8](repeating: 0, count: SharedInfo.byteCount)
                : memory.read(GuestPhysicalAddress(old), byteCount: SharedInfo.byteCount) ?? []
            memory.write(GuestPhysicalAddress(address), content)
        }
        eventChannels.sharedInfo.store(address, ordering: .sequentiallyConsistent)
        for (slot, processor) in processors.enumerated() {
            let information = processor.information.load(ordering: .relaxed)
            // Each vCPU has its vcpu_info there until it has registered another place.
            guard information == 0 || information & ~0xfff == old,
                slot < SharedInfo.embeddedProcessorCount
            else { continue }
            processor.information.store(
                address &+ UInt64(slot) &* VCPUInformation.byteCount,
                ordering: .sequentiallyConsistent)
            publishTime(VCPUIndex(UInt32(slot)))
        }
        publishWallClock()
        eventChannels.raiseEarly()
    }

    /// xen_add_to_physmap_range: domain 0, space 2, size 4, indices 8, frames 16, errors 24.
    private func mapRange(_ address: UInt64, _ arguments: HypercallMemory) -> UInt64 {
        guard let request = arguments.read(address, byteCount: 32) else {
            return XenError.fault.result
        }
        guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
        let space = UInt64(request.integer(2, as: UInt16.self))
        for step in 0..<UInt64(request.integer(4, as: UInt16.self)) {
            guard
                let index = arguments.read(
                    request.integer(8, as: UInt64.self) &+ step &* 8, byteCount: 8),
                let frame = arguments.read(
                    request.integer(16, as: UInt64.self) &+ step &* 8, byteCount: 8)
            else { return XenError.fault.result }
            let error = map(space: space, index: index.integer(0), frame: frame.integer(0))
            guard
                arguments.write(
                    request.integer(24, as: UInt64.self) &+ step &* 4,
                    integer: Int32(truncatingIfNeeded: -(error?.rawValue ?? 0)))
            else { return XenError.fault.result }
        }
        return 0
    }

    /// xen_memory_reservation: frames 0, number 8, order 16, flags 20, domain 24. The guest's balloon:
    /// RAM it gives away reads as zeros when it has it back. How many extents were done.
    private func reserve(
        _ address: UInt64, _ arguments: HypercallMemory, gives: Bool
    ) -> UInt64 {
        guard let request = arguments.read(address, byteCount: 32) else {
            return XenError.fault.result
        }
        guard isOwn(request.domain(24)) else { return XenError.notPermitted.result }
        let count = request.integer(8, as: UInt64.self)
        let order = request.integer(16, as: UInt32.self)
        guard order <= 9, count <= Self.longestBatch else { return 0 }
        let byteCount = 4096 << Int(order)
        for step in 0..<count {
            let at = request.integer(0, as: UInt64.self) &+ step &* 8
            guard
                let frame = arguments.read(at, byteCount: 8)?.integer(0, as: UInt64.self),
                frame < 1 << 40, memory.contains(frame << 12, byteCount)
            else { return step }
            if !gives {
                _ = memory.fill(GuestPhysicalAddress(frame << 12), byteCount: byteCount)
            }
        }
        return count
    }
}
