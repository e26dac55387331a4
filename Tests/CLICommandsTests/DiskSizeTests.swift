import Testing

@testable import CLICommands

@Suite struct DiskSizeTests {
    @Test(
        arguments: [
            ("512", 512), ("1K", 1024), ("10G", 10 << 30), ("2TiB", 2 << 40), ("3mb", 3 << 20),
            ("0", 0), ("1P", 1 << 50), ("512B", 512),
        ] as [(String, UInt64)])
    func sizes(text: String, count: UInt64) {
        #expect(DiskSize(argument: text)?.byteCount == count)
        #expect(DiskSizeChange(argument: text) == .to(count))
        #expect(DiskSizeChange(argument: "+" + text) == .more(count))
        #expect(DiskSizeChange(argument: "-" + text) == .less(count))
    }

    @Test(arguments: ["", "G", "1.5G", "1X", "16E", "99999999999999999999", "1 G", "--1", "+-1"])
    func wrongSizes(text: String) {
        #expect(DiskSize(argument: text) == nil)
        #expect(DiskSizeChange(argument: text) == nil)
    }

    @Test func changesOfSize() {
        #expect(DiskSizeChange.to(5).applied(to: 9) == 5)
        #expect(DiskSizeChange.more(5).applied(to: 9) == 14)
        #expect(DiskSizeChange.less(5).applied(to: 9) == 4)
        #expect(DiskSizeChange.less(10).applied(to: 9) == nil)
        #expect(DiskSizeChange.more(.max).applied(to: 9) == nil)
    }

    @Test func sizesForPeople() {
        #expect(ByteSize.text(10 << 30) == "10 GiB (10737418240 bytes)")
        #expect(ByteSize.text(1536) == "1.5 KiB (1536 bytes)")
        #expect(ByteSize.text(512) == "512 bytes")
        #expect(ByteSize.text((1 << 20) - 1) == "1 MiB (1048575 bytes)")
    }
}
