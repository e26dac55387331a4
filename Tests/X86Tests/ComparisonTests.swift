import Glibc
import Testing
import X86

/// The decoder against Capstone: the same lengths and mnemonics, for real code and for noise.
struct ComparisonTests {
    private struct Tally {
        var compared = 0
        var differences: [String: (count: Int, example: String)] = [:]

        mutating func note(_ kind: String, _ example: @autoclosure () -> String) {
            if let old = differences[kind] {
                differences[kind] = (old.count + 1, old.example)
            } else {
                differences[kind] = (1, example())
            }
        }

        var report: String {
            differences.sorted { $0.value.count > $1.value.count }.prefix(150)
                .map { "\($0.value.count)  \($0.key)   e.g. \($0.value.example)" }
                .joined(separator: "\n")
        }
    }

    private func compare(
        _ bytes: UnsafeRawBufferPointer, _ address: UInt64, _ mode: DecodeMode,
        _ reference: Reference, _ tally: inout Tally
    ) -> Int {
        let ours = unsafe Decoder.decode(bytes, mode: mode)
        let theirs = unsafe reference.read(bytes, address: address)
        tally.compared += 1
        let hex = { unsafe bytes.prefix(15).map { String($0, radix: 16) }.joined(separator: " ") }
        switch (ours, theirs) {
        case (.instruction(let instruction), let reading?):
            let mnemonic = Disassembler.mnemonic(instruction)
            let expected = CapstoneNames.stripped(reading.mnemonic)
            let text = Disassembler.text(instruction, address: address, mode: mode)
            if Int(instruction.length) != reading.length {
                if !CapstoneNames.isKnownLength(instruction, mode) {
                    tally.note(
                        "length \(mnemonic) / \(expected)",
                        "\(hex()): \(text) (\(instruction.length)) / \(reading.mnemonic) \(reading.operands) (\(reading.length))"
                    )
                }
            } else if mnemonic != expected, !CapstoneNames.isKnownName(instruction, expected, mode)
            {
                tally.note(
                    "name \(mnemonic) / \(expected)",
                    "\(hex()): \(text) / \(reading.mnemonic) \(reading.operands)")
            }
            if mode != .code16, Int(instruction.length) == reading.length, mnemonic == expected {
                let operands = String(
                    text.split(separator: " ", maxSplits: 8).drop {
                        $0 == "lock" || $0.hasPrefix("rep")
                    }.dropFirst().joined(separator: " "))
                if !CapstoneOperands.agree(operands, reading.operands, instruction) {
                    tally.note(
                        "operands \(mnemonic)", "\(hex()): \(text) / \(reading.operands)")
                }
            }
            return reading.length
        case (.fault(let fault), let reading?):
            if fault != .tooLong,
                !CapstoneNames.isNotOffered(
                    reading.mnemonic, unsafe Array(bytes), mode)
            {
                tally.note(
                    "missing \(reading.mnemonic)",
                    "\(hex()): \(reading.mnemonic) \(reading.operands)")
            }
            return reading.length
        case (.instruction(let instruction), nil):
            if !CapstoneNames.isUnknownToCapstone(instruction, unsafe Array(bytes), mode) {
                let text = Disassembler.text(instruction, address: address, mode: mode)
                tally.note("only ours \(instruction.mnemonic)", "\(hex()): \(text)")
            }
            return 1
        case (.fault, nil): return 1
        }
    }

    private func modes() -> [(DecodeMode, Int32)] { [(.code16, 16), (.code32, 32), (.code64, 64)] }

    @Test func noiseReadsAsCapstoneReadsIt() throws {
        var state: UInt64 = 0x2545_f491_4f6c_dd1d
        func random() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        for (mode, bits) in modes() {
            let reference = try #require(Reference(bits: bits))
            var tally = Tally()
            for round in 0..<150_000 {
                var bytes = (0..<24).map { _ in UInt8(truncatingIfNeeded: random() >> 24) }
                // A third each of any bytes, of the 0F map and of its 38 and 3A maps, some with
                // a prefix that chooses among forms.
                var position = 0
                if round % 4 == 1 {
                    bytes[0] = [0x66, 0xf2, 0xf3, 0x48][Int(random() & 3)]
                    position = 1
                }
                if round % 3 != 0 { bytes[position] = 0x0f }
                if round % 9 == 1 { bytes[position + 1] = random() & 1 == 0 ? 0x38 : 0x3a }
                // And VEX, of maps that are there.
                if round % 5 == 2 {
                    bytes[0] = round % 2 == 0 ? 0xc4 : 0xc5
                    bytes[1] |= mode == .code64 ? 0 : 0xc0
                    if bytes[0] == 0xc4 {
                        bytes[1] = bytes[1] & 0xe0 | bytes[9] % 3 + 1
                        if round % 3 == 0 { bytes[2] |= 0x78 }
                    }
                }
                unsafe bytes.withUnsafeBytes {
                    if unsafe CapstoneNames.hasSeveralPrefixes($0) { return }
                    _ = unsafe compare($0, 0x1000, mode, reference, &tally)
                }
            }
            #expect(tally.differences.isEmpty, "\(mode):\n\(tally.report)")
        }
    }

    @Test(arguments: ["/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", "/bin/bash"])
    func programsReadAsCapstoneReadsThem(path: String) throws {
        guard let image = ProgramText(path: path) else { return }
        let reference = try #require(Reference(bits: 64))
        var tally = Tally()
        unsafe image.bytes.withUnsafeBytes { all in
            var offset = 0
            while offset < all.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: all[offset...].prefix(16))
                offset += unsafe compare(
                    rest, image.address + UInt64(offset), .code64, reference, &tally)
            }
        }
        #expect(tally.compared > 10_000)
        #expect(tally.differences.isEmpty, "\(tally.report)")
    }
}
