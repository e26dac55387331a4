internal import HostIO
public import Vocabulary

extension DiskImage {
    /// Compares what a qcow2 image refers to with what it counts.
    ///
    /// - Parameter repairLeaks: gives back clusters that nothing refers to, unless more is wrong, and
    ///   rebuilds the counts that a writer left for later (lazy refcounts).
    /// Throws if the image cannot be read, is in use, or has snapshots or bitmaps, whose references are
    /// not understood.
    public static func check(
        path: String, format: DiskFormat, repairLeaks: Bool = false
    ) throws(XError) -> DiskCheckReport {
        guard format == .qcow2 else {
            throw XError(
                .unsupported,
                "'\(path)' is \(format.rawValue), of which there is nothing to check: give a qcow2 image"
            )
        }
        return try withLoop { loop throws(XError) in
            let image = try QCOW2Image.opening(
                path, isWritable: repairLeaks, loop: loop, purpose: .check)
            return try loop.blocking { () async throws(XError) in
                let header = await image.header
                if header.snapshotCount != 0 || header.autoclear & 1 != 0 {
                    throw XError(
                        .unsupported,
                        "the qcow2 image '\(path)' has snapshots or bitmaps: check it with qemu-img"
                    )
                }
                do throws(HostErrno) {
                    let isRebuilt = repairLeaks ? try await image.settleRefcounts() : false
                    var report = try await image.check(repairLeaks: repairLeaks)
                    report.isRebuilt = isRebuilt
                    return report
                } catch { throw image.file.failure(repairLeaks ? "repair" : "read", error) }
            }
        }
    }
}
