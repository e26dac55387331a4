internal import CHost
internal import Synchronization
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
    /// called before the bytes are read.
    public func markCode(_ address: UInt64) { insertFlags(.code, ofPageAt: address) }

    /// Says that no engine holds instructions of the page of `address` any more.
    public func clearCode(_ address: UInt64) { removeFlags(.code, ofPageAt: address) }

    /// Has `body` called, with the page's address, after a device or the host wrote to a page that
    /// holds code. It runs on the writing thread, holds no lock of the writer, and must not block.
    public func observeCodeWrites(_ body: @escaping @Sendable (_ page: UInt64) -> Void) {
        codeObservers.withLock { $0.append(body) }
    }

    func notifyCodeObservers(_ page: UInt64) {
        let bodies = codeObservers.withLock { $0 }
        for body in bodies { body(page) }
    }
}
