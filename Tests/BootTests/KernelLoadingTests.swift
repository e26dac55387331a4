import GuestMemory
import Testing
import VirtualCPU
import Vocabulary

@testable import Boot

/// A kernel as small as can be: one segment at 1 MiB and the PVH note.
private func smallKernel(
    machine: UInt8 = 62, memoryByteCount: UInt64 = 0x3000, isXenGuest: Bool = false
) -> [UInt8] {
    func word(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) }
    }
    var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    bytes += word(2, 2) + [machine, 0] + word(1, 4) + word(0x10_0000, 8) + word(64, 8)
    bytes += word(0, 8) + word(0, 4) + word(64, 2) + word(56, 2) + word(2, 2) + word(0, 6)
    // type, flags, offset, virtual, physical, file size, memory size, alignment
    bytes += word(1, 4) + word(5, 4) + word(176, 8) + word(0x10_0000, 8) + word(0x10_0000, 8)
    bytes += word(16, 8) + word(memoryByteCount, 8) + word(4096, 8)
    bytes += word(4, 4) + word(4, 4) + word(192, 8) + word(0, 8) + word(0, 8)
    let noteByteCount: UInt64 = isXenGuest ? 44 : 20
    bytes += word(noteByteCount, 8) + word(noteByteCount, 8) + word(4, 8)
    bytes += [UInt8](1...16)
    bytes += word(4, 4) + word(4, 4) + word(18, 4) + [0x58, 0x65, 0x6e, 0] + word(0x10_0004, 4)
    if isXenGuest {
        bytes += word(4, 4) + word(6, 4) + word(6, 4) + [0x58, 0x65, 0x6e, 0] + Array("linux".utf8)
        bytes += [0, 0, 0]
    }
    return bytes
}

/// The same as a 32-bit file, as boot loaders for PVH are.
private func smallKernel32(machine: UInt16 = 3) -> [UInt8] {
    func words(_ values: UInt32...) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    }
    var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1] + [UInt8](repeating: 0, count: 9)
    bytes += words(UInt32(machine) << 16 | 2, 1, 0x10_0000, 52, 0, 0)
    // Sizes of the header and of a program header; two of these.
    bytes += words(32 << 16 | 52, 2, 0)
    // type, offset, virtual, physical, file size, memory size, flags, alignment
    bytes += words(1, 116, 0x10_0000, 0x10_0000, 16, 0x3000, 5, 4096)
    bytes += words(4, 132, 0, 0, 20, 20, 4, 4)
    bytes += [UInt8](1...16)
    bytes += words(4, 4, 18, 0x006e_6558, 0x10_0004)
    return bytes
}

/// A generator with the same numbers each time.
private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 29) ^ state
    }
}

@Suite struct KernelLoadingTests {
    private let map = [BootLoader.MapEntry(start: 0, byteCount: 16 << 20, type: 1)]

    @Test func aKernelSaysWhetherItKnowsXen() throws {
        for isXenGuest in [false, true] {
            let image = try ELFImage(smallKernel(isXenGuest: isXenGuest))
            #expect(image.isXenGuest == isXenGuest)
            #expect(image.pvhEntry == 0x10_0004)
        }
    }

    @Test func aKernelAndItsInitramfsAreLoaded() throws {
        let memory = try GuestMemory(byteCount: 16 << 20)
        let disk = [UInt8](repeating: 0xd5, count: 5000)
        let state = try BootLoader.load(
            kernel: smallKernel(), initialRAMDisk: disk, commandLine: "quiet x=y", memoryMap: map,
            rootSystemDescriptionPointer: 0xe0000, into: memory)
        func word(_ address: UInt64) -> UInt64? {
            memory.read(GuestPhysicalAddress(address), as: UInt64.self)
        }
        #expect(state.rip == 0x10_0004)
        #expect(state.cr0 & 0x8000_0001 == 1)
        let info = state.generalPurposeRegisters[3]
        #expect(word(info) == 0x0000_0001_336e_c578)
        #expect(word(info + 8) == 1 << 32)
        #expect(word(info + 32) == 0xe0000)
        #expect(word(info + 48) == 1)
        let modules = try #require(word(info + 16))
        let start = try #require(word(modules))
        #expect(word(modules + 8) == 5000)
        #expect(start.isMultiple(of: 4096) && start + 5000 <= 16 << 20)
        #expect(word(start) == 0xd5d5_d5d5_d5d5_d5d5)
        let ranges = try #require(word(info + 40))
        #expect(word(ranges + 8) == 16 << 20)
        let line = try #require(word(info + 24))
        #expect(word(line) == 0x3d78_2074_6569_7571)
        #expect(word(0x10_0000) == 0x0807_0605_0403_0201)
        #expect(word(0x10_0010) == 0)
    }

    @Test func aFileOf32BitsIsLoaded() throws {
        let image = try ELFImage(smallKernel32())
        #expect(image.pvhEntry == 0x10_0004 && image.segments.count == 1 && !image.isXenGuest)
        let memory = try GuestMemory(byteCount: 16 << 20)
        let state = try BootLoader.load(
            kernel: smallKernel32(), initialRAMDisk: [], commandLine: "", memoryMap: map,
            rootSystemDescriptionPointer: 0, into: memory)
        #expect(state.rip == 0x10_0004)
        let start = GuestPhysicalAddress(0x10_0000)
        #expect(memory.read(start, as: UInt64.self) == 0x0807_0605_0403_0201)
        // A class says which machine.
        for kernel in [smallKernel32(machine: 62), smallKernel(machine: 3)] {
            #expect(throws: XError.self) { try ELFImage(kernel) }
        }
    }

    @Test func everyTruncationIsAnError() {
        for (kernel, segmentEnd) in [(smallKernel(), 192), (smallKernel32(), 132)] {
            for count in 0..<segmentEnd {
                #expect(throws: XError.self) { try BootLoader.unpack(Array(kernel[..<count])) }
            }
        }
    }

    @Test func otherFilesAreErrorsOfOneLine() throws {
        let memory = try GuestMemory(byteCount: 16 << 20)
        var numbers = Numbers(state: 1)
        let noise = (0..<65536).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let files: [[UInt8]] = [
            [], [0], Array("#!/bin/sh\n".utf8), noise, smallKernel(machine: 183),
            smallKernel(memoryByteCount: 1 << 30), smallKernel(memoryByteCount: 1 << 63),
            smallKernel(memoryByteCount: 8),
        ]
        for file in files {
            let error = #expect(throws: XError.self) {
                try BootLoader.load(
                    kernel: file, initialRAMDisk: [], commandLine: "", memoryMap: map,
                    rootSystemDescriptionPointer: 0, into: memory)
            }
            #expect(error?.message.contains("\n") == false)
            #expect(error?.message.contains("kernel") == true)
        }
        #expect(throws: XError.self) {
            try BootLoader.load(
                kernel: smallKernel(), initialRAMDisk: [UInt8](repeating: 0, count: 17 << 20),
                commandLine: "", memoryMap: map, rootSystemDescriptionPointer: 0, into: memory)
        }
    }

    /// Nothing that is wrong in a file traps; what is loaded all the same is as good as random.
    @Test func damagedKernelsNeverTrap() throws {
        let memory = try GuestMemory(byteCount: 16 << 20)
        var numbers = Numbers(state: 2)
        for round in 0..<20000 {
            var kernel = round.isMultiple(of: 2) ? smallKernel() : smallKernel32()
            for _ in 0..<Int.random(in: 1...6, using: &numbers) {
                let edge: [UInt8] = [
                    0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &numbers),
                ]
                kernel[Int.random(in: 0..<kernel.count, using: &numbers)] =
                    edge[Int.random(in: 0..<edge.count, using: &numbers)]
            }
            _ = try? BootLoader.load(
                kernel: kernel, initialRAMDisk: [], commandLine: "", memoryMap: map,
                rootSystemDescriptionPointer: 0, into: memory)
        }
    }

    @Test func damagedBzImagesNeverTrap() {
        var numbers = Numbers(state: 3)
        let whole = bzImage([UInt8](repeating: 0, count: 256))
        #expect((try? BZImage(whole)) != nil)
        for magic: [UInt8] in [
            [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], [0x1f, 0x8b, 8], [0x28, 0xb5, 0x2f, 0xfd],
            [2, 0x21, 0x4c, 0x18], [1, 2, 3],
        ] {
            for _ in 0..<300 {
                var image = whole
                for index in 1024..<1280 {
                    image[index] = UInt8.random(in: 0...255, using: &numbers)
                }
                image.replaceSubrange(1024..<(1024 + magic.count), with: magic)
                if Bool.random(using: &numbers) {
                    image[Int.random(in: 0x248..<0x250, using: &numbers)] = 0xff
                }
                #expect(throws: XError.self) { try BootLoader.unpack(image) }
            }
        }
    }
}
