/// A place in a translation's code that is not the same wherever the code lies and whichever decoded
/// blocks it belongs to.
///
/// There are two kinds, and each is emitted in one function: `Assembler.move(_:instruction:_:of:)`, and
/// `Assembler.bind(_:to:)` where it leads to one of `SharedRoutines`. Everything else of a translation
/// is constant or counts from the instruction that has it: jumps within, fields of `CPUState` by
/// register, offsets in the guest's page.
struct Relocation: Equatable, Sendable {
    enum Target: Equatable, Sendable {
        /// Eight bytes: the address of a decoded instruction of one of the translation's blocks; 0 is the
        /// block's header.
        case instruction(Int, block: Int)
        /// Four bytes: the way from behind them to a routine at this offset of code memory.
        case routine(Int)
    }

    /// Offset of the first byte in code memory.
    var place: Int
    var target: Target
}

/// The relocations of the translation that is being made, if somebody wants to know them.
struct Relocations {
    private(set) var all: [Relocation] = []
    /// Whether they are kept; if not, noting one costs a comparison.
    private var isKept = false
    /// Routines lie before this offset.
    private var routinesEnd = 0

    mutating func keep(routinesEnd: Int) {
        isKept = true
        self.routinesEnd = routinesEnd
    }

    mutating func removeAll() { all.removeAll(keepingCapacity: true) }

    mutating func noteInstruction(at place: Int, _ index: Int, of block: Int) {
        if isKept {
            all.append(Relocation(place: place, target: .instruction(index, block: block)))
        }
    }

    mutating func noteWay(at place: Int, to offset: Int) {
        if isKept, offset < routinesEnd {
            all.append(Relocation(place: place, target: .routine(offset)))
        }
    }
}
