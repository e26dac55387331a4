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
        insertFlags(.code, ofPageAt: address).contains(.code)
    }

    /// Says that nobody keeps instructions of the page of `address`, once everyone has heard that
    /// it was written.
    public func clearCode(_ address: UInt64) { removeFlags(.code, ofPageAt: address) }

    /// Has `body` called, with the page's address, when another observer, a device or the host
    /// changes a page with code. It runs on the thread that made the change, holds no lock of that
    /// one's, and must not block. Kept as long as this object. The observer's number, from 1.
    public func observeCode(
        _ body: @escaping @Sendable (_ change: CodeChange, _ page: UInt64) -> Void
    ) -> Int {
        codeObservers.add(body)
    }

    /// Tells all observers of a change but the one who made it; 0: none of them.
    public func announce(_ change: CodeChange, _ page: UInt64, by observer: Int) {
        codeObservers.tell(change, page, sender: observer)
    }
}
