// Fields of frames. A frame comes from strangers: what lies outside of it reads as 0 and is not written.

extension UnsafeRawBufferPointer {
    func byte(_ offset: Int) -> UInt8 {
        guard offset >= 0, offset < count else { return 0 }
        return unsafe self[offset]
    }

    func big16(_ offset: Int) -> UInt16 {
        guard offset >= 0, offset <= count - 2 else { return 0 }
        // SAFETY: two bytes from `offset` lie in the buffer.
        return unsafe UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    func big32(_ offset: Int) -> UInt32 {
        guard offset >= 0, offset <= count - 4 else { return 0 }
        // SAFETY: four bytes from `offset` lie in the buffer.
        return unsafe UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    func big64(_ offset: Int) -> UInt64 {
        UInt64(unsafe big32(offset)) << 32 | UInt64(unsafe big32(offset + 4))
    }

    /// The part in a range, cut to what there is.
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        let from = Swift.min(Swift.max(range.lowerBound, 0), count)
        let to = Swift.min(Swift.max(range.upperBound, from), count)
        return unsafe UnsafeRawBufferPointer(rebasing: self[from..<to])
    }
}

extension UnsafeMutableRawBufferPointer {
    var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(self) }

    func setByte(_ value: UInt8, at offset: Int) {
        guard offset >= 0, offset < count else { return }
        unsafe self[offset] = value
    }

    func setBig16(_ value: UInt16, at offset: Int) {
        guard offset >= 0, offset <= count - 2 else { return }
        // SAFETY: two bytes from `offset` lie in the buffer.
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    func setBig32(_ value: UInt32, at offset: Int) {
        guard offset >= 0, offset <= count - 4 else { return }
        // SAFETY: four bytes from `offset` lie in the buffer.
        unsafe storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// The part in a range, cut to what there is.
    func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        let from = Swift.min(Swift.max(range.lowerBound, 0), count)
        let to = Swift.min(Swift.max(range.upperBound, from), count)
        return unsafe UnsafeMutableRawBufferPointer(rebasing: self[from..<to])
    }
}
