internal import CCapstone

/// Capstone, asked about single instructions.
@safe
final class Reference {
    /// A disassembler of Capstone's, closed with this object.
    private let handle: Int

    init?(bits: Int32) {
        handle = reference_open(bits)
        if handle == 0 { return nil }
    }

    deinit { reference_close(handle) }

    struct Reading {
        var length: Int
        var mnemonic: String
        var operands: String
    }

    /// Nil: Capstone knows no such instruction.
    func read(_ bytes: UnsafeRawBufferPointer, address: UInt64) -> Reading? {
        guard let base = bytes.baseAddress else { return nil }
        var result = ReferenceInstruction()
        unsafe reference_read(
            handle, base.assumingMemoryBound(to: UInt8.self), bytes.count, address, &result)
        if result.length == 0 { return nil }
        return Reading(
            length: Int(result.length),
            mnemonic: Self.text(&result.mnemonic),
            operands: Self.text(&result.operands))
    }

    private static func text<T>(_ characters: inout T) -> String {
        unsafe withUnsafeBytes(of: &characters) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
