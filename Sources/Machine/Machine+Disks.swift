internal import Disks
internal import Vocabulary
internal import XenBackends

// Disks of a running guest. Any thread, which waits for the host.
extension Machine {
    /// Makes a disk larger, or looks whether the host has, and tells the guest.
    ///
    /// - Parameters:
    ///   - name: as the guest has it: xvda.
    ///   - byteCount: nil: as large as the host's file or device is now.
    /// - Returns: its bytes.
    /// - Throws: `XError`: there is no such disk, or it cannot have that size.
    @discardableResult
    public func resizeDisk(_ name: String, to byteCount: UInt64?) throws -> UInt64 {
        guard let number = disks.firstIndex(where: { $0.name == name }) else {
            let known = disks.map(\.name).joined(separator: ", ")
            throw XError(
                .notFound,
                "the guest has no disk '\(name)': it has \(known.isEmpty ? "none" : known)")
        }
        let size: UInt64
        if let byteCount {
            size = try disks[number].grow(to: byteCount)
        } else {
            size = try disks[number].refreshSize()
        }
        blockBackends[number].sizeChanged()
        return size
    }

    /// Bytes of a disk; nil: there is none of that name.
    public func byteCount(ofDisk name: String) -> UInt64? {
        disks.first { $0.name == name }?.byteCount
    }
}
