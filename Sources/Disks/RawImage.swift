internal import HostIO
internal import Synchronization
internal import Vocabulary

/// A disk whose bytes are those of a file or block device, at the same places.
final class RawImage: DiskDriver, BlockImage {
    let file: HostFile
    let sectorSize: Int
    private let size: Atomic<UInt64>

    init(_ file: HostFile) throws(XError) {
        self.file = file
        sectorSize = file.alignment > 512 ? 4096 : 512
        size = Atomic(try Self.rounded(file, sectorSize))
    }

    /// A file that ends within a sector has zeros behind its end.
    private static func rounded(_ file: HostFile, _ sectorSize: Int) throws(XError) -> UInt64 {
        let mask = UInt64(sectorSize - 1)
        let count = try file.byteCount()
        guard count <= UInt64(Int64.max) - mask else {
            throw XError(.unsupported, "the disk '\(file.path)' says it has \(count) bytes")
        }
        return file.isBlockDevice ? count & ~mask : (count + mask) & ~mask
    }

    var byteCount: UInt64 { size.load(ordering: .relaxed) }

    var features: DiskFeatures { file.isWritable ? [.discard, .writeZeroes, .flush] : [] }

    func refreshSize() throws(XError) -> UInt64 {
        let count = try Self.rounded(file, sectorSize)
        size.store(count, ordering: .relaxed)
        return count
    }

    func grow(to byteCount: UInt64) throws(XError) {
        guard !file.isBlockDevice else {
            throw XError(
                .unsupported,
                "'\(file.path)' is a block device: make it larger on the host, and give no size here"
            )
        }
        try file.setByteCount(byteCount)
        _ = try refreshSize()
    }

    func submit(_ request: DiskRequest, _ completion: @escaping IOCompletion) {
        switch request.operation {
        case .read: unsafe file.read(request.offset, Segments(request.segments), completion)
        case .write:
            unsafe file.write(
                request.offset, Segments(request.segments),
                request.isForced ? synced(completion) : completion)
        case .flush: file.isWritable ? file.sync(completion) : file.loop.submit { completion(nil) }
        case .discard: file.discard(request.offset, request.byteCount, completion)
        case .writeZeroes:
            zero(
                request.offset, request.byteCount, request.mayUnmap,
                request.isForced ? synced(completion) : completion)
        }
    }

    func isDoneNow(_ request: DiskRequest) -> Bool {
        switch request.operation {
        case .read: unsafe file.transferNow(isWrite: false, request.offset, request.segments)
        case .write:
            unsafe !request.isForced
                && file.transferNow(isWrite: true, request.offset, request.segments)
        default: false
        }
    }

    private func synced(_ completion: @escaping IOCompletion) -> IOCompletion {
        { [file] error in
            if error != nil { completion(error) } else { file.sync(completion) }
        }
    }

    func close(_ completion: @escaping IOCompletion) {
        let done: IOCompletion = { [file] error in
            file.unlock()
            completion(error)
        }
        file.isWritable ? file.sync(done) : file.loop.submit { done(nil) }
    }

    private func zero(
        _ offset: UInt64, _ byteCount: UInt64, _ mayUnmap: Bool,
        _ completion: @escaping IOCompletion
    ) {
        file.zero(offset, byteCount, mayUnmap: mayUnmap) { [self] error in
            guard error == .unsupported else { return completion(error) }
            writeZeros(
                offset, byteCount, IOBuffer(byteCount: Int(min(byteCount, 1 << 20))), completion)
        }
    }

    /// Zeros as bytes, piece by piece, where the host has no better way.
    private func writeZeros(
        _ offset: UInt64, _ byteCount: UInt64, _ zeros: IOBuffer,
        _ completion: @escaping IOCompletion
    ) {
        let count = min(byteCount, UInt64(zeros.byteCount))
        file.write(offset, zeros.slice(0, Int(count))) { [self] error in
            if error != nil || count == byteCount { return completion(error) }
            writeZeros(offset + count, byteCount - count, zeros, completion)
        }
    }

    // MARK: As an image of tasks

    func read(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        try await file.read(offset, segments)
    }

    func write(_ offset: UInt64, _ segments: Segments) async throws(HostErrno) {
        try await file.write(offset, segments)
    }

    func zero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) async throws(HostErrno) {
        try await HostFile.wait { done in self.zero(offset, byteCount, mayUnmap, done) }
    }

    func flush() async throws(HostErrno) { try await file.sync() }

    func extent(_ offset: UInt64, most: UInt64) async throws(HostErrno) -> ImageExtent {
        guard let extent = file.extent(at: offset) else {
            return ImageExtent(kind: .zero, byteCount: most)
        }
        return ImageExtent(
            kind: extent.isData ? .data : .zero, byteCount: min(extent.end - offset, most))
    }
}
