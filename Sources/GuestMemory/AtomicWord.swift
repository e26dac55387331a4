internal import CHost

// The conformances of AtomicWord: the host's own atomic instructions.

extension UInt8: AtomicWord {
    public static func atomicLoad(_ address: UnsafeMutableRawPointer) -> Self {
        unsafe chost_atomic_load8(address.assumingMemoryBound(to: Self.self))
    }
    public static func atomicStore(_ address: UnsafeMutableRawPointer, _ value: Self) {
        unsafe chost_atomic_store8(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicExchange(_ address: UnsafeMutableRawPointer, _ value: Self) -> Self {
        unsafe chost_atomic_exchange8(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicCompareExchange(
        _ address: UnsafeMutableRawPointer, expected: Self, desired: Self
    ) -> Self {
        unsafe chost_atomic_compare_exchange8(
            address.assumingMemoryBound(to: Self.self), expected, desired)
    }
    public static func atomicOr(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_or8(address.assumingMemoryBound(to: Self.self), bits)
    }
    public static func atomicAnd(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_and8(address.assumingMemoryBound(to: Self.self), bits)
    }
}

extension UInt16: AtomicWord {
    public static func atomicLoad(_ address: UnsafeMutableRawPointer) -> Self {
        unsafe chost_atomic_load16(address.assumingMemoryBound(to: Self.self))
    }
    public static func atomicStore(_ address: UnsafeMutableRawPointer, _ value: Self) {
        unsafe chost_atomic_store16(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicExchange(_ address: UnsafeMutableRawPointer, _ value: Self) -> Self {
        unsafe chost_atomic_exchange16(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicCompareExchange(
        _ address: UnsafeMutableRawPointer, expected: Self, desired: Self
    ) -> Self {
        unsafe chost_atomic_compare_exchange16(
            address.assumingMemoryBound(to: Self.self), expected, desired)
    }
    public static func atomicOr(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_or16(address.assumingMemoryBound(to: Self.self), bits)
    }
    public static func atomicAnd(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_and16(address.assumingMemoryBound(to: Self.self), bits)
    }
}

extension UInt32: AtomicWord {
    public static func atomicLoad(_ address: UnsafeMutableRawPointer) -> Self {
        unsafe chost_atomic_load32(address.assumingMemoryBound(to: Self.self))
    }
    public static func atomicStore(_ address: UnsafeMutableRawPointer, _ value: Self) {
        unsafe chost_atomic_store32(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicExchange(_ address: UnsafeMutableRawPointer, _ value: Self) -> Self {
        unsafe chost_atomic_exchange32(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicCompareExchange(
        _ address: UnsafeMutableRawPointer, expected: Self, desired: Self
    ) -> Self {
        unsafe chost_atomic_compare_exchange32(
            address.assumingMemoryBound(to: Self.self), expected, desired)
    }
    public static func atomicOr(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_or32(address.assumingMemoryBound(to: Self.self), bits)
    }
    public static func atomicAnd(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_and32(address.assumingMemoryBound(to: Self.self), bits)
    }
}

extension UInt64: AtomicWord {
    public static func atomicLoad(_ address: UnsafeMutableRawPointer) -> Self {
        unsafe chost_atomic_load64(address.assumingMemoryBound(to: Self.self))
    }
    public static func atomicStore(_ address: UnsafeMutableRawPointer, _ value: Self) {
        unsafe chost_atomic_store64(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicExchange(_ address: UnsafeMutableRawPointer, _ value: Self) -> Self {
        unsafe chost_atomic_exchange64(address.assumingMemoryBound(to: Self.self), value)
    }
    public static func atomicCompareExchange(
        _ address: UnsafeMutableRawPointer, expected: Self, desired: Self
    ) -> Self {
        unsafe chost_atomic_compare_exchange64(
            address.assumingMemoryBound(to: Self.self), expected, desired)
    }
    public static func atomicOr(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_or64(address.assumingMemoryBound(to: Self.self), bits)
    }
    public static func atomicAnd(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self {
        unsafe chost_atomic_and64(address.assumingMemoryBound(to: Self.self), bits)
    }
}
