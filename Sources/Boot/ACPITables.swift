public import GuestMemory
public import Vocabulary

/// The ACPI tables of a machine (ACPI specification 6.4, chapter 5), built for its processors.
public enum ACPITables {
    /// Where the tables lie, RSDP first: the BIOS area below 1 MiB.
    public static let base: UInt64 = 0xe_0000
    static let byteCount: UInt64 = 0x2_0000

    /// Writes all tables. Returns the address of the RSDP.
    ///
    /// - Parameter isXen: they say that there is no clock of a PC, as those of Xen do: a kernel that a boot
    ///   loader has started, and not the PVH entry, knows by this that it is a PVH guest
    ///   (Linux: arch/x86/xen/enlighten_hvm.c).
    public static func install(
        processorCount: Int, isXen: Bool = false, into memory: GuestMemory
    ) throws(XError) -> UInt64 {
        var next = base + 64
        func place(_ table: [UInt8]) -> UInt64 {
            let address = next
            _ = memory.write(GuestPhysicalAddress(address), table)
            next = (next + UInt64(table.count) + 63) & ~63
            return address
        }
        let facs = place(fixedControlStructure())
        let dsdt = place(table("DSDT", revision: 2, body: Definition.block()))
        let fadt = place(fixedDescription(facs: facs, dsdt: dsdt, isXen: isXen))
        let madt = place(interruptDescription(processorCount: processorCount))
        var pointers: [UInt8] = []
        for address in [fadt, madt] { append(&pointers, address, 8) }
        let xsdt = place(table("XSDT", revision: 1, body: pointers))
        guard next <= base + byteCount else {
            throw XError(
                .invalidArgument, "\(processorCount) vCPUs are more than the ACPI tables can hold")
        }
        _ = memory.write(GuestPhysicalAddress(base), rootPointer(xsdt))
        return base
    }

    static func append(_ bytes: inout [UInt8], _ value: UInt64, _ byteCount: Int) {
        for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 {
        0 &- bytes.reduce(0, &+)
    }

    /// Header of 36 bytes and body, with length and checksum.
    static func table(_ signature: String, revision: UInt8, body: [UInt8]) -> [UInt8] {
        var bytes = Array(signature.utf8)
        append(&bytes, UInt64(36 + body.count), 4)
        bytes += [revision, 0]
        bytes += Array("MARTLTMACHINE ".utf8)
        append(&bytes, 1, 4)
        bytes += Array("MRTL".utf8)
        append(&bytes, 1, 4)
        bytes += body
        bytes[9] = checksum(bytes[...])
        return bytes
    }

    private static func rootPointer(_ xsdt: UInt64) -> [UInt8] {
        var bytes = Array("RSD PTR ".utf8) + [0] + Array("MARTLT".utf8) + [2]
        append(&bytes, 0, 4)
        append(&bytes, 36, 4)
        append(&bytes, xsdt, 8)
        bytes += [0, 0, 0, 0]
        bytes[8] = checksum(bytes[0..<20])
        bytes[32] = checksum(bytes[...])
        return bytes
    }

    private static func fixedControlStructure() -> [UInt8] {
        var bytes = Array("FACS".utf8)
        append(&bytes, 64, 4)
        bytes += [UInt8](repeating: 0, count: 56)
        bytes[32] = 2
        return bytes
    }

    /// FADT, revision 5: PM1a, the PM timer, the reset register; no SMI, no VGA, no keyboard.
    private static func fixedDescription(facs: UInt64, dsdt: UInt64, isXen: Bool) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: 268 - 36)
        func put(_ offset: Int, _ value: UInt64, _ byteCount: Int) {
            for index in 0..<byteCount {
                body[offset - 36 + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
            }
        }
        func putPort(_ offset: Int, _ port: UInt64, bits: UInt64, access: UInt64) {
            put(offset, 1 | bits << 8 | access << 24, 4)
            put(offset + 4, port, 8)
        }
        put(36, facs, 4)
        put(40, dsdt, 4)
        put(46, 9, 2)
        put(56, 0x600, 4)
        put(64, 0x604, 4)
        put(76, 0x608, 4)
        put(88, 4, 1)
        put(89, 2, 1)
        put(91, 4, 1)
        put(96, 0xfff, 2)
        put(98, 0xfff, 2)
        put(108, 0x32, 1)
        // Legacy devices (UARTs, RTC); no VGA; no RTC.
        put(109, 0x1 | 0x4 | (isXen ? 0x20 : 0), 2)
        // WBINVD, C1, no sleep button, 32-bit timer, reset register.
        put(112, 0x1 | 0x4 | 0x20 | 0x100 | 0x400, 4)
        putPort(116, 0xcf9, bits: 8, access: 1)
        put(128, 6, 1)
        put(131, 1, 1)
        put(132, facs, 8)
        put(140, dsdt, 8)
        putPort(148, 0x600, bits: 32, access: 2)
        putPort(172, 0x604, bits: 16, access: 2)
        putPort(208, 0x608, bits: 32, access: 3)
        return table("FACP", revision: 5, body: body)
    }

    /// MADT: local APICs, one I/O APIC, the overrides of a PC.
    private static func interruptDescription(processorCount: Int) -> [UInt8] {
        var body: [UInt8] = []
        append(&body, 0xfee0_0000, 4)
        append(&body, 0, 4)
        for processor in 0..<processorCount {
            body += [
                0, 8, UInt8(truncatingIfNeeded: processor), UInt8(truncatingIfNeeded: processor),
            ]
            append(&body, 1, 4)
        }
        body += [1, 12, 0, 0]
        append(&body, 0xfec0_0000, 4)
        append(&body, 0, 4)
        // The timer's line 0 is at input 2; the system control interrupt is level, active high.
        body += [2, 10, 0, 0, 2, 0, 0, 0, 0, 0]
        body += [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0]
        // LINT1 is NMI on every processor.
        body += [4, 6, 0xff, 0, 0, 1]
        return table("APIC", revision: 4, body: body)
    }
}

/// AML of the definition block (ACPI 6.4, chapter 20).
private enum Definition {
    /// Power-off, and the serial ports with interrupt lines of their own.
    static func block() -> [UInt8] {
        name("_S5_", package([byte(5), byte(5), [0], [0]])) + scope("_SB_", devices())
    }

    private static func devices() -> [UInt8] {
        let ports: [(UInt16, UInt8)] = [(0x3f8, 4), (0x2f8, 3), (0x3e8, 10), (0x2e8, 11)]
        var bytes: [UInt8] = []
        for (index, (port, line)) in ports.enumerated() {
            bytes += device(
                "COM\(index + 1)", identifier: [0x0c, 0x41, 0xd0, 0x05, 0x01], index: index,
                resources: ioPorts(port, 8) + interrupt(line))
        }
        bytes += device(
            "RTC_", identifier: [0x0c, 0x41, 0xd0, 0x0b, 0x00], index: 0,
            resources: ioPorts(0x70, 2) + interrupt(8))
        return bytes
    }

    private static func device(
        _ title: String, identifier: [UInt8], index: Int, resources: [UInt8]
    ) -> [UInt8] {
        let buffer = resources + [0x79, 0]
        let body =
            Array(title.utf8) + name("_HID", identifier)
            + name("_UID", byte(UInt8(truncatingIfNeeded: index)))
            + name(
                "_CRS", [0x11] + sized(byte(UInt8(truncatingIfNeeded: buffer.count)) + buffer))
        return [0x5b, 0x82] + sized(body)
    }

    private static func ioPorts(_ start: UInt16, _ count: UInt8) -> [UInt8] {
        let low = UInt8(truncatingIfNeeded: start)
        let high = UInt8(truncatingIfNeeded: start >> 8)
        return [0x47, 1, low, high, low, high, 1, count]
    }

    private static func interrupt(_ line: UInt8) -> [UInt8] {
        let mask = UInt16(1) << UInt16(line)
        return [0x22, UInt8(truncatingIfNeeded: mask), UInt8(truncatingIfNeeded: mask >> 8)]
    }

    private static func byte(_ value: UInt8) -> [UInt8] { [0x0a, value] }

    private static func name(_ title: String, _ value: [UInt8]) -> [UInt8] {
        [0x08] + Array(title.utf8) + value
    }

    private static func package(_ elements: [[UInt8]]) -> [UInt8] {
        [0x12] + sized([UInt8(truncatingIfNeeded: elements.count)] + elements.flatMap { $0 })
    }

    private static func scope(_ title: String, _ body: [UInt8]) -> [UInt8] {
        [0x10] + sized(Array(title.utf8) + body)
    }

    /// PkgLength: includes itself.
    private static func sized(_ body: [UInt8]) -> [UInt8] {
        if body.count + 1 < 64 { return [UInt8(body.count + 1)] + body }
        let total = body.count + 2
        if total < 4096 {
            return [0x40 | UInt8(total & 15), UInt8(truncatingIfNeeded: total >> 4)] + body
        }
        let long = body.count + 3
        return [
            0x80 | UInt8(long & 15), UInt8(truncatingIfNeeded: long >> 4),
            UInt8(truncatingIfNeeded: long >> 12),
        ] + body
    }
}
