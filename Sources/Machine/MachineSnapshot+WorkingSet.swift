internal import Paging
internal import Snapshot
public import Vocabulary

// What of a snapshot is touched first.
extension MachineSnapshot {
    /// Reads a file that `write(workingSet:toPath:)` wrote, for `MachineConfiguration.prefetches`. Empty:
    /// there is none. Any thread.
    ///
    /// - Throws: `XError`: it is damaged, or of another snapshot, or cannot be read: the machine does without.
    public func workingSet(atPath path: String) throws(XError) -> [UInt32] {
        guard case .file(let reader) = memory else { return [] }
        return try WorkingSet(
            path: path, identity: reader.identity, chunkCount: reader.chunkCount)?.chunks ?? []
    }

    /// Writes `Machine.touchedChunks` of a machine that was made of this snapshot to a file, in place of one
    /// that may be there. Any thread.
    ///
    /// - Throws: `XError`: it cannot be written.
    public func write(workingSet chunks: [UInt32], toPath path: String) throws(XError) {
        guard case .file(let reader) = memory else { return }
        try WorkingSet(identity: reader.identity, chunks: chunks).write(to: path)
    }
}

extension Machine {
    /// Chunks of the snapshot, 64 KiB of the memory each, by number, that the guest or a device asked for so
    /// far, in the order of the first time; at most 1,048,576. Those that were prefetched before anybody asked
    /// for them are not among them. Empty if all of the memory was read before the machine ran, or none was.
    /// Any thread, after the machine's end too.
    public var touchedChunks: [UInt32] { paging?.pager.touchedChunks ?? [] }
}
