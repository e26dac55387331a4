public import Vocabulary

/// An x86 ELF executable, 64-bit or 32-bit: the segments to load and the PVH entry, which is 32-bit code in
/// either.
public struct ELFImage: Sendable {
    /// One PT_LOAD: `fileBytes` at `physicalAddress`, then zeros up to `memoryByteCount`.
    public struct Segment: Sendable {
        public var physicalAddress: GuestPhysicalAddress
        public var fileBytes: ArraySlice<UInt8>
        public var memoryByteCount: UInt64
    }

    public let segments: [Segment]
    /// XEN_ELFNOTE_PHYS32_ENTRY: where 32-bit code starts; nil if the kernel has none.
    public let pvhEntry: UInt32?
    /// XEN_ELFNOTE_GUEST_OS: the kernel has Xen's interfaces (Linux: CONFIG_XEN).
    public let isXenGuest: Bool

    /// First byte after the highest segment.
    public var end: UInt64 {
        segments.map { $0.physicalAddress.rawValue &+ $0.memoryByteCount }.max() ?? 0
    }

    /// Throws `XError` with what is wrong.
    public init(_ bytes: [UInt8]) throws(XError) {
        let reader = ByteReader(bytes)
        guard reader.slice(0, 4) == [0x7f, 0x45, 0x4c, 0x46] else {
            throw Self.broken("it is no ELF file")
        }
        guard let layout = reader.integer(4, as: UInt8.self).flatMap(Layout.init(class:)),
            reader.integer(5, as: UInt8.self) == 1,
            let machine = reader.integer(18, as: UInt16.self)
        else { throw Self.broken("it is no little-endian ELF file") }
        guard machine == layout.machine else {
            throw XError(
                .unsupported,
                "the kernel is for another architecture (ELF machine \(machine)): give one for x86-64"
            )
        }
        guard let start = layout.word(reader, layout.tableOffset).flatMap({ Int(exactly: $0) }),
            let entrySize = reader.integer(layout.entrySize, as: UInt16.self),
            entrySize >= layout.smallestEntry,
            let count = reader.integer(layout.entrySize + 2, as: UInt16.self)
        else { throw Self.broken("its header is truncated") }
        var segments: [Segment] = []
        var entry: UInt32?
        var isXenGuest = false
        for index in 0..<Int(count) {
            guard start <= bytes.count else { throw Self.broken("it is truncated") }
            let base = start + index * Int(entrySize)
            guard let type = reader.integer(base, as: UInt32.self),
                let offset = layout.word(reader, base + layout.offset)
                    .flatMap({ Int(exactly: $0) }),
                let address = layout.word(reader, base + layout.physicalAddress),
                let fileSize = layout.word(reader, base + layout.fileSize)
                    .flatMap({ Int(exactly: $0) }),
                let memorySize = layout.word(reader, base + layout.memorySize)
            else { throw Self.broken("its program headers are truncated") }
            switch type {
            case 1:
                guard let content = reader.slice(offset, fileSize),
                    memorySize >= UInt64(fileSize), memorySize < 1 << 40, address < 1 << 46
                else { throw Self.broken("segment \(index) does not lie in the file") }
                segments.append(
                    Segment(
                        physicalAddress: GuestPhysicalAddress(address), fileBytes: content,
                        memoryByteCount: memorySize))
            case 4:
                if let notes = reader.slice(offset, fileSize) {
                    let known = Self.xenNotes(ByteReader(notes))
                    entry = entry ?? known.pvhEntry
                    if known.isGuest { isXenGuest = true }
                }
            default: break
            }
        }
        guard !segments.isEmpty else { throw Self.broken("it has nothing to load") }
        self.segments = segments
        pvhEntry = entry
        self.isXenGuest = isXenGuest
    }

    /// Where the fields lie in a file of each class (System V ABI, "Object Files"): offsets in bytes.
    private struct Layout {
        let wordByteCount: Int
        /// e_machine: EM_X86_64, EM_386.
        let machine: UInt16
        /// e_phoff.
        let tableOffset: Int
        /// e_phentsize; e_phnum follows.
        let entrySize: Int
        let smallestEntry: UInt16
        /// p_offset, p_paddr, p_filesz and p_memsz of a program header.
        let offset: Int
        let physicalAddress: Int
        let fileSize: Int
        let memorySize: Int

        /// Nil: of another class than ELFCLASS32 and ELFCLASS64.
        init?(class number: UInt8) {
            switch number {
            case 1:
                (wordByteCount, machine, tableOffset, entrySize) = (4, 3, 28, 42)
                smallestEntry = 32
                (offset, physicalAddress, fileSize, memorySize) = (4, 12, 16, 20)
            case 2:
                (wordByteCount, machine, tableOffset, entrySize) = (8, 62, 32, 54)
                smallestEntry = 56
                (offset, physicalAddress, fileSize, memorySize) = (8, 24, 32, 40)
            default: return nil
            }
        }

        func word(_ reader: ByteReader, _ offset: Int) -> UInt64? {
            wordByteCount == 8
                ? reader.integer(offset, as: UInt64.self)
                : reader.integer(offset, as: UInt32.self).map { UInt64($0) }
        }
    }

    private static func broken(_ detail: String) -> XError {
        XError(
            .invalidFormat,
            "the kernel cannot be loaded: \(detail); give an x86-64 bzImage or vmlinux with --kernel"
        )
    }

    /// Of xen/include/public/elfnote.h.
    private static func xenNotes(_ notes: ByteReader) -> (pvhEntry: UInt32?, isGuest: Bool) {
        var found: (pvhEntry: UInt32?, isGuest: Bool) = (nil, false)
        var offset = 0
        while let nameSize = notes.integer(offset, as: UInt32.self),
            let size = notes.integer(offset + 4, as: UInt32.self),
            let type = notes.integer(offset + 8, as: UInt32.self),
            nameSize < 1 << 20, size < 1 << 20
        {
            let name = offset + 12
            let description = name + ((Int(nameSize) + 3) & ~3)
            if notes.slice(name, 4) == [0x58, 0x65, 0x6e, 0x00] {
                if type == 18, found.pvhEntry == nil {
                    found.pvhEntry = notes.integer(description, as: UInt32.self)
                }
                if type == 6 { found.isGuest = true }
            }
            offset = description + ((Int(size) + 3) & ~3)
        }
        return found
    }
}
