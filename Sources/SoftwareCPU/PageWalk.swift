internal import CEngine
internal import GuestMemory

// Page tables (SDM volume 3, chapter 4): 32-bit, PAE, 4-level; accessed and dirty bits are set
// with compare-and-swap on the guest's own entries.

enum Access {
    case read
    case write
    case execute
}

struct Translation {
    var physical: UInt64
    /// Rights of the page under the mode of the walk.
    var writable: Bool
    var dirty: Bool
    var global: Bool
    /// Its size is 1 << this.
    var pageShift: UInt8
}

/// Result of a walk: a translation, or the error code of the #PF it deserves.
enum WalkResult {
    case present(Translation)
    case fault(errorCode: UInt16)
    /// A table lies in the page at this address, which is absent. The page that the walk leads to may be
    /// too: that is for the caller to ask.
    case absent(UInt64)
}

private enum PTE {
    static let present: UInt64 = 1 << 0
    static let writable: UInt64 = 1 << 1
    static let user: UInt64 = 1 << 2
    static let accessed: UInt64 = 1 << 5
    static let dirty: UInt64 = 1 << 6
    static let large: UInt64 = 1 << 7
    static let global: UInt64 = 1 << 8
    static let noExecute: UInt64 = 1 << 63
    static let address: UInt64 = 0x000f_ffff_ffff_f000
}

/// Bits of physical address the model has: CPUID 0x80000008.
let physicalAddressBits: UInt64 = 46
private let reservedAddress: UInt64 = PTE.address & ~((1 << physicalAddressBits) - 1)

/// PAE paging outside IA-32e mode: bits 62 to 52.
private let reservedInPAE: UInt64 = 0x7ff0_0000_0000_0000

/// Bits 2:1, 8:5 and 63:46 of a PDPTE.
private let reservedInPDPTE: UInt64 = 0x1e6 | ~((1 << physicalAddressBits) - 1)

/// PAE paging outside IA-32e mode: loads the four PDPTEs, if they are good (SDM volume 3, 4.4.1).
/// False: #GP(0), or an absence is recorded; nothing has changed.
@discardableResult
func reloadPageDirectoryPointers(_ cpu: CPU) -> Bool {
    if unsafe cpu.pointee.cr0 & CR0.pg == 0 || cpu.pointee.cr4 & CR4.pae == 0
        || cpu.pointee.efer & EFER.lma != 0
    {
        return true
    }
    let engine = unsafe context(cpu)
    let start = unsafe cpu.pointee.cr3 & 0xffff_ffe0
    if isTableAbsent(engine, start) {
        unsafe recordAbsence(cpu, start)
        return false
    }
    var entries: [UInt64] = []
    for index in 0..<UInt64(4) {
        guard let slot = unsafe table(cpu, engine, start &+ index &* 8, true) else {
            entries.append(0)
            continue
        }
        let entry = unsafe slot.load(as: UInt64.self)
        if entry & PTE.present != 0, entry & reservedInPDPTE != 0 { return false }
        entries.append(entry)
    }
    for (index, entry) in entries.enumerated() {
        unsafe (cpu.bytes + Int(CPU_OFFSET_PDPTE)).storeBytes(
            of: entry, toByteOffset: index &* 8, as: UInt64.self)
    }
    return true
}

private func table(_ cpu: CPU, _ engine: EngineContext, _ address: UInt64, _ wide: Bool)
    -> UnsafeMutableRawPointer?
{
    unsafe engine.memory.contains(address, wide ? 8 : 4)
        ? engine.hostBase + Int(truncatingIfNeeded: address) : nil
}

/// Whether the page with a table is absent; one that is not counts as written, for the walk may set bits.
private func isTableAbsent(_ engine: EngineContext, _ address: UInt64) -> Bool {
    guard let residency = engine.memory.residency else { return false }
    if engine.memory.isAbsent(address) { return true }
    residency.note([.accessed, .written], address &>> 12)
    return false
}

/// Walks the guest's tables for `address`, setting accessed and dirty bits. `mode` as in
/// `AccessMode`; `implicit` supervisor accesses (descriptor tables, TSS) come as `supervisorToUser`.
func walk(
    _ cpu: CPU, _ engine: EngineContext, _ address: UInt64, _ access: Access, mode: UInt64
) -> WalkResult {
    let cr0 = unsafe cpu.pointee.cr0
    let cr4 = unsafe cpu.pointee.cr4
    if cr0 & CR0.pg == 0 {
        return .present(
            Translation(
                physical: address & 0xffff_f000, writable: true, dirty: true, global: false,
                pageShift: 12))
    }
    let user = mode == AccessMode.user
    let long = unsafe cpu.pointee.efer & EFER.lma != 0
    let nxe = unsafe cpu.pointee.efer & EFER.nxe != 0
    var code: UInt16 = access == .write ? 2 : 0
    if user { code |= 4 }
    if access == .execute, nxe || cr4 & CR4.smep != 0 { code |= 16 }
    let pae = cr4 & CR4.pae != 0
    var level: UInt64
    var tableAddress: UInt64
    var rights = PTE.writable | PTE.user
    var noExecute = false
    if long {
        level = 4
        tableAddress = unsafe cpu.pointee.cr3 & PTE.address
    } else if pae {
        let entry = unsafe (cpu.bytes + Int(CPU_OFFSET_PDPTE)).load(
            fromByteOffset: Int(truncatingIfNeeded: (address &>> 30) & 3) &* 8, as: UInt64.self)
        if entry & PTE.present == 0 { return .fault(errorCode: code) }
        tableAddress = entry & PTE.address
        level = 2
    } else {
        while true {
            let result = unsafe walk32(
                cpu, engine, address, access, user: user, mode: mode, code: code)
            if let result { return result }
        }
    }
    while true {
        let shift = 12 &+ (level &- 1) &* 9
        let index = (address &>> shift) & 511
        guard let slot = unsafe table(cpu, engine, tableAddress &+ index &* 8, true) else {
            return .fault(errorCode: code)
        }
        if isTableAbsent(engine, tableAddress) { return .absent(tableAddress) }
        let pointer = unsafe slot.assumingMemoryBound(to: UInt64.self)
        var entry = unsafe cengine_load64(pointer)
        while true {
            if entry & PTE.present == 0 { return .fault(errorCode: code) }
            var reserved = long ? reservedAddress : reservedAddress | reservedInPAE
            if !nxe { reserved |= PTE.noExecute }
            let leaf = level == 1 || (entry & PTE.large != 0 && level <= 3)
            if level == 4, entry & PTE.large != 0 { reserved |= PTE.large }
            if leaf, level > 1 { reserved |= ((1 &<< shift) &- 1) & 0xf_ffff_e000 }
            if entry & reserved != 0 { return .fault(errorCode: code | 9) }
            let allowed = rights & entry
            let nx = noExecute || entry & PTE.noExecute != 0
            if !leaf {
                if entry & PTE.accessed == 0 {
                    let wanted = entry | PTE.accessed
                    let seen = unsafe cengine_compare_exchange64(pointer, entry, wanted)
                    if seen != entry {
                        entry = seen
                        continue
                    }
                }
                rights = allowed
                noExecute = nx
                tableAddress = entry & PTE.address
                level &-= 1
                break
            }
            if unsafe !permitted(
                cpu, access, mode: mode, writable: allowed & PTE.writable != 0,
                user: allowed & PTE.user != 0, noExecute: nx)
            {
                return .fault(errorCode: code | 1)
            }
            let bits = PTE.accessed | (access == .write ? PTE.dirty : 0)
            if entry & bits != bits {
                let seen = unsafe cengine_compare_exchange64(pointer, entry, entry | bits)
                if seen != entry {
                    entry = seen
                    continue
                }
                entry |= bits
            }
            let span: UInt64 = 1 &<< shift
            let base = entry & PTE.address & ~(span &- 1)
            let writable = unsafe permitted(
                cpu, .write, mode: mode, writable: allowed & PTE.writable != 0,
                user: allowed & PTE.user != 0, noExecute: nx)
            return .present(
                Translation(
                    physical: base | (address & (span &- 1) & ~0xfff), writable: writable,
                    dirty: entry & PTE.dirty != 0,
                    global: entry & PTE.global != 0 && cr4 & CR4.pge != 0,
                    pageShift: UInt8(truncatingIfNeeded: shift)))
        }
    }
}

@inline(__always)
private func permitted(
    _ cpu: CPU, _ access: Access, mode: UInt64, writable: Bool, user: Bool, noExecute: Bool
) -> Bool {
    if mode == AccessMode.user {
        if !user { return false }
        switch access {
        case .read: return true
        case .write: return writable
        case .execute: return !noExecute
        }
    }
    switch access {
    case .execute:
        return unsafe !noExecute && !(user && cpu.pointee.cr4 & CR4.smep != 0)
    case .read, .write:
        if user, mode == AccessMode.supervisor, unsafe cpu.pointee.cr4 & CR4.smap != 0 {
            return false
        }
        return unsafe access == .read || writable || cpu.pointee.cr0 & CR0.wp == 0
    }
}

/// Nil: an entry has changed under the walk.
private func walk32(
    _ cpu: CPU, _ engine: EngineContext, _ address: UInt64, _ access: Access, user: Bool,
    mode: UInt64, code: UInt16
) -> WalkResult? {
    guard
        let slot = unsafe table(
            cpu, engine, (cpu.pointee.cr3 & 0xffff_f000) &+ ((address &>> 22) & 1023) &* 4, false)
    else { return .fault(errorCode: code) }
    let root = unsafe cpu.pointee.cr3 & 0xffff_f000
    if isTableAbsent(engine, root) { return .absent(root) }
    let directory = unsafe slot.assumingMemoryBound(to: UInt32.self)
    let first = unsafe UInt64(cengine_load32(directory))
    if first & PTE.present == 0 { return .fault(errorCode: code) }
    let large = unsafe first & PTE.large != 0 && cpu.pointee.cr4 & CR4.pse != 0
    // PSE-36: bits 20 to 13 are address bits 39 to 32.
    if large, first & (1 << 21) != 0 { return .fault(errorCode: code | 9) }
    var pointer = unsafe directory
    var rights = first & (PTE.writable | PTE.user)
    if !large {
        guard unsafe setBits(directory, UInt32(truncatingIfNeeded: first), UInt32(PTE.accessed))
        else { return nil }
        guard
            let leaf = unsafe table(
                cpu, engine, (first & 0xffff_f000) &+ ((address &>> 12) & 1023) &* 4, false)
        else { return .fault(errorCode: code) }
        if isTableAbsent(engine, first & 0xffff_f000) { return .absent(first & 0xffff_f000) }
        unsafe pointer = unsafe leaf.assumingMemoryBound(to: UInt32.self)
    }
    let entry = unsafe large ? first : UInt64(cengine_load32(pointer))
    if entry & PTE.present == 0 { return .fault(errorCode: code) }
    rights &= entry
    let writableBit = rights & PTE.writable != 0
    let userBit = rights & PTE.user != 0
    if unsafe !permitted(
        cpu, access, mode: mode, writable: writableBit, user: userBit, noExecute: false)
    {
        return .fault(errorCode: code | 1)
    }
    let bits = UInt32(PTE.accessed | (access == .write ? PTE.dirty : 0))
    guard unsafe setBits(pointer, UInt32(truncatingIfNeeded: entry), bits) else { return nil }
    let physical =
        large
        ? (entry & 0xffc0_0000) | ((entry & 0x1f_e000) &<< 19) | (address & 0x3f_f000)
        : entry & 0xffff_f000
    return unsafe .present(
        Translation(
            physical: physical,
            writable: permitted(
                cpu, .write, mode: mode, writable: writableBit, user: userBit, noExecute: false),
            dirty: (entry | UInt64(bits)) & PTE.dirty != 0,
            global: entry & PTE.global != 0 && cpu.pointee.cr4 & CR4.pge != 0,
            pageShift: large ? 22 : 12))
}

/// Sets accessed and dirty bits of an entry that is still what the walk has seen. False: another
/// processor has changed it meanwhile, and the walk has to begin again.
private func setBits(
    _ entry: UnsafeMutablePointer<UInt32>, _ seen: UInt32, _ bits: UInt32
) -> Bool {
    seen & bits == bits
        || (unsafe cengine_compare_exchange32(entry, seen, seen | bits)) == seen
}
