import Disks
import Testing
import Vocabulary

@Suite struct SpecificationTests {
    @Test func pathAlone() throws {
        let disk = try DiskSpecification(parsing: "a/b.img")
        #expect(disk == DiskSpecification(path: "a/b.img", format: .raw))
        #expect(!disk.isReadOnly && !disk.isDirect)
    }

    @Test func everyOption() throws {
        let disk = try DiskSpecification(
            parsing: "x,,y.qcow2,format=qcow2,readonly,direct,serial=a,,b 1,iops=500")
        #expect(disk.path == "x,y.qcow2")
        #expect(disk.format == .qcow2)
        #expect(disk.isReadOnly && disk.isDirect)
        #expect(disk.serial == "a,b 1")
        #expect(disk.requestsPerSecond == 500)
        #expect(try DiskSpecification(parsing: disk.description) == disk)
    }

    @Test func addressesAreNBD() throws {
        #expect(try DiskSpecification(parsing: "nbd://host/x").format == .nbd)
        #expect(try DiskSpecification(parsing: "nbd+unix:///?socket=/s,readonly").format == .nbd)
        #expect(try DiskSpecification(parsing: "./nbd://host").format == .raw)
    }

    @Test(arguments: [
        ("", "the disk '' has no path: write PATH[,format=..][,readonly]"),
        ("a,readonly,readonly", "the disk 'a' says 'readonly' twice: say it once"),
        ("a,readonly=yes", "the disk 'a' says 'readonly=yes': write ',readonly' or leave it out"),
        ("a,format=vmdk", "the disk 'a' has the format 'vmdk': there are raw, qcow2 and nbd"),
        ("a,format", "the disk 'a' has the format '': there are raw, qcow2 and nbd"),
        ("a,iops=0", "the disk 'a' has iops=0: give a number from 1 to 10000000"),
        ("a,iops=99999999999999999999", "iops=99999999999999999999"),
        ("a,serial=", "give 1 to 20 printable ASCII characters"),
        ("a,serial=123456789012345678901", "give 1 to 20 printable ASCII characters"),
        ("a,serial=\u{e9}", "give 1 to 20 printable ASCII characters"),
        ("a,b", "has no option 'b'"),
        ("a,", "has no option ''"),
        ("a,format=nbd", "'a' is no NBD URI"),
        ("nbd://x,format=raw", "cannot have format=raw"),
        ("nbd://x,direct", "leave ',direct' out"),
    ]) func mistakesAreNamed(_ text: String, _ words: String) {
        let error = #expect(throws: XError.self) { _ = try DiskSpecification(parsing: text) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("\n") == false)
    }
}
