/// The functions and variables of a kernel, by address.
///
/// A value. Made once for a machine whose kernel's addresses somebody wants to read; looked up by any
/// thread.
public struct KernelSymbols: Sendable {
    /// First bytes, ascending; each with the end of its name in `names`.
    private var starts: [UInt64] = []
    private var nameEnds: [Int] = []
    private var names: [UInt8] = []

    /// Where a kernel's addresses begin: the last 2 GiB (Documentation/arch/x86/x86_64/mm.rst).
    public static let lowestAddress: UInt64 = 0xffff_ffff_8000_0000

    /// Knows nothing.
    public init() {}

    /// Reads the tables that a kernel has of itself for `/proc/kallsyms`.
    ///
    /// A kernel that is booted by its PVH entry runs where it was linked: it is the decompressor of a
    /// bzImage that moves it (CONFIG_RANDOMIZE_BASE), and that does not run.
    ///
    /// - Parameter kernel: a bzImage or an ELF file. One without tables, or with broken ones, gives no
    ///   symbols.
    public init(kernel: [UInt8]) {
        var image = kernel
        if BZImage.isRecognised(kernel), let payload = try? BZImage(kernel).payload,
            let unpacked = try? KernelDecompression.unpack(payload)
        {
            image = unpacked
        }
        self.init(KallsymsTable(image)?.symbols ?? [])
    }

    /// - Parameter symbols: in any order. Of several at one address the first is shown.
    init(_ symbols: [(address: UInt64, name: [UInt8])]) {
        let order = symbols.indices.sorted {
            (symbols[$0].address, $0) < (symbols[$1].address, $1)
        }
        starts.reserveCapacity(order.count)
        nameEnds.reserveCapacity(order.count)
        for index in order where symbols[index].address >= Self.lowestAddress {
            if starts.last == symbols[index].address { continue }
            starts.append(symbols[index].address)
            names += symbols[index].name
            nameEnds.append(names.count)
        }
    }

    /// Symbols at different addresses.
    public var count: Int { starts.count }

    /// The symbol that an address belongs to: what starts last before it. Nil before the first, and behind
    /// the last, where the kernel ends.
    public func index(of address: UInt64) -> Int? {
        guard let last = starts.last, address < last else { return nil }
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    /// What a symbol is called, and where it starts. `index` is one of `index(of:)`.
    public subscript(index: Int) -> (name: String, start: UInt64) {
        let start = index == 0 ? 0 : nameEnds[index - 1]
        return (String(decoding: names[start..<nameEnds[index]], as: UTF8.self), starts[index])
    }

    /// `clear_page_erms+0x7`; nil: nobody's.
    public func text(_ address: UInt64) -> String? {
        guard let index = index(of: address) else { return nil }
        let symbol = self[index]
        let offset = address &- symbol.start
        return offset == 0 ? symbol.name : symbol.name + "+0x" + String(offset, radix: 16)
    }
}
