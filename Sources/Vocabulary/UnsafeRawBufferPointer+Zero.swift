extension UnsafeRawBufferPointer {
    /// Whether all of the bytes are 0.
    public var isZero: Bool {
        var offset = 0
        // SAFETY: every load ends at or before the end.
        while offset + 64 <= count {
            let words = unsafe loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            if words != .zero { return false }
            offset += 64
        }
        while offset < count {
            if unsafe self[offset] != 0 { return false }
            offset += 1
        }
        return true
    }
}
