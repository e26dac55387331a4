internal import CEngine
internal import X86

/// Accesses off one register that lie so near to each other that one probe finds them all.
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
        /// Which slot of the frame has what the probe found.
        var slot = 0

        var byteCount: Int { Int(high &- low) }
    }

    /// What an instruction is in its group.
    enum Role {
        case alone
        /// It probes for all.
        case leader(Group)
        case member(Group)
    }

    /// Bytes that a group spans at most: the more, the more often it lies across two pages.
    private static let widest: Int64 = 512
    static let slotCount = 6

    private struct Open {
        var base: GuestAccess.Base
        var group: Group
        /// What has been added to the register since the first.
        var added: Int64 = 0
    }

    private var open: [Open] = []
    private var finished: [Group] = []
    private var roles: [Role]

    /// - Parameter instructions: those of the translation, each with its memory access if that may be
    ///   part of a group (it has no index and no segment); `isBarrier` if a handler runs there.
    init(_ instructions: [(instruction: Instruction?, access: Access?, isBarrier: Bool)]) {
        roles = Array(repeating: .alone, count: instructions.count)
        var membership: [(index: Int, first: Int)] = []
        for (index, entry) in instructions.enumerated() {
            guard let instruction = entry.instruction, !entry.isBarrier else {
                closeAll()
                continue
            }
            if let access = entry.access { membership.append((index, join(access, index))) }
            follow(instruction)
        }
        closeAll()
        let chosen = Self.withSlots(finished)
        for (index, first) in membership {
            guard let group = chosen.first(where: { $0.first == first }) else { continue }
            roles[index] = index == first ? .leader(group) : .member(group)
        }
        groups = chosen
    }

    private var groups: [Group] = []

    struct Access {
        var operand: GuestAccess
        var isWrite: Bool
    }

    func role(_ index: Int) -> Role { index < roles.count ? roles[index] : .alone }

    /// What a group's probe has found is used behind instruction `index`.
    func isLive(behind index: Int) -> Bool {
        groups.contains { $0.first <= index && index < $0.last }
    }

    /// The first instruction of the group that the access belongs to now.
    private mutating func join(_ access: Access, _ index: Int) -> Int {
        let base = access.operand.base
        let place = open.firstIndex { $0.base == base }
        let low = access.operand.displacement &+ (place.map { open[$0].added } ?? 0)
        let high = low &+ Int64(access.operand.byteCount)
        if let place {
            var group = open[place].group
            group.low = min(group.low, low)
            group.high = max(group.high, high)
            if group.high &- group.low <= Self.widest {
                group.last = index
                group.members += 1
                group.isWrite = group.isWrite || access.isWrite
                open[place].group = group
                return group.first
            }
            finished.append(open.remove(at: place).group)
        }
        let start = access.operand.displacement
        open.append(
            Open(
                base: base,
                group: Group(
                    first: index, last: index, low: start,
                    high: start &+ Int64(access.operand.byteCount), isWrite: access.isWrite)))
        return index
    }

    /// Registers change.
    private mutating func follow(_ instruction: Instruction) {
        for place in open.indices.reversed() {
            guard case .register(let number) = open[place].base else { continue }
            if let added = instruction.addition(to: number), abs(added) < 1 &<< 20,
                abs(open[place].added) < 1 &<< 20
            {
                open[place].added &+= added
            } else {
                finished.append(open.remove(at: place).group)
            }
        }
    }

    private mutating func closeAll() {
        finished += open.map(\.group)
        open.removeAll()
    }

    /// Groups of several, as far as there are slots.
    private static func withSlots(_ groups: [Group]) -> [Group] {
        var result: [Group] = []
        for var group in groups.sorted(by: { $0.first < $1.first }) where group.members > 1 {
            let taken = result.filter { $0.last >= group.first }.map(\.slot)
            guard let slot = (0..<slotCount).first(where: { !taken.contains($0) }) else { continue }
            group.slot = slot
            result.append(group)
        }
        return result
    }
}
