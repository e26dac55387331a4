internal import Glibc
internal import HostIO
public import Vocabulary

extension DiskImage {
    /// What a conversion has done: bytes of the disk looked at, and in all.
    public typealias ProgressHandler = @Sendable (_ done: UInt64, _ total: UInt64) -> Void

    /// Copies a disk into a new image, without the images below it and without zeros, and brings it to
    /// stable storage.
    ///
    /// - Parameter progress: on the thread of the conversion; at first once the target is there, then after
    ///   each piece of at most 1 MiB of data.
    /// Throws if the target is there already; one that is not whole is removed.
    public static func convert(
        _ source: DiskSpecification, to path: String, format: DiskFormat,
        options: CreationOptions = CreationOptions(),
        progress: @escaping ProgressHandler = { _, _ in }
    ) throws(XError) {
        try noNetwork(format, "convert to")
        if options.backingPath != nil {
            throw XError(
                .invalidArgument,
                "a converted disk holds everything itself: leave the image below '\(path)' out")
        }
        try withLoop { loop throws(XError) in
            let from = try open(source.path, source.format, isWritable: false, loop)
            defer { (from as? NBDSource)?.close() }
            try make(path, format, from.byteCount, options, loop, HostFile.Options())
            do throws(XError) {
                let to = try open(path, format, isWritable: true, loop)
                try loop.blocking { () async throws(XError) in
                    do throws(HostErrno) { try await copy(from, to, progress) } catch {
                        throw XError(
                            .hostCall,
                            "cannot convert '\(source.path)' to '\(path)': \(error): "
                                + remedy(error, source.format), cause: error)
                    }
                }
            } catch {
                unsafe unlink(path)
                throw error
            }
        }
    }

    private static func remedy(_ error: HostErrno, _ source: DiskFormat) -> String {
        switch error.rawValue {
        case ENOSPC, EDQUOT: return "make room there, or give another target"
        case EFBIG: return "give a target on a file system that takes such large files"
        default: break
        }
        switch source {
        case .raw: return "see what the host's log says of the two disks"
        case .qcow2: return "see what 'martlet disk check' says of the source"
        case .nbd: return "see whether the server still runs, and what it says"
        }
    }

    private static let piece: UInt64 = 1 << 20

    private static func copy(
        _ from: any BlockImage, _ to: any BlockImage, _ progress: ProgressHandler
    ) async throws(HostErrno) {
        let total = from.byteCount
        let buffer = IOBuffer(byteCount: Int(piece))
        var position: UInt64 = 0
        progress(0, total)
        while position < total {
            let extent = try await extent(from, position, most: total - position)
            guard extent.byteCount > 0 else { throw .ioError }
            guard extent.kind != .zero else {
                position += extent.byteCount
                progress(position, total)
                continue
            }
            let count = min(extent.byteCount, piece)
            try await from.read(position, buffer.slice(0, Int(count)))
            try await write(buffer, Int(count), position, to)
            position += count
            progress(position, total)
        }
        try await to.flush()
        // What the first flush freed is counted by the second.
        try await to.flush()
    }

    /// What is at a byte, looking through images that have nothing there.
    private static func extent(
        _ image: any BlockImage, _ offset: UInt64, most: UInt64
    ) async throws(HostErrno) -> ImageExtent {
        let extent = try await image.extent(offset, most: most)
        guard extent.kind == .absent, let below = (image as? QCOW2Image)?.backing else {
            return extent
        }
        return try await Self.extent(below, offset, most: extent.byteCount)
    }

    /// Writes what is not zeros, to 4 KiB.
    private static func write(
        _ buffer: IOBuffer, _ count: Int, _ offset: UInt64, _ to: any BlockImage
    ) async throws(HostErrno) {
        var start: Int?
        var position = 0
        while position < count {
            let length = min(4096, count - position)
            if buffer.slice(position, length).isZero {
                if let first = start {
                    try await to.write(
                        offset + UInt64(first), buffer.slice(first, position - first))
                }
                start = nil
            } else if start == nil {
                start = position
            }
            position += length
        }
        if let first = start {
            try await to.write(offset + UInt64(first), buffer.slice(first, count - first))
        }
    }
}
