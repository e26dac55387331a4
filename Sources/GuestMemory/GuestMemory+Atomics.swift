internal import CHost
public import Vocabulary

/// An integer that the host reads and changes atomically.
public protocol AtomicWord: FixedWidthInteger & BitwiseCopyable & Sendable {
    static func atomicLoad(_ address: UnsafeMutableRawPointer) -> Self
    static func atomicStore(_ address: UnsafeMutableRawPointer, _ value: Self)
    static func atomicExchange(_ address: UnsafeMutableRawPointer, _ value: Self) -> Self
    static func atomicCompareExchange(
        _ address: UnsafeMutableRawPointer, expected: Self, desired: Self
    ) -> Self
    static func atomicOr(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self
    static func atomicAnd(_ address: UnsafeMutableRawPointer, _ bits: Self) -> Self
}

// Atomic access to aligned words of RAM, sequentially consistent like the guest's own locked
// instructions. nil or false: not RAM, or not aligned.
extension GuestMemory {
    /// The host address of an aligned word of RAM, whose page is pinned.
    private func word<T: AtomicWord>(
        _ address: GuestPhysicalAddress, _ type: T.Type
    ) -> UnsafeMutableRawPointer? {
        let size = MemoryLayout<T>.size
        guard address.rawValue & UInt64(size &- 1) == 0, contains(address.rawValue, size),
            pin(address.rawValue, size)
        else { return nil }
        return unsafe hostBase + Int(address.rawValue)
    }

    /// The word at `address`.
    public func atomicLoad<T: AtomicWord>(_ address: GuestPhysicalAddress, as type: T.Type) -> T? {
        // SAFETY: here and below, `word` gives aligned RAM or nil.
        guard let word = unsafe word(address, type) else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        return unsafe T.atomicLoad(word)
    }

    /// Replaces the word at `address`.
    @discardableResult
    public func atomicStore<T: AtomicWord>(_ address: GuestPhysicalAddress, _ value: T) -> Bool {
        guard let word = unsafe word(address, T.self) else { return false }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        unsafe T.atomicStore(word, value)
        wrote(address.rawValue, MemoryLayout<T>.size)
        return true
    }

    /// Replaces the word at `address`; the old value.
    public func atomicExchange<T: AtomicWord>(_ address: GuestPhysicalAddress, _ value: T) -> T? {
        guard let word = unsafe word(address, T.self) else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        let old = unsafe T.atomicExchange(word, value)
        wrote(address.rawValue, MemoryLayout<T>.size)
        return old
    }

    /// Replaces the word if it is `expected`; the value found, which is `expected` on success.
    public func atomicCompareExchange<T: AtomicWord>(
        _ address: GuestPhysicalAddress, expected: T, desired: T
    ) -> T? {
        guard let word = unsafe word(address, T.self) else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        let found = unsafe T.atomicCompareExchange(word, expected: expected, desired: desired)
        if found == expected { wrote(address.rawValue, MemoryLayout<T>.size) }
        return found
    }

    /// Sets bits of the word at `address`; the old value.
    public func atomicOr<T: AtomicWord>(_ address: GuestPhysicalAddress, _ bits: T) -> T? {
        guard let word = unsafe word(address, T.self) else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        let old = unsafe T.atomicOr(word, bits)
        wrote(address.rawValue, MemoryLayout<T>.size)
        return old
    }

    /// Keeps only `bits` of the word at `address`; the old value.
    public func atomicAnd<T: AtomicWord>(_ address: GuestPhysicalAddress, _ bits: T) -> T? {
        guard let word = unsafe word(address, T.self) else { return nil }
        defer { unpin(address.rawValue, MemoryLayout<T>.size) }
        let old = unsafe T.atomicAnd(word, bits)
        wrote(address.rawValue, MemoryLayout<T>.size)
        return old
    }
}
