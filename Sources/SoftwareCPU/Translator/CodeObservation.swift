internal import CEngine
internal import HostIO

/// What tools want to know of translations. Off, it costs nothing: no code is made for it.
public struct CodeObservation: Sendable {
    /// Translated code counts the instruction forms that leave it: `CodeCache.exitsByForm`.
    public var countsForms = false
    /// Host addresses can be told from where they are in the guest: for a `GuestSampler`.
    public var keepsPlaces = false
    /// Gets each translation that was made: its host address and size, and the linear address that its
    /// block ran at; nil: what all of them share. An address is used once in the process's life then, and
    /// lies in memory that the host's tools take for a just-in-time compiler's. Called with the lock of
    /// the code cache held: may take locks of rank `leaf` only.
    public var translated: (@Sendable (_ host: UInt64, _ byteCount: Int, _ guest: UInt64?) -> Void)?

    /// Nobody wants to know anything.
    public static let none = CodeObservation()

    public init() {}
}

/// Which instruction each byte of a translator's code belongs to. Owner: `Translator`; while the lock of
/// `CodeCache` is held.
struct TranslationPlaces {
    /// The code from here on belongs to the instruction at this byte of its page.
    struct Mark {
        var position: UInt32
        var pageOffset: UInt16
    }

    private var marks: [Mark] = []

    /// Takes the marks of a translation in, which lies behind all others.
    mutating func append(_ new: [Mark]) { marks += new }

    /// The place in its page of the instruction whose code is at `position`; nil: no instruction's.
    func pageOffset(at position: Int) -> UInt16? {
        var (low, high) = (0, marks.count)
        while low < high {
            let middle = (low + high) / 2
            if Int(marks[middle].position) <= position { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : marks[low - 1].pageOffset
    }
}

extension BlockTranslation {
    /// What is emitted from here on belongs to the instruction at `place`.
    mutating func mark(_ place: Place) {
        guard observation.keepsPlaces else { return }
        marks.append(
            TranslationPlaces.Mark(
                position: UInt32(truncatingIfNeeded: assembler.position),
                pageOffset: unsafe place.op.pointee.pageOffset))
    }
}

extension CodeCache {
    /// The place in its page of the instruction that the translated code at a host address belongs to;
    /// nil: there is no translated code of an instruction.
    func pageOffset(of hostAddress: UInt64) -> UInt16? {
        contents.withLock { contents in
            for arena in contents.earlier + [contents.newest] {
                if let offset = arena.translator?.pageOffset(of: hostAddress) { return offset }
            }
            return nil
        }
    }
}
