internal import CFuzzHost

/// Files that are nearly kernels.
enum KernelFile {
    static func make(_ random: inout FuzzRandom) -> [UInt8] {
        if random.chance(32) { return random.bytes(random.below(4096)) }
        var elf = executable(&random)
        if random.chance(2) { mutate(&elf, &random) }
        if random.chance(4) { return elf }
        var payload =
            random.chance(400) ? bomb(&random) : packed(elf, format: random.below(4)) ?? elf
        if random.chance(16) { payload = elf }
        if random.chance(2) { mutate(&payload, &random) }
        var image = bzImage(payload, &random)
        if random.chance(3) { mutate(&image, &random) }
        return image
    }

    // MARK: ELF

    /// Program headers, a note and some content; each number is sometimes not what it should be.
    private static func executable(_ random: inout FuzzRandom) -> [UInt8] {
        let count = random.chance(16) ? 2 + random.below(200) : 2 + random.below(4)
        let content = random.bytes(16 + random.below(3000))
        let note = self.note(&random)
        let table = 64
        let noteOffset = UInt64(table + count * 56)
        let contentOffset = noteOffset + UInt64(note.count)
        func odd(_ value: UInt64) -> UInt64 { random.chance(24) ? random.interesting() : value }

        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        bytes += littleEndian(2, 2) + littleEndian(random.chance(64) ? odd(62) : 62, 2)
        bytes += littleEndian(1, 4) + littleEndian(0x10_0000, 8)
        bytes += littleEndian(odd(UInt64(table)), 8) + littleEndian(0, 12)
        bytes +=
            littleEndian(64, 2) + littleEndian(odd(56), 2) + littleEndian(odd(UInt64(count)), 2)
        bytes += littleEndian(0, 6)
        for index in 0..<count {
            let isNote = index == count - 1
            let size = isNote ? UInt64(note.count) : UInt64(content.count)
            bytes += littleEndian(isNote ? 4 : 1, 4) + littleEndian(5, 4)
            bytes += littleEndian(odd(isNote ? noteOffset : contentOffset), 8)
            bytes += littleEndian(odd(0x10_0000), 8)
            bytes += littleEndian(odd(0x10_0000 + random.below(UInt64(8 << 20))), 8)
            bytes += littleEndian(odd(size), 8)
            bytes += littleEndian(odd(size + random.below(UInt64(12 << 20))), 8)
            bytes += littleEndian(4096, 8)
        }
        return bytes + note + content
    }

    private static func note(_ random: inout FuzzRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<random.below(3) {
            let size = random.below(24)
            bytes += littleEndian(4, 4) + littleEndian(UInt64(size), 4) + littleEndian(6, 4)
            bytes += [0x47, 0x4e, 0x55, 0] + random.bytes((size + 3) & ~3)
        }
        bytes += littleEndian(4, 4) + littleEndian(random.chance(16) ? random.next() : 4, 4)
        return bytes + littleEndian(18, 4) + [0x58, 0x65, 0x6e, 0] + littleEndian(0x10_0040, 4)
    }

    // MARK: Payloads

    static func packed(_ bytes: [UInt8], format: Int) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: bytes.count * 2 + 4096)
        // SAFETY: both buffers live as long as the call and are as long as said.
        let count = unsafe bytes.withUnsafeBufferPointer { source in
            unsafe room.withUnsafeMutableBufferPointer { target in
                unsafe fuzz_pack(
                    Int32(format), source.baseAddress, source.count, target.baseAddress,
                    target.count)
            }
        }
        return count == 0 ? nil : Array(room[..<count])
    }

    /// A small zstd frame of run-length blocks that unpacks to hundreds of MiB (RFC 8878, 3.1.1.2).
    private static func bomb(_ random: inout FuzzRandom) -> [UInt8] {
        var bytes: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]
        let count = 3000 + random.below(3000)
        for index in 0..<count {
            let isLast: UInt64 = index == count - 1 ? 1 : 0
            bytes += littleEndian(isLast | 1 << 1 | (128 << 10) << 3, 3) + [0x7f]
        }
        return bytes
    }

    // MARK: bzImage

    private static func bzImage(_ payload: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
        let sectors = random.chance(8) ? random.below(256) : 1
        let start = ((sectors == 0 ? 4 : sectors) + 1) * 512
        var bytes = [UInt8](repeating: 0, count: start)
        func put(_ offset: Int, _ value: UInt64, _ count: Int) {
            bytes.replaceSubrange(offset..<offset + count, with: littleEndian(value, count))
        }
        put(0x1f1, UInt64(sectors), 1)
        put(0x1fe, 0xaa55, 2)
        put(0x202, 0x5372_6448, 4)
        put(0x206, random.chance(32) ? random.next() : 0x20f, 2)
        put(0x211, random.chance(32) ? random.next() : 1, 1)
        let gap = random.chance(4) ? random.below(64) : 0
        put(0x248, random.chance(32) ? random.interesting() : UInt64(gap), 4)
        put(0x24c, random.chance(32) ? random.interesting() : UInt64(payload.count), 4)
        return bytes + random.bytes(gap) + payload + random.bytes(random.below(16))
    }

    // MARK: Mutation

    /// A few bits, bytes, words, cuts and copies.
    static func mutate(_ bytes: inout [UInt8], _ random: inout FuzzRandom) {
        for _ in 0..<1 + random.below(6) {
            guard !bytes.isEmpty else { return }
            // Headers are at the beginning.
            let area = random.chance(2) ? min(bytes.count, 256) : bytes.count
            let place = random.below(area)
            switch random.below(7) {
            case 0: bytes[place] ^= 1 << UInt8(random.below(8))
            case 1: bytes[place] = random.byte()
            case 2, 3:
                let word = littleEndian(random.interesting(), random.pick([2, 4, 8]))
                for (offset, byte) in word.enumerated() where place + offset < bytes.count {
                    bytes[place + offset] = byte
                }
            case 4:
                if random.chance(3) { bytes.removeSubrange(place...) }
            case 5:
                let end = min(bytes.count, place + random.below(32))
                bytes.removeSubrange(place..<end)
            default:
                let end = min(bytes.count, place + random.below(64))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.below(bytes.count))
            }
        }
    }
}
