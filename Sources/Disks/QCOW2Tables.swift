/// What an L2 entry says about a cluster of the guest.
enum ClusterMapping: Equatable {
    /// The backing image has it, or nobody.
    case absent
    /// It reads as zeros. The cluster of the file that is kept for it, 0: none.
    case zero(UInt64)
    /// It is at this byte of the file. `isOwned`: nothing else refers to that cluster.
    case data(UInt64, isOwned: Bool)
    /// It is packed, from this byte of the file on, in at most so many bytes.
    case compressed(UInt64, byteCount: Int)
    /// The entry points where nothing can be.
    case broken

    static let copied: UInt64 = 1 << 63
    private static let compressedFlag: UInt64 = 1 << 62
    static let zeroFlag: UInt64 = 1

    init(_ entry: UInt64, _ header: QCOW2Header) {
        if entry & Self.compressedFlag != 0 {
            let bits = UInt64(62 - (header.clusterBits - 8))
            let offset = entry & ((1 &<< bits) &- 1)
            let sectors = (entry & (Self.compressedFlag &- 1)) >> bits &+ 1
            guard offset <= QCOW2Header.offsetMask else {
                self = .broken
                return
            }
            self = .compressed(offset, byteCount: Int(sectors) * 512 - Int(offset & 511))
            return
        }
        let offset = entry & QCOW2Header.offsetMask
        if offset != 0, !header.isTable(offset) {
            self = .broken
        } else if header.version >= 3, entry & Self.zeroFlag != 0 {
            self = .zero(offset)
        } else if offset == 0 {
            self = .absent
        } else {
            self = .data(offset, isOwned: entry & Self.copied != 0)
        }
    }
}

/// A table of the image in memory: an L2 table or a refcount block.
///
/// Owner: its cache; on the image's executor.
final class QCOW2Table {
    let offset: UInt64
    let buffer: IOBuffer
    private let unit: Int
    /// Pieces of `unit` bytes that differ from the file.
    private(set) var dirtyUnits: Set<Int> = []
    var lastUse: UInt64 = 0

    init(offset: UInt64, buffer: IOBuffer, unit: Int) {
        self.offset = offset
        self.buffer = buffer
        self.unit = unit
    }

    var isDirty: Bool { !dirtyUnits.isEmpty }

    func entry(_ index: Int) -> UInt64 { buffer.load64(index &* 8) }

    func setEntry(_ index: Int, _ value: UInt64) {
        buffer.store64(index &* 8, value)
        dirtyUnits.insert(index &* 8 / unit)
    }

    func markAllDirty() { dirtyUnits = Set(0..<max(buffer.byteCount / unit, 1)) }
    func markClean() { dirtyUnits = [] }

    func refcount(_ index: Int, order: Int) -> UInt64 {
        switch order {
        case 4: return UInt64(buffer.load16(index &* 2))
        case 5: return UInt64(buffer.load32(index &* 4))
        case 6: return buffer.load64(index &* 8)
        case 3: return UInt64(buffer[index])
        default:
            let bits = 1 << order
            let shift = (index &* bits) & 7
            return UInt64(buffer[index &* bits / 8] >> UInt8(shift)) & ((1 << UInt64(bits)) - 1)
        }
    }

    func setRefcount(_ index: Int, _ value: UInt64, order: Int) {
        let bits = 1 << order
        switch order {
        case 4: buffer.store16(index &* 2, UInt16(truncatingIfNeeded: value))
        case 5: buffer.store32(index &* 4, UInt32(truncatingIfNeeded: value))
        case 6: buffer.store64(index &* 8, value)
        case 3: buffer[index] = UInt8(truncatingIfNeeded: value)
        default:
            let shift = UInt8((index &* bits) & 7)
            let mask = UInt8((1 << bits) - 1) << shift
            let byte = index &* bits / 8
            buffer[byte] =
                buffer[byte] & ~mask | (UInt8(truncatingIfNeeded: value) << shift & mask)
        }
        dirtyUnits.insert(index &* bits / 8 / unit)
    }

    /// The dirty pieces, neighbours together: byte in the table and byte count.
    var dirtyRanges: [(offset: Int, byteCount: Int)] {
        var result: [(offset: Int, byteCount: Int)] = []
        for index in dirtyUnits.sorted() {
            let start = index * unit
            if let last = result.last, last.offset + last.byteCount == start {
                result[result.count - 1].byteCount += unit
            } else {
                result.append((start, unit))
            }
        }
        return result
    }
}

/// Tables by their place in the file, the ones not used for long dropped once they are many.
struct QCOW2TableCache {
    private var tables: [UInt64: QCOW2Table] = [:]
    private var clock: UInt64 = 0
    let most: Int

    init(most: Int) { self.most = most }

    mutating func find(_ offset: UInt64) -> QCOW2Table? {
        guard let table = tables[offset] else { return nil }
        clock &+= 1
        table.lastUse = clock
        return table
    }

    mutating func insert(_ table: QCOW2Table) {
        clock &+= 1
        table.lastUse = clock
        tables[table.offset] = table
    }

    var dirty: [QCOW2Table] {
        tables.values.filter(\.isDirty).sorted { $0.offset < $1.offset }
    }

    /// Makes room for one more. False: everything is dirty.
    mutating func makeRoom() -> Bool {
        while tables.count >= most {
            guard
                let oldest = tables.values.filter({ !$0.isDirty }).min(by: {
                    $0.lastUse < $1.lastUse
                })
            else { return false }
            tables[oldest.offset] = nil
        }
        return true
    }
}
