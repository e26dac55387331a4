import X86

/// Any bytes through the decoder and the disassembler.
///
/// A case is a mode (low two bits of the first byte) and the bytes after it, decoded one
/// instruction after the other, or byte by byte where there is none.
public final class DecoderTarget: FuzzTarget {
    public static let name = "decoder"
    public static let secondsLimit = 5.0
    public static let memoryLimit: UInt64 = 256 << 20

    private let forms = Array(Form.all)

    public init() {}

    public func makeCase(_ random: inout FuzzRandom) -> [UInt8] {
        var bytes = [UInt8(random.below(3))]
        while bytes.count < 48 {
            bytes +=
                random.chance(4)
                ? random.bytes(1 + random.below(16))
                : InstructionBytes.make(random.pick(forms), mode: bytes[0], &random)
        }
        if random.chance(4) { bytes.removeLast(random.below(40)) }
        return bytes
    }

    public func run(_ bytes: [UInt8]) -> String? {
        guard let first = bytes.first else { return nil }
        let mode: DecodeMode = [.code16, .code32, .code64, .code64][Int(first & 3)]
        var position = 1
        while position < bytes.count {
            let code = Array(bytes[position...])
            let result = Self.decode(code, mode)
            var length = 1
            if case .instruction(let instruction) = result {
                length = Int(instruction.length)
                if let fault = check(instruction, code, mode) { return fault }
            } else if result == .fault(.needMoreBytes), code.count >= 15 {
                return "15 bytes are not enough: \(hexadecimal(code.prefix(15)))"
            } else if result == .fault(.tooLong), code.count < 15 {
                return "too long with \(code.count) bytes: \(hexadecimal(code))"
            }
            position += length
        }
        return nil
    }

    private static func decode(_ bytes: some Collection<UInt8>, _ mode: DecodeMode) -> DecodeResult
    {
        let copy = Array(bytes)
        // SAFETY: the buffer lives as long as the call.
        return unsafe copy.withUnsafeBytes { unsafe Decoder.decode($0, mode: mode) }
    }

    private func check(_ instruction: Instruction, _ code: [UInt8], _ mode: DecodeMode) -> String? {
        let length = Int(instruction.length)
        let shown = hexadecimal(code.prefix(15))
        guard length >= 1, length <= 15, length <= code.count else {
            return "length \(length) of \(shown)"
        }
        // Alone it is the same, and every beginning of it is truncated.
        guard Self.decode(code[..<length], mode) == .instruction(instruction) else {
            return "what follows changes \(shown)"
        }
        for count in 0..<length
        where Self.decode(code[..<count], mode) != .fault(.needMoreBytes) {
            return "\(count) of \(length) bytes are not truncated: \(shown)"
        }
        for address: UInt64 in [0, 0xfff0, 0xffff_ffff, .max] {
            let text = Disassembler.text(instruction, address: address, mode: mode)
            guard !text.isEmpty, text.utf8.count < 200,
                text.utf8.allSatisfy({ $0 >= 32 && $0 < 127 })
            else { return "disassembled to '\(text)': \(shown)" }
        }
        return nil
    }
}

/// `48 89 c8`.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}
