internal import CHost
internal import Vocabulary

/// What is known of one page of RAM.
@frozen
public struct PageFlags: OptionSet, Sendable {
    public var rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// An engine holds instructions decoded from this page.
    public static let code = PageFlags(rawValue: 1 << 0)
    /// The page's bytes are not here yet. 0 means present, so that new RAM is.
    public static let absent = PageFlags(rawValue: 1 << 1)
    /// The page's bytes have been asked for.
    public static let onItsWay = PageFlags(rawValue: 1 << 2)
    /// Of a page with code: somebody decoded from it after the first of those began who now say that
    /// it was written.
    static let decodedMeanwhile = PageFlags(rawValue: 1 << 3)
    /// Bits 7:4 count who says so now.
    static let oneWriter: UInt8 = 1 << 4
    static let writers: UInt8 = 0xf0
}

// Addresses here are guest-physical and of any byte of the page. A page outside the span has no
// flags.
extension GuestMemory {
    /// The flags of the page of `address`.
    public func flags(ofPageAt address: UInt64) -> PageFlags {
        guard address < spanByteCount else { return [] }
        // SAFETY: here and below, the flags have a byte for each page of the span.
        return PageFlags(rawValue: unsafe chost_atomic_load8(pageFlags + Int(address >> 12)))
    }

    /// Sets flags of the page of `address`; the flags before.
    @discardableResult
    public func insertFlags(_ flags: PageFlags, ofPageAt address: UInt64) -> PageFlags {
        guard address < spanByteCount else { return [] }
        return PageFlags(
            rawValue: unsafe chost_atomic_or8(pageFlags + Int(address >> 12), flags.rawValue))
    }

    /// Clears flags of the page of `address`; the flags before.
    @discardableResult
    public func removeFlags(_ flags: PageFlags, ofPageAt address: UInt64) -> PageFlags {
        guard address < spanByteCount else { return [] }
        return PageFlags(
            rawValue: unsafe chost_atomic_and8(pageFlags + Int(address >> 12), ~flags.rawValue))
    }

    /// Whether an engine holds instructions decoded from the page of `address`.
    public func pageHoldsCode(_ address: UInt64) -> Bool {
        flags(ofPageAt: address).contains(.code)
    }

    /// Says that an engine is about to decode instructions from the page of `address`. To be
    /// called before the bytes are read. True if it was said before.
    @discardableResult
    public func markCode(_ address: UInt64) -> Bool {
        let old = changeFlags(ofPageAt: address) { old in
            let isWritten = old & PageFlags.writers != 0
            return old | PageFlags.code.rawValue
                | (isWritten ? PageFlags.decodedMeanwhile.rawValue : 0)
        }
        return old & PageFlags.code.rawValue != 0
    }

    /// Tells all observers but `observer`, who wrote, that the page of `address` has changed. To be
    /// called after the store. Then nobody keeps old instructions of the page, and the mark goes, so
    /// that further stores need not be told: but only after the last observer has been told, so that
    /// who finds no mark has been told, and not if anybody has decoded from the page meanwhile.
    public func tellWritten(_ address: UInt64, by observer: Int) {
        while true {
            let old = changeFlags(ofPageAt: address) { old in
                if old & PageFlags.writers == PageFlags.writers { return old }
                let first = old & PageFlags.writers == 0
                return (first ? old & ~PageFlags.decodedMeanwhile.rawValue : old)
                    &+ PageFlags.oneWriter
            }
            if old & PageFlags.writers != PageFlags.writers { break }
            chost_pause()
        }
        announce(.written, address & ~0xfff, by: observer)
        _ = changeFlags(ofPageAt: address) { old in
            let new = old &- PageFlags.oneWriter
            if new & PageFlags.writers != 0 { return new }
            let isDecoded = new & PageFlags.decodedMeanwhile.rawValue != 0
            return new
                & ~(PageFlags.decodedMeanwhile.rawValue | (isDecoded ? 0 : PageFlags.code.rawValue))
        }
    }

    /// Replaces the flags of the page of `address`; what they were.
    private func changeFlags(ofPageAt address: UInt64, _ change: (UInt8) -> UInt8) -> UInt8 {
        guard address < spanByteCount else { return 0 }
        // SAFETY: the flags have a byte for each page of the span.
        let flags = unsafe pageFlags + Int(address >> 12)
        var old = unsafe chost_atomic_load8(flags)
        while true {
            let seen = unsafe chost_atomic_compare_exchange8(flags, old, change(old))
            if seen == old { return old }
            old = seen
        }
    }

    /// Says that nobody keeps instructions of the page of `address`, once everyone has heard that
    /// it was written.
    public func clearCode(_ address: UInt64) { removeFlags(.code, ofPageAt: address) }

    /// Has `body` called, with the page's address, when another observer, a device or the host
    /// changes a page with code. It runs on the thread that made the change, holds no lock of that
    /// one's, and must not block. Kept as long as this object. The observer's number, from 1.
    ///
    /// - Parameter attention: what the observer does at this moment; any thread.
    public func observeCode(
        attention: @escaping @Sendable () -> CodeAttention = { .heard },
        _ body: @escaping @Sendable (_ change: CodeChange, _ page: UInt64) -> Void
    ) -> Int {
        codeObservers.add(body, attention)
    }

    /// What all observers but `observer` do at this moment, together.
    public func codeAttention(but observer: Int) -> CodeAttention {
        codeObservers.attention(but: observer)
    }

    /// Tells all observers of a change but the one who made it; 0: none of them.
    public func announce(_ change: CodeChange, _ page: UInt64, by observer: Int) {
        codeObservers.tell(change, page, sender: observer)
    }
}
