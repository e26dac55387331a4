public import HostIO

/// What a disk is asked to do.
public enum DiskOperation: Sendable, Hashable {
    /// Bytes of the disk into the segments.
    case read
    /// Bytes of the segments onto the disk.
    case write
    /// What was written by requests that completed before this one was submitted survives the host's
    /// power failure.
    case flush
    /// Nobody needs the range any more; what it reads as afterwards is not said. May do nothing.
    case discard
    /// The range reads as zeros.
    case writeZeroes
}

/// One request to a `Disk`, with the host memory it reads or fills.
///
/// The memory is its maker's, who leaves it alone from `Disk.submit` to the completion.
@safe public struct DiskRequest: @unchecked Sendable {
    public var operation: DiskOperation
    /// The first byte on the disk: a multiple of its `sectorSize`. Not used by a flush.
    public var offset: UInt64
    /// Where the bytes of a read go and those of a write are, in order; none for other operations.
    public var segments: [UnsafeMutableRawBufferPointer]
    /// Bytes of the disk: a multiple of its `sectorSize`; for reads and writes what the segments hold.
    public var byteCount: UInt64
    /// Forced unit access: a write is on stable storage when it completes.
    public var isForced = false
    /// Whether `writeZeroes` may give the host's space back.
    public var mayUnmap = true

    /// A read or write of all the bytes of `segments`.
    public init(
        _ operation: DiskOperation, offset: UInt64, segments: [UnsafeMutableRawBufferPointer],
        isForced: Bool = false
    ) {
        self.operation = operation
        self.offset = offset
        unsafe self.segments = unsafe segments
        byteCount = unsafe segments.reduce(0) { $0 &+ UInt64($1.count) }
        self.isForced = isForced
    }

    /// A discard or a write of zeros.
    public init(
        _ operation: DiskOperation, offset: UInt64, byteCount: UInt64, mayUnmap: Bool = true
    ) {
        self.operation = operation
        self.offset = offset
        unsafe segments = []
        self.byteCount = byteCount
        self.mayUnmap = mayUnmap
    }

    /// A flush.
    public static var flush: DiskRequest { DiskRequest(.flush, offset: 0, byteCount: 0) }
}

/// Told once that a request is done: nil, or why it failed. On the disk's own thread, which serves its
/// other requests, so it must not wait for anything; of a request that is alone perhaps on the thread that
/// submits it.
public typealias DiskCompletion = @Sendable (HostErrno?) -> Void

/// What a disk can do beside reading.
public struct DiskFeatures: OptionSet, Sendable, Hashable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Discards give space back to the host.
    public static let discard = DiskFeatures(rawValue: 1)
    /// Zeros are written without their bytes.
    public static let writeZeroes = DiskFeatures(rawValue: 2)
    /// There is something between a write and stable storage, and a flush empties it.
    public static let flush = DiskFeatures(rawValue: 4)
}

/// What a disk did since it was opened.
public struct DiskMetrics: Codable, Sendable, Equatable {
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
    public var flushes: UInt64 = 0
    public var discards: UInt64 = 0
    public var zeroWrites: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0
    /// Requests that failed, of any kind.
    public var errors: UInt64 = 0
    /// Requests that waited because of the limit `iops`.
    public var delayed: UInt64 = 0
    public var inFlight: UInt64 = 0
    /// The most requests that were in flight at once.
    public var mostInFlight: UInt64 = 0

    public init() {}
}
