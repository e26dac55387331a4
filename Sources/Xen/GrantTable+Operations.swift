internal import GuestMemory
internal import Synchronization
internal import Vocabulary

// What guests ask of their grant table: grant_table_op. Mapping and unmapping are for backends, which
// are not in guests here.
extension GrantTable {
    /// GNTTABOP_* of xen/include/public/grant_table.h.
    private enum Operation {
        static let setupTable: UInt64 = 2
        static let copy: UInt64 = 5
        static let querySize: UInt64 = 6
        static let setVersion: UInt64 = 8
        static let statusFrames: UInt64 = 9
        static let getVersion: UInt64 = 10
    }

    /// GNTST_*.
    private enum Status {
        static let okay: Int16 = 0
        static let generalError: Int16 = -1
        static let badDomain: Int16 = -2
        static let badReference: Int16 = -3
        static let badPage: Int16 = -9
        static let badCopyArgument: Int16 = -10
    }

    /// Copies that one call may ask for.
    private static let longestBatch: UInt64 = 1024

    /// grant_table_op(operation, address, count).
    func perform(
        _ operation: UInt64, _ address: UInt64, count: UInt64, domain: DomainID,
        in arguments: HypercallMemory
    ) -> UInt64 {
        switch operation {
        case Operation.querySize:
            guard let query = arguments.read(address, byteCount: 16) else {
                return XenError.fault.result
            }
            let isOwn = isOwn(query.domain(0), domain)
            let inUse = frames.lastIndex { $0.value != 0 }.map { $0 + 1 } ?? 1
            guard arguments.write(address &+ 4, integer: UInt32(inUse)),
                arguments.write(address &+ 8, integer: UInt32(Self.frameCount)),
                arguments.write(
                    address &+ 12, integer: isOwn ? Status.okay : Status.badDomain)
            else { return XenError.fault.result }
            return 0
        case Operation.setVersion:
            guard let wanted = arguments.read(address, byteCount: 4)?.integer(0, as: UInt32.self)
            else { return XenError.fault.result }
            guard wanted == 1 || wanted == 2 else { return XenError.invalidArgument.result }
            change(version: wanted)
            return arguments.write(address, integer: version) ? 0 : XenError.fault.result
        case Operation.getVersion:
            guard let query = arguments.read(address, byteCount: 8) else {
                return XenError.fault.result
            }
            guard isOwn(query.domain(0), domain) else { return XenError.notPermitted.result }
            return arguments.write(address &+ 4, integer: version) ? 0 : XenError.fault.result
        case Operation.copy: return copy(address, count, domain, arguments)
        default: return XenError.noHypercall.result
        }
    }

    /// The operation's structure looks different to 32-bit callers, and theirs is not known here.
    static func differsForNarrowCallers(_ operation: UInt64) -> Bool {
        operation == Operation.copy
    }

    private func isOwn(_ asked: DomainID, _ domain: DomainID) -> Bool {
        asked == .itself || asked == domain
    }

    /// Entries look different: none is taken over but the reserved ones, which nobody uses at that time.
    private func change(version new: UInt32) {
        guard new != version else { return }
        let reserved = (0..<UInt32(8)).map { entryHead(GrantReference($0)) }
        for frame in frames where frame.value != 0 {
            _ = memory.fill(GuestPhysicalAddress(frame.value), byteCount: 4096)
        }
        version = new
        for (number, head) in reserved.enumerated() {
            if let head { setEntry(GrantReference(UInt32(number)), head) }
        }
    }

    private struct Head {
        var flagsAndDomain: UInt32
        var frame: UInt64
    }

    private func place(of reference: GrantReference) -> GuestPhysicalAddress? {
        let base = frames[0].value
        guard base != 0, reference.rawValue < 256 else { return nil }
        return GuestPhysicalAddress(
            base &+ UInt64(reference.rawValue) &* (version == 2 ? 16 : 8))
    }

    private func entryHead(_ reference: GrantReference) -> Head? {
        guard let place = place(of: reference),
            let head = memory.atomicLoad(place, as: UInt32.self)
        else { return nil }
        let frame =
            version == 2
            ? memory.atomicLoad(place.advanced(by: 8), as: UInt64.self)
            : memory.atomicLoad(place.advanced(by: 4), as: UInt32.self).map { UInt64($0) }
        return Head(flagsAndDomain: head, frame: frame ?? 0)
    }

    private func setEntry(_ reference: GrantReference, _ head: Head) {
        guard let place = place(of: reference) else { return }
        if version == 2 {
            memory.atomicStore(place.advanced(by: 8), head.frame)
        } else {
            memory.atomicStore(place.advanced(by: 4), UInt32(truncatingIfNeeded: head.frame))
        }
        memory.atomicStore(place, head.flagsAndDomain)
    }

    // MARK: Copies within the domain

    /// GNTTABOP_copy between frames of the caller: another domain's cannot be reached.
    private func copy(
        _ address: UInt64, _ count: UInt64, _ domain: DomainID, _ arguments: HypercallMemory
    ) -> UInt64 {
        guard count <= Self.longestBatch else { return XenError.invalidArgument.result }
        for index in 0..<count {
            let at = address &+ index &* 40
            guard let operation = arguments.read(at, byteCount: 40) else {
                return XenError.fault.result
            }
            guard arguments.write(at &+ 36, integer: copyOne(operation, domain)) else {
                return XenError.fault.result
            }
        }
        return 0
    }

    private func copyOne(_ operation: Arguments, _ domain: DomainID) -> Int16 {
        // Flags: bit 0 the source is a grant, bit 1 the destination. Grants are another domain's.
        guard operation.integer(34, as: UInt16.self) & 3 == 0 else { return Status.badReference }
        guard isOwn(operation.domain(8), domain), isOwn(operation.domain(24), domain) else {
            return Status.badDomain
        }
        let from = UInt64(operation.integer(10, as: UInt16.self))
        let to = UInt64(operation.integer(26, as: UInt16.self))
        let length = UInt64(operation.integer(32, as: UInt16.self))
        guard from + length <= 4096, to + length <= 4096 else { return Status.badCopyArgument }
        let source = operation.integer(0, as: UInt64.self)
        let destination = operation.integer(16, as: UInt64.self)
        guard source < 1 << 40, destination < 1 << 40,
            let bytes = memory.read(
                GuestPhysicalAddress(source << 12 | from), byteCount: Int(length)),
            memory.write(GuestPhysicalAddress(destination << 12 | to), bytes)
        else { return Status.badPage }
        counters.copies.wrappingAdd(1, ordering: .relaxed)
        return Status.okay
    }
}
