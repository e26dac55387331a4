/// The number of a Xen domain; 0 is the host's side. Numbers from 0x7FF0 on are no domains but have
/// meanings of their own (`xen.h`, `DOMID_`).
@frozen
public struct DomainID: RawRepresentable, Hashable, Comparable, Codable, Sendable {
    public var rawValue: UInt16

    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt16) { self.rawValue = rawValue }

    /// The host's side: tools and backends.
    public static let host = DomainID(0)
    /// The first number that is no domain.
    public static let firstReserved = DomainID(0x7FF0)
    /// `DOMID_SELF`: who asks.
    public static let itself = DomainID(0x7FF0)
    /// `DOMID_ANY`: every domain, in permissions of XenStore.
    public static let any = DomainID(0x7FF5)

    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
