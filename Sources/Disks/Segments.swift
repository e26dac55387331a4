/// Pieces of host memory, in order: what one transfer reads or fills. The maker keeps the memory, except
/// that of buffers, which the segments keep.
@safe struct Segments: @unchecked Sendable {
    private(set) var buffers: [UnsafeMutableRawBufferPointer] = unsafe []
    private(set) var byteCount = 0
    private var owners: [IOBuffer] = []

    init() {}

    init(_ buffers: [UnsafeMutableRawBufferPointer]) {
        unsafe buffers.forEach { unsafe append($0) }
    }

    init(_ buffer: IOBuffer) {
        unsafe append(buffer.bytes)
        owners = [buffer]
    }

    mutating func append(_ buffer: UnsafeMutableRawBufferPointer) {
        if unsafe buffer.isEmpty { return }
        unsafe buffers.append(buffer)
        byteCount += buffer.count
    }

    mutating func append(_ other: Segments) {
        unsafe other.buffers.forEach { unsafe append($0) }
        owners += other.owners
    }

    /// `count` bytes from byte `start` on; fewer where there are no more.
    func slice(_ start: Int, _ count: Int) -> Segments {
        if start == 0, count >= byteCount { return self }
        var result = Segments()
        result.owners = owners
        var skip = max(start, 0)
        var left = max(count, 0)
        for index in unsafe 0..<buffers.count where left > 0 {
            let buffer = unsafe buffers[index]
            if skip >= buffer.count {
                skip -= buffer.count
                continue
            }
            let length = min(buffer.count - skip, left)
            // SAFETY: `skip + length` is at most the buffer's count.
            unsafe result.append(
                UnsafeMutableRawBufferPointer(rebasing: buffer[skip..<skip + length]))
            skip = 0
            left -= length
        }
        return result
    }

    func zero() {
        for index in unsafe 0..<buffers.count {
            let buffer = unsafe buffers[index]
            unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
        }
    }

    /// Fills the segments from `bytes`, as far as these go.
    func fill(from bytes: UnsafeRawBufferPointer) {
        var position = 0
        for index in unsafe 0..<buffers.count {
            let buffer = unsafe buffers[index]
            let count = min(buffer.count, bytes.count - position)
            if count <= 0 { return }
            // SAFETY: both ranges lie in their buffers.
            unsafe buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[position..<position + count]))
            position += count
        }
    }

    /// Copies the segments to `bytes`, as far as these go.
    func copy(to bytes: UnsafeMutableRawBufferPointer) {
        var position = 0
        for index in unsafe 0..<buffers.count {
            let buffer = unsafe buffers[index]
            let count = min(buffer.count, bytes.count - position)
            if count <= 0 { return }
            // SAFETY: both ranges lie in their buffers.
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
            position += count
        }
    }

    /// Whether every piece begins and ends at a multiple of `alignment`, a power of two.
    func isAligned(_ alignment: Int) -> Bool {
        unsafe buffers.allSatisfy { buffer in
            let start = UInt(bitPattern: buffer.baseAddress)
            return (start | UInt(buffer.count)) & UInt(alignment - 1) == 0
        }
    }

    /// Whether every byte is 0.
    var isZero: Bool {
        unsafe buffers.allSatisfy { buffer in
            var rest = UnsafeRawBufferPointer(buffer)
            while rest.count >= 8 {
                if unsafe rest.loadUnaligned(as: UInt64.self) != 0 { return false }
                unsafe rest = unsafe UnsafeRawBufferPointer(rebasing: rest[8...])
            }
            return unsafe rest.allSatisfy { $0 == 0 }
        }
    }
}

/// Host memory of our own, at a page boundary, zeroed; freed with the last reference.
///
/// One owner at a time: the disk's thread, or the transfer that it was given to.
@safe final class IOBuffer: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        unsafe bytes = .allocate(byteCount: max(byteCount, 1), alignment: 4096)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe bytes.deallocate() }

    var byteCount: Int { unsafe bytes.count }

    /// The big-endian number at a byte; 0 outside.
    func load64(_ offset: Int) -> UInt64 {
        guard offset >= 0, offset <= byteCount - 8 else { return 0 }
        return unsafe UInt64(
            bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Stores a number big-endian; outside nothing happens.
    func store64(_ offset: Int, _ value: UInt64) {
        guard offset >= 0, offset <= byteCount - 8 else { return }
        unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    func load32(_ offset: Int) -> UInt32 {
        guard offset >= 0, offset <= byteCount - 4 else { return 0 }
        return unsafe UInt32(
            bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    func store32(_ offset: Int, _ value: UInt32) {
        guard offset >= 0, offset <= byteCount - 4 else { return }
        unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    func load16(_ offset: Int) -> UInt16 {
        guard offset >= 0, offset <= byteCount - 2 else { return 0 }
        return unsafe UInt16(
            bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    func store16(_ offset: Int, _ value: UInt16) {
        guard offset >= 0, offset <= byteCount - 2 else { return }
        unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    subscript(offset: Int) -> UInt8 {
        get { offset >= 0 && offset < byteCount ? unsafe bytes[offset] : 0 }
        set { if offset >= 0, offset < byteCount { unsafe bytes[offset] = newValue } }
    }

    /// `count` bytes from `offset` on, as far as there are.
    func slice(_ offset: Int, _ count: Int) -> Segments { Segments(self).slice(offset, count) }

    /// A copy of `count` bytes from `offset` on, as far as there are.
    func array(_ offset: Int, _ count: Int) -> [UInt8] {
        guard offset >= 0, count > 0, offset < byteCount else { return [] }
        return unsafe Array(bytes[offset..<min(byteCount, offset + min(count, byteCount))])
    }

    /// Copies bytes to `offset`, as far as there is room.
    func fill(_ array: [UInt8], at offset: Int = 0) {
        guard offset >= 0, offset < byteCount else { return }
        unsafe array.withUnsafeBytes { source in
            unsafe slice(offset, source.count).fill(from: source)
        }
    }
}
