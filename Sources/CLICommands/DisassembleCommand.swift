import ArgumentParser
import Foundation
import Vocabulary
import X86

/// `martlet disassemble`.
struct DisassembleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disassemble",
        abstract: "Shows machine code as Martlet's own decoder reads it.",
        discussion: """
            Give the bytes in hexadecimal, or a file with --file. Bytes that are no instruction of
            the processor model are shown one by one as (bad).
            """)

    @Argument(help: "Bytes in hexadecimal: 48 89 c8, or 4889c8.")
    var bytes: [String] = []

    @Option(help: "Reads the bytes from a file.")
    var file: String?

    @Option(help: "Where in the file to begin, in bytes; 0x for hexadecimal.")
    var offset: ByteNumber = 0

    @Option(help: "How many bytes to show at most.")
    var count: ByteNumber = 4096

    @Option(help: "The address of the first byte.")
    var address: ByteNumber = 0

    @Option(help: "Code size: 16, 32 or 64.")
    var bits = 64

    func validate() throws {
        guard Self.mode(bits: bits) != nil else {
            throw ValidationError("--bits \(bits): give 16, 32 or 64")
        }
        if file == nil, bytes.isEmpty {
            throw ValidationError("nothing to disassemble: give bytes or --file PATH")
        }
        if file != nil, !bytes.isEmpty {
            throw ValidationError("both bytes and --file are given: give one of them")
        }
    }

    func run() throws {
        guard let mode = Self.mode(bits: bits) else { return }
        let code = try file.map(read) ?? Self.parse(bytes.joined())
        for line in Disassembly(code: code, address: address.value, mode: mode) {
            print(line)
        }
    }

    private static func mode(bits: Int) -> DecodeMode? {
        switch bits {
        case 16: .code16
        case 32: .code32
        case 64: .code64
        default: nil
        }
    }

    /// The part of the file that is asked for.
    private func read(_ path: String) throws -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            try handle.seek(toOffset: offset.value)
            let limit = Int(exactly: count.value) ?? .max
            return try handle.read(upToCount: limit).map { [UInt8]($0) } ?? []
        } catch {
            throw XError(
                .notFound, "cannot read '\(path)': give a file that exists and is readable",
                cause: error)
        }
    }

    /// Hexadecimal digits, with or without spaces and commas.
    static func parse(_ text: String) throws -> [UInt8] {
        let digits = Array(text.filter { !" ,\n\t".contains($0) })
        guard digits.count.isMultiple(of: 2) else {
            throw XError(.invalidArgument, "'\(text)' has half a byte: give two digits for each")
        }
        return try stride(from: 0, to: digits.count, by: 2).map { position in
            let pair = String(digits[position...position + 1])
            guard pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else {
                throw XError(
                    .invalidArgument, "'\(pair)' is no byte: give two hexadecimal digits for each")
            }
            return byte
        }
    }
}

/// A number on the command line, decimal or with 0x in hexadecimal.
struct ByteNumber: ExpressibleByArgument, ExpressibleByIntegerLiteral {
    var value: UInt64

    init(integerLiteral value: UInt64) { self.value = value }

    init?(argument: String) {
        let isHexadecimal = argument.hasPrefix("0x")
        let digits = isHexadecimal ? argument.dropFirst(2) : argument[...]
        guard let value = UInt64(digits, radix: isHexadecimal ? 16 : 10) else { return nil }
        self.value = value
    }

    var defaultValueDescription: String { "\(value)" }
}

/// Machine code as lines of address, bytes and text.
struct Disassembly: Sequence, IteratorProtocol {
    let code: [UInt8]
    let address: UInt64
    let mode: DecodeMode
    private var position = 0

    init(code: [UInt8], address: UInt64, mode: DecodeMode) {
        self.code = code
        self.address = address
        self.mode = mode
    }

    mutating func next() -> String? {
        guard position < code.count else { return nil }
        let start = position
        let here = address &+ UInt64(start)
        let result = unsafe code.withUnsafeBytes { all in
            unsafe Decoder.decode(
                UnsafeRawBufferPointer(rebasing: all[start...].prefix(15)), mode: mode)
        }
        var text = "(bad)"
        var length = 1
        if case .instruction(let instruction) = result {
            text = Disassembler.text(instruction, address: here, mode: mode)
            length = Int(instruction.length)
        }
        position += length
        let hexadecimal = code[start..<start + length].map(Self.pair).joined(separator: " ")
        let padding = String(repeating: " ", count: Swift.max(0, 24 - hexadecimal.count))
        return "\(String(here, radix: 16))  \(hexadecimal)\(padding)  \(text)"
    }

    private static func pair(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
