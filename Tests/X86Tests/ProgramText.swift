import Glibc

/// The executable segments' first bytes of an ELF file on this host.
struct ProgramText {
    var bytes: [UInt8] = []
    var address: UInt64 = 0

    /// Nil: no such file, or no 64-bit ELF file.
    init?(path: String) {
        let file = unsafe open(path, O_RDONLY)
        if file < 0 { return nil }
        defer { close(file) }
        var image = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
        let count = unsafe image.withUnsafeMutableBytes {
            unsafe pread(file, $0.baseAddress, $0.count, 0)
        }
        guard count == image.count, count > 64, image[0..<5] == [0x7f, 0x45, 0x4c, 0x46, 2] else {
            return nil
        }
        func word(_ offset: Int, _ byteCount: Int) -> Int {
            guard offset >= 0, offset + byteCount <= image.count else { return 0 }
            return (0..<byteCount).reduce(0) { $0 | Int(image[offset + $1]) << ($1 * 8) }
        }
        let headers = word(32, 8)
        for number in 0..<word(56, 2) {
            let header = headers + number * word(54, 2)
            // PT_LOAD that is executable.
            guard word(header, 4) == 1, word(header + 4, 4) & 1 != 0 else { continue }
            let start = word(header + 8, 8)
            let end = min(start + word(header + 32, 8), image.count)
            guard start < end else { continue }
            bytes = Array(image[start..<end].prefix(1 << 20))
            address = UInt64(word(header + 16, 8))
            return
        }
        return nil
    }
}
