public import Vocabulary

/// A compressed Linux kernel image (Documentation/arch/x86/boot.rst of the kernel's source).
public struct BZImage: Sendable {
    /// The compressed vmlinux within the image.
    public let payload: ArraySlice<UInt8>
    /// Boot protocol version, e.g. 0x20f.
    public let protocolVersion: UInt16

    /// True if `bytes` have the signatures of a bzImage, however broken the rest may be.
    public static func isRecognised(_ bytes: [UInt8]) -> Bool {
        let reader = ByteReader(bytes)
        return reader.integer(0x202, as: UInt32.self) == 0x5372_6448
    }

    /// Throws `XError.invalidFormat` if the header or the payload is not whole.
    public init(_ bytes: [UInt8]) throws(XError) {
        let reader = ByteReader(bytes)
        guard reader.integer(0x1fe, as: UInt16.self) == 0xaa55, Self.isRecognised(bytes),
            let version = reader.integer(0x206, as: UInt16.self)
        else {
            throw XError(
                .invalidFormat,
                "the kernel is not a bzImage (\(bytes.count) bytes): give an x86-64 bzImage or "
                    + "vmlinux with --kernel")
        }
        guard version >= 0x208 else {
            throw XError(
                .unsupported,
                "the kernel's boot protocol is \(version >> 8).\(version & 0xff), older than 2.8: "
                    + "use Linux 2.6.26 or newer")
        }
        guard let loadFlags = reader.integer(0x211, as: UInt8.self), loadFlags & 1 != 0 else {
            throw XError(.unsupported, "the kernel is a zImage: build it as bzImage")
        }
        var setupSectors = Int(reader.integer(0x1f1, as: UInt8.self) ?? 4)
        if setupSectors == 0 { setupSectors = 4 }
        let start = (setupSectors + 1) * 512
        guard let offset = reader.integer(0x248, as: UInt32.self),
            let length = reader.integer(0x24c, as: UInt32.self),
            let payload = reader.slice(start + Int(offset), Int(length)), length > 0
        else {
            throw XError(
                .invalidFormat,
                "the kernel ends after \(bytes.count) bytes, within its compressed part: it is "
                    + "truncated; fetch it again")
        }
        self.payload = payload
        protocolVersion = version
    }
}
