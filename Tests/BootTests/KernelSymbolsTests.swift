import Foundation
import Testing

@testable import Boot

@Suite struct KernelSymbolsTests {
    private static let base: UInt64 = 0xffff_ffff_8100_0000

    private static func symbols(_ list: [(UInt64, String)]) -> KernelSymbols {
        KernelSymbols(list.map { ($0.0, Array($0.1.utf8)) })
    }

    @Test func whatStartsLastBeforeAnAddressHasIt() {
        let symbols = Self.symbols([
            (Self.base + 0x100, "second"), (Self.base, "first"), (Self.base, "alias"),
            (0x40, "of each processor"), (Self.base + 0x180, "end"),
        ])
        #expect(symbols.count == 3)
        #expect(symbols.text(Self.base) == "first")
        #expect(symbols.text(Self.base + 0xff) == "first+0xff")
        #expect(symbols.text(Self.base + 0x100) == "second")
        #expect(symbols.text(Self.base + 0x17f) == "second+0x7f")
        for nobodys in [0, 0x40, Self.base - 1, Self.base + 0x180, UInt64.max] {
            #expect(symbols.text(nobodys) == nil)
            #expect(KernelSymbols().text(nobodys) == nil)
        }
    }

    @Test(arguments: KallsymsLayout.allCases)
    func tablesAreRead(layout: KallsymsLayout) {
        let image = SmallKallsyms(layout)
        let symbols = KernelSymbols(kernel: image.bytes)
        // The last one ends the kernel.
        #expect(symbols.count == SmallKallsyms.count)
        for number in [0, 1, 255, 256, 300, SmallKallsyms.count - 2] {
            let address = SmallKallsyms.address(number)
            #expect(symbols.text(address) == SmallKallsyms.name(number))
            #expect(symbols.text(address + 5) == SmallKallsyms.name(number) + "+0x5")
        }
    }

    /// A kernel is the user's file: whatever is in it, there are symbols or none.
    @Test(arguments: KallsymsLayout.allCases)
    func brokenTablesGiveNone(layout: KallsymsLayout) {
        let whole = SmallKallsyms(layout)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<40 {
            var bytes = whole.bytes
            bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
            _ = KernelSymbols(kernel: bytes)
            bytes = whole.bytes
            for _ in 0..<8 {
                let place = Int.random(in: bytes.indices, using: &generator)
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
            let symbols = KernelSymbols(kernel: bytes)
            for number in 0..<symbols.count { _ = symbols[number] }
        }
        // The numbers that say where everything is, at their extremes.
        for place in [32, 40, whole.head] + whole.tables {
            for value in [UInt8](arrayLiteral: 0, 0x7f, 0x80, 0xff) {
                var bytes = whole.bytes
                for offset in 0..<8 where place + offset < bytes.count {
                    bytes[place + offset] = value
                }
                _ = KernelSymbols(kernel: bytes)
            }
        }
        #expect(KernelSymbols(kernel: []).count == 0)
        #expect(KernelSymbols(kernel: [UInt8](repeating: 0, count: 100_000)).count == 0)
        #expect(
            KernelSymbols(
                kernel: Array(String(repeating: "0\u{0}1\u{0}2\u{0}3\u{0}", count: 99).utf8)
            )
            .count == 0)
    }

    /// The stock kernels of this machine's cache, as `martlet run` has unpacked them.
    @Test func stockKernelsHaveTheirSymbols() throws {
        let kernel = try KernelStore().kernel("debian")
        let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: kernel.path)))
        let symbols = KernelSymbols(kernel: image)
        #expect(symbols.count > 50_000)
        let names = (0..<symbols.count).map { symbols[$0].name }
        for name in ["start_kernel", "clear_page_erms", "do_syscall_64", "schedule"] {
            #expect(names.contains(name))
        }
    }
}

/// The orders of the tables, and what an offset counts from.
enum KallsymsLayout: CaseIterable, Sendable {
    /// Up to 6.3: offsets first, places of a processor's own variables as they are.
    case offsetsFirst
    /// 6.4 to 6.19: offsets last.
    case offsetsLast
    /// Since 7.0: offsets from where they stand.
    case offsetsFromThemselves
}

/// An ELF file with the tables of a kernel that has 600 symbols.
struct SmallKallsyms {
    static let count = 600
    static let base: UInt64 = 0xffff_ffff_8100_0000
    private static let fileStart = 0x1000

    private(set) var bytes: [UInt8]
    /// Where the number of symbols is.
    private(set) var head = 0
    /// Where each table begins.
    private(set) var tables: [Int] = []

    static func name(_ number: Int) -> String {
        // One is long enough for a length of two bytes.
        number == 300 ? String(repeating: "x", count: 200) : "symbol_\(number)"
    }

    static func address(_ number: Int) -> UInt64 { base + UInt64(number) * 0x40 }

    init(_ layout: KallsymsLayout) {
        bytes = [UInt8](repeating: 0, count: Self.fileStart)
        bytes.replaceSubrange(0..<6, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1])
        set(32, UInt64(64))
        set(54, UInt16(56))
        set(56, UInt16(1))
        set(64, UInt32(1))
        set(64 + 8, UInt64(Self.fileStart))
        set(64 + 16, Self.base)
        set(64 + 32, UInt64(1 << 20))
        if layout == .offsetsFirst {
            tables.append(bytes.count)
            for number in 0..<Self.count {
                let distance = Int32(truncatingIfNeeded: Self.address(number) &- Self.base)
                append(UInt32(bitPattern: -1 - distance))
            }
            align(8)
            append(Self.base)
        }
        head = bytes.count
        append(UInt32(Self.count))
        if layout == .offsetsFirst { align(8) }
        appendNames(layout == .offsetsFirst ? 8 : 4)
        switch layout {
        case .offsetsFirst: break
        case .offsetsLast:
            tables.append(bytes.count)
            for number in 0..<Self.count {
                append(UInt32(truncatingIfNeeded: Self.address(number) &- Self.base))
            }
            align(8)
            append(Self.base)
        case .offsetsFromThemselves:
            tables.append(bytes.count)
            for number in 0..<Self.count {
                let here = Self.base &+ UInt64(bytes.count - Self.fileStart)
                append(UInt32(truncatingIfNeeded: Self.address(number) &- here))
            }
        }
        bytes += [UInt8](repeating: 0, count: 64)
    }

    /// Tokens are characters, but for 1, which is "symbol_", and those that no name has.
    private mutating func appendNames(_ alignment: Int) {
        tables.append(bytes.count)
        let start = bytes.count
        var marks: [UInt32] = []
        for number in 0..<Self.count {
            if number % 256 == 0 { marks.append(UInt32(bytes.count - start)) }
            let name = Self.name(number)
            var tokens = Array("T".utf8)
            if name.hasPrefix("symbol_") {
                tokens.append(1)
                tokens += name.dropFirst(7).utf8
            } else {
                tokens += name.utf8
            }
            if tokens.count < 0x80 {
                bytes.append(UInt8(tokens.count))
            } else {
                bytes += [0x80 | UInt8(tokens.count & 0x7f), UInt8(tokens.count >> 7)]
            }
            bytes += tokens
        }
        align(alignment)
        tables.append(bytes.count)
        for mark in marks { append(mark) }
        align(alignment)
        tables.append(bytes.count)
        var index: [UInt16] = []
        let table = bytes.count
        for token in 0..<256 {
            index.append(UInt16(bytes.count - table))
            if token == 1 {
                bytes += Array("symbol_".utf8)
            } else if token > 0x20, token < 0x7f {
                bytes.append(UInt8(token))
            } else {
                bytes += Array("t\(token)".utf8)
            }
            bytes.append(0)
        }
        align(alignment)
        tables.append(bytes.count)
        for offset in index { append(offset) }
    }

    private mutating func align(_ alignment: Int) {
        while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        bytes += Self.littleEndian(value)
    }

    private mutating func set(_ offset: Int, _ value: some FixedWidthInteger) {
        let field = Self.littleEndian(value)
        bytes.replaceSubrange(offset..<(offset + field.count), with: field)
    }

    private static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        stride(from: 0, to: T.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
