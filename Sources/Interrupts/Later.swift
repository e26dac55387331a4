internal import Synchronization

/// Breaks the circle of a part and what calls it back: set once, when the part is there.
///
/// Owner: the callback. The part is not kept alive by it.
public final class Later<Part: AnyObject & Sendable>: Sendable {
    private let reference = AtomicLazyReference<Box>()

    private final class Box: @unchecked Sendable {
        /// Set once, in `init`.
        private(set) weak var part: Part?
        init(_ part: Part) { self.part = part }
    }

    public init() {}

    /// Once.
    public func set(_ part: Part) { _ = reference.storeIfNil(Box(part)) }

    /// Nil before `set`.
    public var part: Part? { reference.load()?.part }
}
