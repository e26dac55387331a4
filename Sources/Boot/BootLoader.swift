public import GuestMemory
public import VirtualCPU
public import Vocabulary

/// Puts a kernel, its initramfs and the PVH start info into guest memory
/// (xen/include/public/arch-x86/hvm/start_info.h).
public struct BootLoader: Sendable {
    /// A range of the guest's memory map, with E820 types.
    public struct MapEntry: Sendable, Equatable {
        public var start: UInt64
        public var byteCount: UInt64
        /// 1 RAM, 2 reserved, 3 ACPI tables.
        public var type: UInt32

        public init(start: UInt64, byteCount: UInt64, type: UInt32) {
            self.start = start
            self.byteCount = byteCount
            self.type = type
        }
    }

    /// Where the start info and what it points at lie: below 1 MiB, above the real-mode tables.
    public static let startInfo: UInt64 = 0x6000
    public static let globalDescriptorTable: UInt64 = 0x5000
    static let moduleList: UInt64 = 0x6100
    static let memoryMap: UInt64 = 0x7000
    public static let commandLine: UInt64 = 0x8000

    /// Loads everything. The result is the state in which vCPU 0 starts.
    ///
    /// - Parameters:
    ///   - kernel: a bzImage or an ELF file.
    ///   - initialRAMDisk: empty for none.
    ///   - rootSystemDescriptionPointer: address of the ACPI RSDP, 0 for none.
    /// - Throws: `XError` for files that are no kernels and for memory that is too small.
    public static func load(
        kernel: [UInt8], initialRAMDisk: [UInt8], commandLine: String, memoryMap: [MapEntry],
        rootSystemDescriptionPointer: UInt64, into memory: GuestMemory
    ) throws(XError) -> ArchitecturalState {
        let image = try unpack(kernel)
        guard let entry = image.pvhEntry else {
            throw XError(
                .unsupported,
                "the kernel has no PVH entry: it needs CONFIG_PVH, as distribution kernels have")
        }
        for segment in image.segments {
            let start = segment.physicalAddress
            let zeros = Int(segment.memoryByteCount) - segment.fileBytes.count
            guard memory.write(start, segment.fileBytes),
                memory.fill(start.advanced(by: UInt64(segment.fileBytes.count)), byteCount: zeros)
            else {
                throw XError(
                    .outOfMemory,
                    "the kernel needs memory up to \(image.end >> 20) MiB: give more with --memory")
            }
        }
        let module = try placeModule(
            initialRAMDisk, above: image.end, memoryMap: memoryMap, in: memory)
        var info: [UInt64] = [0x0000_0001_336e_c578, 0, 0, 0, 0, 0, 0]
        info[1] = module == nil ? 0 : 1 << 32
        info[2] = module == nil ? 0 : moduleList
        info[3] = Self.commandLine
        info[4] = rootSystemDescriptionPointer
        info[5] = Self.memoryMap
        info[6] = UInt64(memoryMap.count)
        write(words: info, at: startInfo, to: memory)
        if let module {
            write(
                words: [module, UInt64(initialRAMDisk.count), 0, 0], at: moduleList, to: memory)
        }
        var map: [UInt64] = []
        for range in memoryMap { map += [range.start, range.byteCount, UInt64(range.type)] }
        write(words: map, at: Self.memoryMap, to: memory)
        _ = memory.write(GuestPhysicalAddress(Self.commandLine), Array(commandLine.utf8) + [0])
        // Flat code and data, and a task state segment.
        write(
            words: [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x0000_8b00_0000_0067],
            at: globalDescriptorTable, to: memory)
        return startState(entry: entry)
    }

    /// The ELF image in `kernel`, unpacked if need be.
    public static func unpack(_ kernel: [UInt8]) throws(XError) -> ELFImage {
        if kernel.starts(with: [0x7f, 0x45, 0x4c, 0x46]) { return try ELFImage(kernel) }
        let image = try BZImage(kernel)
        return try ELFImage(try KernelDecompression.unpack(image.payload))
    }

    /// As high as it fits in RAM below 3 GiB, page aligned.
    private static func placeModule(
        _ bytes: [UInt8], above kernelEnd: UInt64, memoryMap: [MapEntry], in memory: GuestMemory
    ) throws(XError) -> UInt64? {
        if bytes.isEmpty { return nil }
        let top =
            memoryMap.filter { $0.type == 1 && $0.start < 3 << 30 }
            .map { $0.start + $0.byteCount }.max() ?? 0
        let size = (UInt64(bytes.count) + 0xfff) & ~0xfff
        guard top > size, top - size >= kernelEnd,
            memory.write(GuestPhysicalAddress(top - size), bytes)
        else {
            throw XError(
                .outOfMemory,
                "the initramfs of \(bytes.count >> 20) MiB does not fit beside the kernel in "
                    + "\(top >> 20) MiB: give more with --memory")
        }
        return top - size
    }

    private static func write(words: [UInt64], at address: UInt64, to memory: GuestMemory) {
        for (index, word) in words.enumerated() {
            _ = memory.write(GuestPhysicalAddress(address + UInt64(index) * 8), integer: word)
        }
    }

    /// 32-bit protected mode without paging, EBX at the start info (docs/misc/pvh.pandoc).
    private static func startState(entry: UInt32) -> ArchitecturalState {
        var state = ArchitecturalState()
        state.cr0 = 0x11
        state.rip = UInt64(entry)
        state.generalPurposeRegisters[3] = startInfo
        let data = ArchitecturalState.Segment(
            selector: 16, base: 0, limit: 0xffff_ffff, attributes: 0xc093)
        state.cs = ArchitecturalState.Segment(
            selector: 8, base: 0, limit: 0xffff_ffff, attributes: 0xc09b)
        state.ds = data
        state.es = data
        state.ss = data
        state.fs = data
        state.gs = data
        state.taskRegister = ArchitecturalState.Segment(
            selector: 24, base: 0, limit: 0x67, attributes: 0x8b)
        state.gdt.base = globalDescriptorTable
        state.gdt.limit = 31
        return state
    }
}
