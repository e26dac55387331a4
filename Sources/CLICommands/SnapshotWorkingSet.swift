import Foundation
import Machine
import Vocabulary

/// The file beside a snapshot that says what of it is touched first (`FILE.workingset`): it is read, or made
/// anew. What is wrong with it is said, and no more.
struct SnapshotWorkingSet {
    /// Of the file beside a snapshot.
    static let suffix = ".workingset"

    private let path: String
    private let snapshot: MachineSnapshot
    private let records: Bool
    /// Chunks to be read ahead; none while others are recorded.
    let prefetches: [UInt32]

    /// - Parameter file: the snapshot's path, from the folder of now.
    init(of file: String, _ snapshot: MachineSnapshot, records: Bool) {
        path = URL(fileURLWithPath: file).path + Self.suffix
        self.snapshot = snapshot
        self.records = records
        var chunks: [UInt32] = []
        if !records {
            do {
                chunks = try snapshot.workingSet(atPath: path)
            } catch {
                StandardError.write("martlet: \(error.message)\n")
            }
        }
        prefetches = chunks
    }

    /// Of a boot that is kept: the first that goes on with it records for the others.
    init(ofBoot path: String, _ snapshot: MachineSnapshot) {
        let isThere = FileManager.default.fileExists(atPath: path + Self.suffix)
        self.init(of: path, snapshot, records: !isThere)
    }

    /// At the end of the machine.
    func record(_ machine: Machine) {
        if !records { return }
        do {
            try snapshot.write(workingSet: machine.touchedChunks, toPath: path)
        } catch {
            StandardError.write("martlet: \(error.message)\n")
        }
    }
}
