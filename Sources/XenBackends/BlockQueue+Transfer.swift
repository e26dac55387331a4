internal import Disks
internal import GuestMemory
internal import HostIO
internal import Vocabulary
internal import Xen

/// Reads and writes of a queue: grants are looked up, and the disk has the guest's pages themselves.
///
/// The queue's context.
extension BlockQueue {
    func transfer(
        _ request: BlockRequest, _ segments: [BlockRequest.Segment], isWrite: Bool, _ way: Way,
        flushesFirst: Bool = false
    ) {
        let generation = way.generation
        guard request.segmentCount == segments.count, !segments.isEmpty,
            segments.allSatisfy({ $0.first <= $0.last && $0.last < 8 })
        else { return answer(request, .error, generation) }
        let sectors = segments.reduce(UInt64(0)) { $0 + UInt64($1.last - $1.first) + 1 }
        guard let range = range(request.sector, sectors),
            let grants = take(segments.map(\.reference), write: !isWrite, generation)
        else { return answer(request, .error, generation) }
        let taken = grants.filter { !$0.isKept }.map(\.grant)
        guard let buffers = unsafe buffers(segments, grants.map(\.grant)) else {
            for grant in taken { grantTable.end(grant) }
            return answer(request, .error, generation)
        }
        // What the disk puts into the guest's memory may be code.
        let filled =
            isWrite
            ? []
            : zip(segments, grants).map { segment, grant in
                grant.grant.address.rawValue &+ UInt64(segment.first) &* 512
            }
        let operation = unsafe DiskRequest(
            isWrite ? .write : .read, offset: range.offset, segments: buffers)
        let finish: DiskCompletion = { [self] error in
            for (segment, address) in zip(segments, filled) {
                memory.wrote(address, segment.byteCount)
            }
            for grant in taken { grantTable.end(grant) }
            answer(request, error == nil ? .okay : .error, generation)
        }
        guard flushesFirst else {
            return disk.submit(operation, alone: way.isAlone, completion: finish)
        }
        disk.submit(.flush) { [self] error in
            if error != nil { return finish(error) }
            disk.submit(operation, completion: finish)
        }
    }

    /// Where the segments are on the host, those that follow each other there as one; nil if a grant does
    /// not cover its segment.
    private func buffers(
        _ segments: [BlockRequest.Segment], _ grants: [GrantTable.Grant]
    ) -> [UnsafeMutableRawBufferPointer]? {
        var buffers = unsafe [UnsafeMutableRawBufferPointer]()
        for (segment, grant) in zip(segments, grants) {
            let start = grant.address.advanced(by: UInt64(segment.first) * 512)
            let count = segment.byteCount
            guard Int(segment.last) * 512 + 512 <= Int(grant.byteCount),
                let pointer = unsafe memory.hostPointer(start, byteCount: count)
            else { return nil }
            if let last = unsafe buffers.last, let base = last.baseAddress,
                unsafe base + last.count == pointer
            {
                unsafe buffers[buffers.count - 1] = UnsafeMutableRawBufferPointer(
                    start: base, count: last.count + count)
            } else {
                unsafe buffers.append(UnsafeMutableRawBufferPointer(start: pointer, count: count))
            }
        }
        return unsafe buffers
    }

    /// Grants in use, and whether each is one of those that stay; nil, and none in use, if one cannot be
    /// used.
    func take(
        _ references: [UInt32], write: Bool, _ generation: UInt64
    ) -> [(grant: GrantTable.Grant, isKept: Bool)]? {
        var taken: [(grant: GrantTable.Grant, isKept: Bool)] = []
        taken.reserveCapacity(references.count)
        let isWhole = registers.withLock { registers -> Bool in
            let isPersistent =
                registers.connection.map {
                    $0.isPersistent && $0.generation == generation
                } ?? false
            for reference in references {
                let known = isPersistent ? registers.connection?.kept[reference] : nil
                if let known, known.isWritable || !write {
                    taken.append((known, true))
                    continue
                }
                let keeps =
                    isPersistent && known == nil
                    && registers.connection?.kept.count ?? 0 < Self.mostKept
                // What is kept is used either way later.
                guard
                    let grant = grantTable.begin(
                        GrantReference(reference), write: write || keeps)
                else { return false }
                if keeps { registers.connection?.kept[reference] = grant }
                taken.append((grant, keeps))
            }
            return true
        }
        if isWhole { return taken }
        for (grant, isKept) in taken where !isKept { grantTable.end(grant) }
        return nil
    }
}
