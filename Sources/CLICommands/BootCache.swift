import Boot
import Foundation
import Glibc
import Machine
import Vocabulary

/// Guests that have booted and wait for their program: `martlet run --cached`.
///
/// They lie in the cache of kernels, in `boots`, and may be deleted at any time. Any number of processes: what is
/// complete appears by one rename.
struct BootCache {
    /// So many are kept, those used last.
    private static let count = 8
    private static let suffix = ".boot"
    private static let note = "boot"

    private let directory: String
    let key: BootKey
    var path: String { "\(directory)/\(key.name)\(Self.suffix)" }

    init(_ key: BootKey) throws {
        self.key = key
        directory = try KernelStore().cacheDirectory + "/boots"
    }

    /// A guest that has booted just so; nil: there is none, or one that is of no use here.
    func find() -> GuestRun.Resumption? {
        guard let snapshot = try? MachineSnapshot(path: path), let note = snapshot.note(Self.note),
            (try? JSONDecoder().decode(BootKey.self, from: note)) == key,
            let data = snapshot.note(SavedRun.note),
            let saved = try? JSONDecoder().decode(SavedRun.self, from: data),
            saved.session?.waitsForProgram == true
        else { return nil }
        // Used last.
        unsafe utimensat(AT_FDCWD, path, nil, 0)
        var resumption = GuestRun.Resumption(snapshot, saved, isLazy: true, isAnother: true)
        resumption.isBoot = true
        resumption.workingSet = SnapshotWorkingSet(ofBoot: path, snapshot)
        return resumption
    }

    /// Keeps a guest whose agent waits for a program; it goes on.
    ///
    /// - Throws: `XError`: it cannot be suspended, or there is no room.
    func keep(_ machine: Machine, _ session: AgentSession) throws {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        var options = SuspendOptions()
        options.goesOn = true
        var observer = SuspendObserver()
        observer.notes = {
            let saved = SavedRun(
                arguments: [], directory: "/",
                session: session.capture(hangsUp: machine.configuration.platform == .xen))
            let encoder = JSONEncoder()
            guard let run = try? encoder.encode(saved), let key = try? encoder.encode(key) else {
                return [:]
            }
            return [SavedRun.note: run, Self.note: key]
        }
        observer.noted = { session.thaw() }
        _ = unsafe unlink(path + SnapshotWorkingSet.suffix)
        try machine.suspend(to: path, options, observer)
        removeOldest()
    }

    /// It is damaged, or of no use.
    func remove() { Self.remove(path) }

    private static func remove(_ path: String) {
        _ = unsafe unlink(path)
        _ = unsafe unlink(path + SnapshotWorkingSet.suffix)
    }

    private func removeOldest() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        var files: [(path: String, used: Int)] = []
        // With what a process left behind that was killed while it wrote.
        for name in names
        where name.contains(Self.suffix) && !name.hasSuffix(SnapshotWorkingSet.suffix) {
            var status = stat()
            let path = directory + "/" + name
            guard unsafe lstat(path, &status) == 0 else { continue }
            files.append((path, status.st_mtim.tv_sec))
        }
        files.sort { $0.used > $1.used }
        for file in files.dropFirst(Self.count) { Self.remove(file.path) }
    }
}
