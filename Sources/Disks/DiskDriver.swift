internal import HostIO
internal import Vocabulary

/// A format's side of a `Disk`, which has checked range, alignment and rights of each request.
protocol DiskDriver: Sendable {
    /// Bytes of the disk, a multiple of `sectorSize`. Any thread.
    var byteCount: UInt64 { get }
    /// 512 or 4096.
    var sectorSize: Int { get }
    var features: DiskFeatures { get }
    /// Bytes of what a discard gives back, aligned so: of less, nothing may be. A power of two.
    var discardGranularity: Int { get }
    /// Any thread; the completion is called on the loop's.
    func submit(_ request: DiskRequest, _ completion: @escaping IOCompletion)
    /// Does a transfer now if the host's page cache serves it: false if it is still to be done. Any thread.
    func isDoneNow(_ request: DiskRequest) -> Bool
    /// Looks how large the disk is now. Any thread but the loop's.
    func refreshSize() throws(XError) -> UInt64
    /// Makes the disk larger while it is in use; its new bytes are zeros. Any thread but the loop's.
    ///
    /// - Parameter byteCount: a multiple of `sectorSize`, more than the disk has.
    func grow(to byteCount: UInt64) throws(XError)
    /// Brings everything to stable storage; nothing is in flight and nothing comes after it. The
    /// completion is called on the loop's thread.
    func close(_ completion: @escaping IOCompletion)
}

extension DiskDriver {
    var discardGranularity: Int { sectorSize }
    func isDoneNow(_ request: DiskRequest) -> Bool { false }
}

/// What a stretch of an image reads as.
struct ImageExtent: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// Bytes of this image.
        case data
        /// Zeros, without looking further down.
        case zero
        /// What the backing image has there, or zeros.
        case absent
    }
    var kind: Kind
    var byteCount: UInt64
}

/// An image as tasks on its loop use it: the image below another, the sides of a conversion.
protocol BlockImage: Sendable {
    /// Bytes that a guest sees.
    var byteCount: UInt64 { get }
    /// Fills the segments, of which none lies behind the end of the image.
    func read(_ offset: UInt64, _ segments: Segments) async throws(HostErrno)
    func write(_ offset: UInt64, _ segments: Segments) async throws(HostErrno)
    func zero(_ offset: UInt64, _ byteCount: UInt64, mayUnmap: Bool) async throws(HostErrno)
    func flush() async throws(HostErrno)
    /// The stretch from a byte within the image on, up to `most` bytes.
    func extent(_ offset: UInt64, most: UInt64) async throws(HostErrno) -> ImageExtent
}
