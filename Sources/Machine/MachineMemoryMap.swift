internal import Boot
public import GuestMemory
public import Vocabulary

/// Where RAM and devices lie in the guest's physical address space.
///
/// RAM fills the space from 0 to the hole below 4 GiB and goes on at 4 GiB. The hole holds the I/O
/// APIC, the local APICs and whatever devices have memory.
public struct MachineMemoryMap: Sendable, Equatable {
    /// First byte of the hole: 3 GiB.
    public static let holeStart: UInt64 = 3 << 30
    /// First byte after the hole.
    public static let holeEnd: UInt64 = 4 << 30
    public static let ioAPIC = GuestPhysicalAddress(0xfec0_0000)
    public static let localAPIC = GuestPhysicalAddress(0xfee0_0000)

    /// The rings of a Xen guest's store and console, in the last pages below 0xff000000, as libxl has
    /// them.
    public static let xenSpecialPages = MemoryRegion(
        start: GuestPhysicalAddress(0xfeff_8000), byteCount: 8 << 12)
    static let xenStorePage: UInt64 = 0xfeffc
    static let xenConsolePage: UInt64 = 0xfefff

    /// Bytes of RAM from address 0.
    public var lowByteCount: UInt64
    /// Bytes of RAM from 4 GiB.
    public var highByteCount: UInt64

    /// Where a Xen guest finds room for what it has mapped, its grant frames: Linux takes the lowest
    /// addresses that nobody has, 128 MiB at a time and aligned so (drivers/xen/unpopulated-alloc.c).
    public var xenMappings: MemoryRegion {
        let size: UInt64 = 128 << 20
        let end = Self.holeEnd + highByteCount
        return MemoryRegion(
            start: GuestPhysicalAddress((end + size - 1) & ~(size - 1)), byteCount: size)
    }

    /// With what Xen guests have beside RAM.
    public var isXen: Bool

    public init(memoryByteCount: UInt64, isXen: Bool = false) {
        self.isXen = isXen
        lowByteCount = min(memoryByteCount, Self.holeStart)
        highByteCount = memoryByteCount - lowByteCount
    }
}

extension MachineMemoryMap {
    /// RAM as `GuestMemory` takes it.
    var regions: [MemoryRegion] {
        var result = [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: lowByteCount)]
        if isXen { result.append(Self.xenSpecialPages) }
        if highByteCount > 0 {
            result.append(
                MemoryRegion(
                    start: GuestPhysicalAddress(Self.holeEnd), byteCount: highByteCount))
        }
        if isXen { result.append(xenMappings) }
        return result
    }

    /// RAM as the guest is told: the PC's hole below 1 MiB holds the ACPI tables.
    var bootMap: [BootLoader.MapEntry] {
        var result = [
            BootLoader.MapEntry(start: 0, byteCount: 0x9_fc00, type: 1),
            BootLoader.MapEntry(start: 0xe_0000, byteCount: 0x2_0000, type: 2),
            BootLoader.MapEntry(start: 0x10_0000, byteCount: lowByteCount - 0x10_0000, type: 1),
        ]
        if isXen {
            // All of the hole is taken, so that nothing is mapped there.
            result.append(
                BootLoader.MapEntry(
                    start: lowByteCount, byteCount: Self.holeEnd - lowByteCount, type: 2))
        }
        if highByteCount > 0 {
            result.append(
                BootLoader.MapEntry(start: Self.holeEnd, byteCount: highByteCount, type: 1))
        }
        return result
    }
}
