/// The tables that a Linux kernel of 6.1 or newer, built with CONFIG_KALLSYMS, has of its own symbols
/// (scripts/kallsyms.c and kernel/kallsyms.c of its source).
///
/// Names are strings of tokens, one byte each. Nothing says where the tables are, and stock kernels have
/// no sections left: they are found by what has to be in them, and taken only if they fit together.
/// Up to 6.3 they are `offsets, relative_base, num_syms, names, markers, token_table, token_index`, later
/// `num_syms, names, markers, token_table, token_index, offsets, relative_base`; since 7.0 an offset
/// counts from where it stands and there is no `relative_base`.
struct KallsymsTable {
    /// In the table's order, with the type letter cut off.
    private(set) var symbols: [(address: UInt64, name: [UInt8])] = []

    /// How many symbols a kernel may have.
    private static let counts: ClosedRange<UInt64> = 256...4_000_000
    /// Bytes between names and tokens for each symbol: a name with its length, and up to three more.
    private static let lengths = 2...64
    /// How far before the tokens the names may begin: those of 7.2 with Rust are 3.3 MB.
    private static let searchedByteCount = 32 << 20

    private let image: [UInt8]
    private let reader: ByteReader

    /// - Parameter image: an ELF file. Nil: it has no such tables, or none that are whole.
    init?(_ image: [UInt8]) {
        self.image = image
        reader = ByteReader(image)
        var from = 0
        while let digits = Self.findDigits(in: image, from: from) {
            from = digits + 1
            guard let tokens = Tokens(image, digits: digits), let names = names(tokens),
                let addresses = addresses(names, tokens)
            else { continue }
            symbols.reserveCapacity(names.count)
            var position = names.start
            for address in addresses {
                guard let name = entry(&position) else { return nil }
                // The first character is the type.
                symbols.append((address, Array(tokens.expand(image[name]).dropFirst())))
            }
            return
        }
        return nil
    }

    // MARK: Tokens

    /// `token_table` and `token_index`.
    private struct Tokens {
        private(set) var texts: [ArraySlice<UInt8>] = []
        /// It begins with a letter, as the type does that a name begins with.
        private(set) var isType: [Bool] = []
        /// It has nothing but characters of names.
        private(set) var isPrintable: [Bool] = []
        private(set) var start = 0
        private(set) var end = 0

        /// - Parameter digits: where the token "0" may be. Characters that names have are tokens with the
        ///   number of the character.
        init?(_ image: [UInt8], digits: Int) {
            let reader = ByteReader(image)
            guard let behind = Self.skip(256 - 48, in: image, from: digits) else { return nil }
            // Aligned to 4 bytes since 6.4, to 8 before.
            let places = [(behind + 3) & ~3, (behind + 7) & ~7]
            for place in places {
                let index = (0..<256).compactMap {
                    reader.integer(place + $0 * 2, as: UInt16.self).map(Int.init)
                }
                guard index.count == 256, index[0] == 0, index[48] <= digits else { continue }
                start = digits - index[48]
                texts = index.compactMap { offset in
                    let first = start + offset
                    guard first < behind,
                        let length = image[first..<behind].firstIndex(of: 0)
                    else { return nil }
                    return image[first..<length]
                }
                end = place + 512
                guard texts.count == 256, Self.followEachOther(index, texts) else { continue }
                isType = texts.map { text in
                    guard let first = text.first else { return false }
                    return first | 0x20 >= UInt8(ascii: "a") && first | 0x20 <= UInt8(ascii: "z")
                }
                isPrintable = texts.map { $0.allSatisfy { $0 > 0x20 && $0 < 0x7f } }
                return
            }
            return nil
        }

        private static func followEachOther(
            _ index: [Int], _ texts: [ArraySlice<UInt8>]
        ) -> Bool {
            (1..<256).allSatisfy { index[$0] == index[$0 - 1] + texts[$0 - 1].count + 1 }
        }

        /// Behind `count` strings.
        private static func skip(_ count: Int, in image: [UInt8], from start: Int) -> Int? {
            var position = start
            for _ in 0..<count {
                let limit = min(position + 1024, image.count)
                guard position < limit, let end = image[position..<limit].firstIndex(of: 0)
                else { return nil }
                position = end + 1
            }
            return position
        }

        /// The name with its type.
        func expand(_ name: ArraySlice<UInt8>) -> [UInt8] {
            var result: [UInt8] = []
            for token in name { result += texts[Int(token)] }
            return result
        }
    }

    // MARK: Names

    private struct Names {
        var start: Int
        var count: Int
        /// Where the number of symbols stands.
        var head: Int
    }

    /// Looks backwards for a number of symbols with that many names behind it, and behind those the place
    /// of each 256th.
    private func names(_ tokens: Tokens) -> Names? {
        let last = max(0, tokens.start - Self.searchedByteCount)
        for head in stride(from: tokens.start & ~3, to: last, by: -4) {
            guard let number = reader.integer(head, as: UInt32.self),
                Self.counts.contains(UInt64(number)),
                Self.lengths.contains((tokens.start - head) / Int(number))
            else { continue }
            // Before 6.4 what follows is aligned to 8.
            for start in [head + 4, head + 8] {
                let names = Names(start: start, count: Int(number), head: head)
                if areNames(names, tokens) { return names }
            }
        }
        return nil
    }

    private func areNames(_ names: Names, _ tokens: Tokens) -> Bool {
        var position = names.start
        // A type and a name: cheap to see, and hardly ever true of anything else.
        for _ in 0..<32 {
            guard let name = entry(&position), tokens.isType[Int(image[name.lowerBound])],
                name.allSatisfy({ tokens.isPrintable[Int(image[$0])] })
            else { return false }
        }
        position = names.start
        var marks: [Int] = []
        for index in 0..<names.count {
            if index % 256 == 0 { marks.append(position - names.start) }
            guard entry(&position) != nil, position <= tokens.start else { return false }
        }
        return [(position + 3) & ~3, (position + 7) & ~7].contains { place in
            marks.enumerated().allSatisfy {
                reader.integer(place + $0.offset * 4, as: UInt32.self) == UInt32($0.element)
            }
        }
    }

    /// Where the tokens of the name at `position` are, which moves on to the next: behind one byte of
    /// length, or two with seven bits in the first.
    private func entry(_ position: inout Int) -> Range<Int>? {
        guard position < image.count else { return nil }
        var length = Int(image[position])
        var start = position + 1
        if length & 0x80 != 0 {
            guard start < image.count else { return nil }
            length = length & 0x7f | Int(image[start]) << 7
            start += 1
        }
        guard length > 0, length <= image.count - start else { return nil }
        position = start + length
        return start..<position
    }

    // MARK: Addresses

    /// The table of offsets is before or behind all others; which one, and what it counts from, shows in
    /// addresses that ascend.
    private func addresses(_ names: Names, _ tokens: Tokens) -> [UInt64]? {
        let byteCount = (names.count * 4 + 7) & ~7
        for start in [names.head - 8 - byteCount, tokens.end, (tokens.end + 7) & ~7] {
            let offsets = (0..<names.count).compactMap {
                reader.integer(start + $0 * 4, as: UInt32.self)
            }
            guard offsets.count == names.count else { continue }
            let attempts =
                fromBase(offsets, behind: (start + names.count * 4 + 7) & ~7)
                + fromThemselves(offsets, at: start)
            if let found = attempts.first(where: { Self.areAddresses($0) }) { return found }
        }
        return nil
    }

    /// With a `relative_base` at `behind`. To be tried first: what ascends from one place ascends from its
    /// own places too, and no table that counts from its own places ascends from one.
    private func fromBase(_ offsets: [UInt32], behind: Int) -> [[UInt64]] {
        guard let base = reader.integer(behind, as: UInt64.self),
            base >= KernelSymbols.lowestAddress
        else { return [] }
        // CONFIG_KALLSYMS_ABSOLUTE_PERCPU, up to 6.14: what is not negative is an address.
        return [
            offsets.map { base &+ UInt64($0) },
            offsets.map { $0 >> 31 == 0 ? UInt64($0) : base &- 1 &- Self.extended($0) },
        ]
    }

    private func fromThemselves(_ offsets: [UInt32], at start: Int) -> [[UInt64]] {
        guard let here = linearAddress(start) else { return [] }
        return [
            offsets.enumerated().map {
                here &+ UInt64($0.offset * 4) &+ Self.extended($0.element)
            }
        ]
    }

    private static func extended(_ offset: UInt32) -> UInt64 {
        UInt64(bitPattern: Int64(Int32(bitPattern: offset)))
    }

    /// Nearly all are a kernel's, in ascending order; some are places in a processor's own variables.
    private static func areAddresses(_ addresses: [UInt64]) -> Bool {
        let wanted = addresses.count - addresses.count / 20
        let own = addresses.filter { $0 >= KernelSymbols.lowestAddress }
        // Not all the same either.
        guard own.count >= wanted, let first = own.first, own.last != first else { return false }
        return zip(own, own.dropFirst()).allSatisfy { $0 <= $1 }
    }

    /// The address that the byte at an offset of the file is linked to.
    private func linearAddress(_ offset: Int) -> UInt64? {
        guard let table = reader.integer(32, as: UInt64.self).flatMap({ Int(exactly: $0) }),
            let size = reader.integer(54, as: UInt16.self), size >= 56,
            let count = reader.integer(56, as: UInt16.self), table <= image.count
        else { return nil }
        for index in 0..<Int(count) {
            let header = table + index * Int(size)
            guard reader.integer(header, as: UInt32.self) == 1,
                let start = reader.integer(header + 8, as: UInt64.self),
                let address = reader.integer(header + 16, as: UInt64.self),
                let length = reader.integer(header + 32, as: UInt64.self)
            else { continue }
            let distance = UInt64(clamping: offset) &- start
            if offset >= 0, distance < length { return address &+ distance }
        }
        return nil
    }

    /// Where the tokens of the ten digits may be next.
    private static func findDigits(in image: [UInt8], from start: Int) -> Int? {
        // "0", "1", "2", "3", each with its end.
        let wanted: UInt64 = 0x0033_0032_0031_0030
        return unsafe image.withUnsafeBytes { bytes in
            var position = start
            while position + 8 <= bytes.count {
                // SAFETY: eight bytes are there.
                if unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) == wanted {
                    return position
                }
                position += 1
            }
            return nil
        }
    }
}
