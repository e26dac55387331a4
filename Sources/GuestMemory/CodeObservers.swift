/// What engines have to be told of a page.
public enum CodeChange: Sendable, Equatable {
    /// Its bytes were written or are about to be: instructions decoded from it are void.
    case written
    /// An engine decodes instructions from it from now on: stores to it have to be seen.
    case decoded
    /// Pages have become absent, whichever: translations of absent pages are void, and so are those of
    /// pages that are not marked as accessed.
    case absent
}

/// How far observers are with what they were told.
public struct CodeAttention: OptionSet, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// It has dealt with all it was told.
    public static let heard = CodeAttention([])
    /// It has not, but will before it runs guest code again.
    public static let away = CodeAttention(rawValue: 1 << 0)
    /// It runs guest code.
    public static let running = CodeAttention(rawValue: 1 << 1)
    /// It runs guest code, and has not dealt with all it was told.
    public static let behind = CodeAttention(rawValue: 1 << 2)
    /// It runs guest code, and may have translations of pages that it was told are absent.
    public static let translatesAbsent = CodeAttention(rawValue: 1 << 3)
}

/// Who has to know when pages with code change.
///
/// Owner: `GuestMemory`. Any thread.
final class CodeObservers: Sendable {
    /// Called on the thread that made the change; must not block.
    typealias Body = @Sendable (_ change: CodeChange, _ page: UInt64) -> Void

    private struct Observer: Sendable {
        let body: Body
        let attention: @Sendable () -> CodeAttention
    }

    private let observers = GrowingList<Observer>()

    /// The number of the new observer, from 1.
    func add(
        _ body: @escaping Body, _ attention: @escaping @Sendable () -> CodeAttention
    ) -> Int {
        observers.append(Observer(body: body, attention: attention))
    }

    /// Tells everyone but observer number `sender`.
    func tell(_ change: CodeChange, _ page: UInt64, sender: Int) {
        observers.forEach { number, observer in
            if number != sender { observer.body(change, page) }
        }
    }

    /// The attention of everyone but observer number `asker`.
    func attention(but asker: Int) -> CodeAttention {
        var result = CodeAttention.heard
        observers.forEach { number, observer in
            if number != asker { result.formUnion(observer.attention()) }
        }
        return result
    }
}
