internal import CHost
import Glibc
internal import Synchronization
public import Vocabulary

// Memory that several machines share until one writes it: private mappings of the files of a `MemoryImage`.
extension GuestMemory {
    /// Changes are found, and copied, in pieces of so many bytes.
    static let imagePiece: UInt64 = 64 << 10
    /// A host has 65530 mappings for a process.
    static let largestRunCount = 16384

    static func noImage() -> XError {
        XError(
            .outOfMemory,
            "cannot share the guest's memory: \(reason(chost_errno())); the host has too little memory "
                + "or mappings left")
    }

    /// The memory as it stands; of what is written meanwhile the image may have either. The first time the memory
    /// file itself becomes the image, and this memory shares it until it writes; later the image has a copy of
    /// what was written since then. No vCPU runs; one thread at a time.
    ///
    /// - Throws: `XError`: the host has no room. The memory is as it was.
    public func share() throws(XError) -> MemoryImage {
        if residency != nil {
            for region in regions {
                for page in 0..<region.byteCount >> 12
                where isAbsent(region.start.rawValue + page << 12) {
                    throw XError(.invalidArgument, "memory with absent pages cannot be shared")
                }
            }
        }
        if let image { return try changed(image) }
        let image = try shareFile()
        imageSlot.withLock { $0 = image }
        return image
    }

    /// What the memory was shared as last; nil: all of it is in `descriptor`.
    var image: MemoryImage? { imageSlot.withLock { $0 } }

    // MARK: Sharing

    private func shareFile() throws(XError) -> MemoryImage {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw Self.noImage() }
        let file = ImageFile(owning: copy)
        var runs: [MemoryImage.Run] = []
        var next: UInt64 = 0
        let extents = MemoryExtents(self)
        while let data = extents.next(from: next) {
            runs.add(data)
            next = data.upperBound
        }
        let image = MemoryImage.whole(memoryByteCount: byteCount, runs: runs, file)
        do throws(XError) {
            try map(image)
        } catch {
            // As it was: nothing was written to what has been mapped.
            try mapFile()
            throw error
        }
        file.seal()
        return image
    }

    /// The image with what was written since, which stays this memory's own: somebody may write between a copy and
    /// its mapping.
    private func changed(_ old: MemoryImage) throws(XError) -> MemoryImage {
        var changes: [MemoryImage.Run] = []
        var count: UInt64 = 0
        let pages = PrivatePages()
        var start: UInt64 = 0
        while start < byteCount {
            let range = start..<min(start + Self.imagePiece, byteCount)
            start = range.upperBound
            guard pages.mayHavePrivate(in: self, range), !isUnchangedZeros(range, old) else {
                continue
            }
            let size = range.upperBound - range.lowerBound
            if let last = changes.last, last.end == range.lowerBound {
                changes[changes.count - 1].byteCount += size
            } else {
                changes.append(
                    MemoryImage.Run(
                        memory: range.lowerBound, byteCount: size, place: count,
                        file: old.descriptors.count))
            }
            count += size
        }
        if changes.isEmpty { return old }
        if old.runs.count + 2 * changes.count > Self.largestRunCount { return try copyAll() }
        let file = try ImageFile(byteCount: count)
        for change in changes {
            try copy(change.memory..<change.end, to: file, at: change.place)
        }
        file.seal()
        return old.overlaid(with: changes, file)
    }

    /// Everything in one file: there would be too many runs.
    private func copyAll() throws(XError) -> MemoryImage {
        let file = try ImageFile(byteCount: byteCount)
        var runs: [MemoryImage.Run] = []
        var next: UInt64 = 0
        let extents = MemoryExtents(self)
        while let data = extents.next(from: next) {
            try copy(data, to: file, at: data.lowerBound)
            runs.add(data)
            next = data.upperBound
        }
        file.seal()
        return MemoryImage.whole(memoryByteCount: byteCount, runs: runs, file)
    }

    /// Zeros of a memory of zeros: pages that were read only.
    private func isUnchangedZeros(_ range: Range<UInt64>, _ image: MemoryImage) -> Bool {
        guard image.runs(in: range).isEmpty else { return false }
        var next = range.lowerBound
        while let part = unsafe part(ofFile: next, atMost: range.upperBound - next), part.count > 0
        {
            if unsafe !part.isZero { return false }
            next += UInt64(part.count)
        }
        return true
    }

    private func copy(
        _ range: Range<UInt64>, to file: ImageFile, at place: UInt64
    ) throws(XError) {
        var done: UInt64 = 0
        let count = range.upperBound - range.lowerBound
        while done < count {
            guard
                let part = unsafe self.part(ofFile: range.lowerBound + done, atMost: count - done)
            else { return }
            let written = unsafe pwrite(
                file.descriptor, part.baseAddress, part.count, off_t(clamping: place + done))
            guard written > 0 else { throw Self.noImage() }
            done += UInt64(written)
        }
    }

    // MARK: Mapping

    /// Maps the image in place of the memory file, zeros where it has no run.
    func map(_ image: MemoryImage) throws(XError) {
        var next: UInt64 = 0
        for run in image.runs {
            try mapZeros(next..<run.memory)
            try map(run, image.descriptors[run.file])
            next = run.end
        }
        try mapZeros(next..<byteCount)
    }

    private func map(_ run: MemoryImage.Run, _ descriptor: CInt) throws(XError) {
        try map(run.memory..<run.end, MAP_PRIVATE, descriptor, at: run.place)
    }

    private func mapZeros(_ range: Range<UInt64>) throws(XError) {
        try map(range, MAP_PRIVATE | MAP_ANONYMOUS, -1, at: 0)
    }

    /// Maps the memory file again.
    private func mapFile() throws(XError) {
        try map(0..<byteCount, MAP_SHARED, descriptor, at: 0)
    }

    /// Maps other pages in the place of these.
    private func map(
        _ range: Range<UInt64>, _ flags: CInt, _ descriptor: CInt, at place: UInt64
    ) throws(XError) {
        var next = range.lowerBound
        while next < range.upperBound,
            let part = unsafe part(ofFile: next, atMost: range.upperBound - next)
        {
            let address = unsafe UnsafeMutableRawPointer(mutating: part.baseAddress)
            // SAFETY: RAM of this memory, which is mapped all the time.
            let mapped = unsafe mmap(
                address, part.count, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE,
                descriptor, off_t(clamping: place + (next - range.lowerBound)))
            guard unsafe mapped != MAP_FAILED else { throw Self.noImage() }
            unsafe madvise(address, part.count, MADV_DONTDUMP)
            next += UInt64(part.count)
        }
    }

    // MARK: Looking

    /// Copies bytes from a place of the memory file on, all of which it has. False: it has not.
    public func copy(fromFile place: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        var done = 0
        while done < buffer.count {
            if image == nil {
                // By the file: a hole of it that is looked at through a mapping takes memory.
                let count = unsafe pread(
                    descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done,
                    off_t(clamping: place + UInt64(done)))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                done += count
                continue
            }
            guard
                let part = unsafe part(
                    ofFile: place + UInt64(done), atMost: UInt64(buffer.count - done))
            else { return false }
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyMemory(from: part)
            done += part.count
        }
        return true
    }

    /// Bytes from a place of the memory file on as far as they lie in one region.
    func part(ofFile place: UInt64, atMost count: UInt64) -> UnsafeRawBufferPointer? {
        var rest = place
        for region in regions {
            if rest < region.byteCount {
                // SAFETY: within the region.
                return unsafe UnsafeRawBufferPointer(
                    start: hostBase + Int(region.start.rawValue + rest),
                    count: Int(min(count, region.byteCount - rest)))
            }
            rest -= region.byteCount
        }
        return nil
    }
}

extension [MemoryImage.Run] {
    /// Ranges that are closer to each other than this are one run: each is a mapping of the host's.
    private static var largestGap: UInt64 { 2 << 20 }

    /// Adds bytes that lie behind all others, where the memory file has them.
    fileprivate mutating func add(_ data: Range<UInt64>) {
        if let last, data.lowerBound - last.end < Self.largestGap {
            self[count - 1].byteCount = data.upperBound - last.memory
        } else {
            append(
                MemoryImage.Run(
                    memory: data.lowerBound, byteCount: data.upperBound - data.lowerBound,
                    place: data.lowerBound, file: 0))
        }
    }
}
