internal import CEngine
internal import X86

/// Accesses off one register, or one pair of them, that lie so near to each other that one probe finds
/// them all.
///
/// The first of them probes the page that all of them are in, for the whole range; the others use
/// what it found, from a slot on the host's stack. Where the first does not hit, the interpreter runs
/// the block to its end. Nothing between the first and the last may run a handler and come back, because
/// a handler may replace the entry of the TLB, and then nobody would know that the vCPU still writes to
/// the page: see CodeCoherence.swift.
struct ProbeGroups {
    struct Group {
        /// Instructions of the translation, counted over all its blocks.
        var first: Int
        var last: Int
        var members = 1
        /// What all of them need, from the register's value at the first.
        var low: Int64
        var high: Int64
        var isWrite: Bool
        /// What has to be a multiple of `alignment`, from the register's value at the first; 0: nothing.
        var alignment: UInt8 = 0
        var alignedAt: Int64 = 0
        /// Which slot of the frame has what the probe found.
        var slot = 0

        var byteCount: Int { Int(high &- low) }

        /// Takes in that the bytes at `place` have to be aligned. False: not if the others are.
        fileprivate mutating func align(_ place: Int64, to byteCount: UInt8) -> Bool {
            if byteCount == 0 { return true }
            let common = alignment == 0 ? byteCount : min(alignment, byteCount)
            if alignment != 0, (place &- alignedAt) & Int64(common &- 1) != 0 { return false }
            if byteCount > alignment {
                alignment = byteCount
                alignedAt = place
            }
            return true
        }
    }

    /// What an instruction is in its group.
    enum Role {
        case alone
        /// It probes for all.
        case leader(Group)
        case member(Group)
    }

    struct Access {
        var operand: GuestAccess
        var isWrite: Bool
        /// The address has to be a multiple of this; 0: of nothing.
        var alignment: UInt8 = 0
    }

    /// Bytes that a group spans at most: the more, the more often it lies across two pages.
    private static let widest: Int64 = 512
    static let slotCount = 6

    /// What the accesses of a group have in common.
    private struct Origin: Equatable {
        var base: GuestAccess.Base
        var index: UInt8?
        var scaleShift: UInt8

        init(_ access: GuestAccess) {
            base = access.base
            index = access.index
            scaleShift = access.scaleShift
        }

        /// What the instruction adds to the address; nil: nobody knows.
        func addition(_ instruction: Instruction) -> Int64? {
            var sum: Int64 = 0
            if case .register(let number) = base {
                guard let added = Self.near(instruction.addition(to: number)) else { return nil }
                sum = added
            }
            if let index {
                guard let added = Self.near(instruction.addition(to: index)) else { return nil }
                sum &+= added &<< Int64(scaleShift)
            }
            return sum
        }

        private static func near(_ added: Int64?) -> Int64? {
            added.flatMap { $0.magnitude < 1 &<< 20 ? $0 : nil }
        }
    }

    private struct Open {
        var origin: Origin
        var group: Group
        /// What has been added to the address since the first.
        var added: Int64 = 0
    }

    private var open: [Open] = []
    /// Those that are finished; behind `end`, those that have several members and a slot.
    private var groups: [Group] = []
    /// For each instruction the first one of its group, or -1.
    private var firsts: [Int] = []

    /// Before the first instruction of a translation.
    mutating func begin() {
        open.removeAll(keepingCapacity: true)
        groups.removeAll(keepingCapacity: true)
        firsts.removeAll(keepingCapacity: true)
    }

    /// The next instruction of the translation, with its memory access if that may be part of a group (it
    /// has no segment); `isBarrier` if a handler runs there.
    mutating func add(_ instruction: Instruction?, _ access: Access?, isBarrier: Bool) {
        let index = firsts.count
        firsts.append(-1)
        guard let instruction, !isBarrier else { return closeAll() }
        if let access { firsts[index] = join(access, index) }
        follow(instruction)
    }

    /// Behind the last one.
    mutating func end() {
        closeAll()
        giveSlots()
    }

    func role(_ index: Int) -> Role {
        guard index < firsts.count, firsts[index] >= 0 else { return .alone }
        for group in groups where group.first == firsts[index] {
            return index == group.first ? .leader(group) : .member(group)
        }
        return .alone
    }

    /// The instruction uses what another one's probe has found.
    func isMember(_ index: Int) -> Bool {
        if case .member = role(index) { true } else { false }
    }

    /// What a group's probe has found is used behind instruction `index`.
    func isLive(behind index: Int) -> Bool {
        groups.contains { $0.first <= index && index < $0.last }
    }

    /// The first instruction of the group that the access belongs to now.
    private mutating func join(_ access: Access, _ index: Int) -> Int {
        let origin = Origin(access.operand)
        let place = open.firstIndex { $0.origin == origin }
        let low = access.operand.displacement &+ (place.map { open[$0].added } ?? 0)
        let high = low &+ Int64(access.operand.byteCount)
        if let place {
            var group = open[place].group
            group.low = min(group.low, low)
            group.high = max(group.high, high)
            if group.high &- group.low <= Self.widest, group.align(low, to: access.alignment) {
                group.last = index
                group.members += 1
                group.isWrite = group.isWrite || access.isWrite
                open[place].group = group
                return group.first
            }
            groups.append(open.remove(at: place).group)
        }
        let start = access.operand.displacement
        var group = Group(
            first: index, last: index, low: start, high: start &+ Int64(access.operand.byteCount),
            isWrite: access.isWrite)
        _ = group.align(start, to: access.alignment)
        open.append(Open(origin: origin, group: group))
        return index
    }

    /// Registers change.
    private mutating func follow(_ instruction: Instruction) {
        for place in open.indices.reversed() {
            if let added = open[place].origin.addition(instruction),
                abs(open[place].added) < 1 &<< 20
            {
                open[place].added &+= added
            } else {
                groups.append(open.remove(at: place).group)
            }
        }
    }

    private mutating func closeAll() {
        for each in open { groups.append(each.group) }
        open.removeAll(keepingCapacity: true)
    }

    /// Displacements of 32 bits reach both ends.
    private static func isEncodable(_ group: Group) -> Bool {
        group.low >= Int64(Int32.min) && group.high <= Int64(Int32.max)
    }

    /// Leaves groups of several, as far as there are slots.
    private mutating func giveSlots() {
        groups.removeAll { $0.members < 2 || !Self.isEncodable($0) }
        groups.sort { $0.first < $1.first }
        var count = 0
        for index in groups.indices {
            var group = groups[index]
            var taken = 0
            for other in groups[..<count] where other.last >= group.first {
                taken |= 1 &<< other.slot
            }
            group.slot = (~taken).trailingZeroBitCount
            if group.slot >= Self.slotCount { continue }
            groups[count] = group
            count &+= 1
        }
        groups.removeSubrange(count...)
    }
}
