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
            guard let request = arguments.read(address, wide: 24, narrow: 16) else {
                return XenError.fault.result
            }
            guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
            return map(
                space: UInt64(request.integer(4, as: UInt32.self)),
                index: request.word(8, narrow: 8), frame: request.word(16, narrow: 12),
                isWide: arguments.isWide)?.result ?? 0
        case MemoryOperation.addToPhysmapRange: return mapRange(address, arguments)
        case MemoryOperation.removeFromPhysmap:
            // xen_remove_from_physmap: domain 0, frame 8.
            guard let request = arguments.read(address, wide: 16, narrow: 8) else {
                return XenError.fault.result
            }
            guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
            let frame = request.word(8, narrow: 4)
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
        case MemoryOperation.memoryMap: return copyMap(address, arguments)
        default: return XenError.noHypercall.result
        }
    }

    private func isOwn(_ asked: DomainID) -> Bool { asked == .itself || asked == domain }

    /// What Xen would map lies in the guest's page from now on.
    private func map(space: UInt64, index: UInt64, frame: UInt64, isWide: Bool) -> XenError? {
        guard frame < 1 << 40, memory.contains(frame << 12, 4096) else { return .invalidArgument }
        let address = frame << 12
        switch space {
        case MapSpace.sharedInfo:
            guard index == 0 else { return .invalidArgument }
            placeSharedInfo(address, isWide: isWide)
            return nil
        case MapSpace.grantTable:
            return grantTable.place(index, at: GuestPhysicalAddress(address))
        default: return .invalidArgument
        }
    }

    /// Who names the page decides how the bits of events lie in it, as with Xen.
    private func placeSharedInfo(_ address: UInt64, isWide: Bool) {
        let old = eventChannels.sharedInfo.load(ordering: .acquiring)
        let hasOtherLayout =
            eventChannels.isNarrow.exchange(
                !isWide, ordering: .acquiringAndReleasing) == isWide
        if old != address || hasOtherLayout {
            var content = [UInt8](repeating: 0, count: SharedInfo.byteCount)
            if old != 0,
                let before = memory.read(
                    GuestPhysicalAddress(old), byteCount: SharedInfo.byteCount)
            {
                // The bits that both layouts have at the same place; the rest is as in a new domain.
                let kept =
                    hasOtherLayout
                    ? Int(SharedInfo.pending)..<Int(SharedInfo.narrowMask)
                    : 0..<SharedInfo.byteCount
                content.replaceSubrange(kept, with: before[kept])
            }
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
        if hasOtherLayout { eventChannels.selectPending() }
    }

    /// xen_memory_map: entries 0, buffer 8. As many entries of E820 as there is room for, and how many.
    private func copyMap(_ address: UInt64, _ arguments: HypercallMemory) -> UInt64 {
        guard let request = arguments.read(address, wide: 16, narrow: 8) else {
            return XenError.fault.result
        }
        let count = min(Int(request.integer(0, as: UInt32.self)), memoryMap.count)
        var bytes: [UInt8] = []
        for range in memoryMap.prefix(count) {
            for (value, byteCount) in [
                (range.start, 8), (range.byteCount, 8), (UInt64(range.type), 4),
            ] {
                for index in 0..<byteCount {
                    bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
                }
            }
        }
        guard arguments.write(request.word(8, narrow: 4), bytes),
            arguments.write(address, integer: UInt32(count))
        else { return XenError.fault.result }
        return 0
    }

    /// xen_add_to_physmap_range: domain 0, space 2, size 4, indices 8, frames 16, errors 24.
    private func mapRange(_ address: UInt64, _ arguments: HypercallMemory) -> UInt64 {
        guard let request = arguments.read(address, wide: 32, narrow: 20) else {
            return XenError.fault.result
        }
        guard isOwn(request.domain(0)) else { return XenError.notPermitted.result }
        let space = UInt64(request.integer(2, as: UInt16.self))
        for step in 0..<UInt64(request.integer(4, as: UInt16.self)) {
            guard let index = arguments.readWord(request.word(8, narrow: 8), step),
                let frame = arguments.readWord(request.word(16, narrow: 12), step)
            else { return XenError.fault.result }
            let error = map(space: space, index: index, frame: frame, isWide: arguments.isWide)
            guard
                arguments.write(
                    request.word(24, narrow: 16) &+ step &* 4,
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
        guard let request = arguments.read(address, wide: 32, narrow: 20) else {
            return XenError.fault.result
        }
        guard isOwn(request.domain(arguments.isWide ? 24 : 16)) else {
            return XenError.notPermitted.result
        }
        let count = request.word(8, narrow: 4)
        let order = request.half(16, narrow: 8)
        guard order <= 9, count <= Self.longestBatch else { return 0 }
        let byteCount = 4096 << Int(order)
        for step in 0..<count {
            guard let frame = arguments.readWord(request.word(0, narrow: 0), step),
                frame < 1 << 40, memory.contains(frame << 12, byteCount)
            else { return step }
            if !gives {
                _ = memory.fill(GuestPhysicalAddress(frame << 12), byteCount: byteCount)
            }
        }
        return count
    }
}
