import ArgumentParser
internal import CHost
import Disks
import Foundation
import Glibc
import HostIO
import Machine
import Vocabulary

/// `martlet fork`.
struct ForkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fork",
        abstract: "Makes running clones of a running machine.",
        discussion: """
            Each is a process of its own that goes on where the machine stood, with its memory until it \
            writes to it: NAME-1, NAME-2 and so on, for martlet ps, stop and the others. A clone is \
            told its name, new addresses of its networks and new entropy. Its output goes to \
            FOLDER/NAME-1.out and NAME-1.err, its kernel's log to NAME-1.log. Disks that are \
            written stay as they are from that moment on, and each clone and the machine itself go on \
            in an image over them, in the same folder. A clone has none of the machine's --publish; in \
            place of tap:DEVICE it has tap:DEVICE-1.
            """)

    @Argument(help: "The machine's --name.") var name: String

    @Option(help: ArgumentHelp("How many.", valueName: "n")) var count = 1

    @Option(
        help: ArgumentHelp(
            "What the clones are called, before their numbers.", valueName: "name"))
    var prefix: String?

    @Option(
        help: ArgumentHelp("The folder of their files, which is made.", valueName: "folder"))
    var folder: String?

    @OptionGroup var times: PowerTimes

    func validate() throws {
        guard (1...Self.largestCount).contains(count) else {
            throw ValidationError("--count \(count): give 1 to \(Self.largestCount)")
        }
    }

    private static let largestCount = 1000

    func run() throws {
        let folder = URL(fileURLWithPath: self.folder ?? "\(name)-clones").path
        let plans = try plans(folder)
        let files = try ControlClient.send(
            times.request(.fork, to: folder, compresses: false), to: name)
        defer { for file in files { close(file) } }
        guard let first = files.first else {
            throw XError(.hostCall, "the machine '\(name)' has not given its memory: fork it again")
        }
        // Only for its disks: the clones read it themselves.
        let copies = files.dropFirst().map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
        let fork = try ForkedMachine(decoding: Self.read(first), owning: copies)
        var clones: [CloneProcess] = []
        for var plan in plans {
            plan.changes.disks = try fork.disks.enumerated().map { number, disk in
                try disk.isReadOnly
                    ? disk
                    : Self.overlay(
                        disk, "\(folder)/\(plan.name)-xvd\(Self.letter(number)).qcow2")
            }
            clones.append(try CloneProcess(plan, folder: folder, files: files))
        }
        var failed: [String] = []
        for clone in clones {
            do {
                try clone.waitUntilItRuns()
                print("\(clone.plan.name): process \(clone.process)")
            } catch {
                failed.append((error as? XError)?.message ?? "\(error)")
            }
        }
        if let first = failed.first {
            throw XError(
                .hostCall,
                failed.count == 1
                    ? first : "\(failed.count) of \(count) clones do not run: \(first)")
        }
    }

    /// What each is called, where no machine and no file of it is yet.
    private func plans(_ folder: String) throws -> [ClonePlan] {
        let directory = try ControlDirectory()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        var plans: [ClonePlan] = []
        var number = 0
        while plans.count < count {
            number += 1
            let clone = "\(prefix ?? name)-\(number)"
            let path = try directory.path(clone)
            if (try? UnixSocket.connect(path)) != nil
                || FileManager.default.fileExists(atPath: "\(folder)/\(clone).out")
            {
                continue
            }
            plans.append(
                ClonePlan(
                    changes: RunChanges(
                        name: clone, clone: number, disks: nil, log: "\(folder)/\(clone).log")))
        }
        return plans
    }

    private static func letter(_ number: Int) -> String {
        String(UnicodeScalar(UInt8(97 + number)))
    }

    /// A new image over a disk.
    private static func overlay(
        _ base: DiskSpecification, _ path: String
    ) throws -> DiskSpecification {
        var options = DiskImage.CreationOptions()
        options.backingPath = base.path
        options.backingFormat = base.format
        try DiskImage.create(path: path, format: .qcow2, byteCount: nil, options: options)
        var disk = base
        disk.path = path
        disk.format = .qcow2
        return disk
    }

    /// All of a file, from its begin.
    static func read(_ descriptor: CInt) -> [UInt8] {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe readSome(descriptor, at: 0, into: $0)
        }
        return Array(bytes[..<count])
    }
}

/// What a clone is to be.
struct ClonePlan: Codable {
    var changes: RunChanges

    var name: String { changes.name ?? "" }
}

/// A clone's process, as `martlet fork` starts it.
struct CloneProcess {
    let plan: ClonePlan
    let process: pid_t
    private let errors: String

    /// Where a clone has the first of its files.
    static let firstDescriptor: CInt = 100

    /// - Throws: `XError`: the host cannot start it.
    init(_ plan: ClonePlan, folder: String, files: [CInt]) throws {
        self.plan = plan
        errors = "\(folder)/\(plan.name).err"
        let text = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
        let arguments = ["martlet", "clone", "--files", "\(files.count)", "--plan", text]
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let created = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(
            &actions, 1, "\(folder)/\(plan.name).out", created, 0o644)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, created, 0o644)
        for (number, file) in files.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(
                &actions, file, Self.firstDescriptor + CInt(number))
        }
        // Whoever waits for the end of a stream that this program was given does not wait for the clone's.
        let own = Self.firstDescriptor..<Self.firstDescriptor + CInt(files.count)
        for descriptor in 3..<Self.firstDescriptor + 128 where !own.contains(descriptor) {
            unsafe posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // A session of its own: what ends this terminal's does not end it.
        unsafe posix_spawnattr_setflags(&attributes, Int16(chost_SPAWN_SETSID))
        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe words.append(nil)
        defer { unsafe words.forEach { unsafe free($0) } }
        var process: pid_t = 0
        let result = unsafe posix_spawn(
            &process, "/proc/self/exe", &actions, &attributes, words, environ)
        guard result == 0 else {
            throw XError(
                .hostCall,
                "the clone '\(plan.name)' cannot be started: \(HostErrno(rawValue: result))")
        }
        self.process = process
    }

    /// - Throws: `XError`: it has ended before it ran, with what it has said.
    func waitUntilItRuns() throws {
        let path = try ControlDirectory().path(plan.name)
        while true {
            if (try? UnixSocket.connect(path)) != nil { return }
            var status: CInt = 0
            if unsafe waitpid(process, &status, WNOHANG) == process {
                // A short command may have been done already.
                if status == 0 { return }
                let text = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
                let line = text.split(separator: "\n").last.map(String.init)
                throw XError(
                    .hostCall,
                    "the clone '\(plan.name)' has ended: \(line ?? "see \(errors)")")
            }
            HostThread.sleep(nanoseconds: 1_000_000)
        }
    }
}

/// `martlet clone`: what `martlet fork` starts.
struct CloneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clone", abstract: "Goes on as a clone; martlet fork starts it.",
        shouldDisplay: false)

    @Option var files: Int
    @Option var plan: String

    func run() throws {
        let misuse = XError(
            .invalidArgument, "'martlet clone' is not for people: use martlet fork")
        guard (1...Int(chost_LARGEST_DESCRIPTOR_COUNT)).contains(files),
            let plan = try? JSONDecoder().decode(ClonePlan.self, from: Data(plan.utf8))
        else { throw misuse }
        let descriptors = (0..<files).map { CloneProcess.firstDescriptor + CInt($0) }
        for descriptor in descriptors {
            guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw misuse }
        }
        let bytes = ForkCommand.read(descriptors[0])
        close(descriptors[0])
        let snapshot = try MachineSnapshot(
            ForkedMachine(decoding: bytes, owning: Array(descriptors.dropFirst())))
        guard let data = snapshot.note(SavedRun.note),
            let saved = try? JSONDecoder().decode(SavedRun.self, from: data)
        else {
            throw XError(.invalidFormat, "what was forked was no martlet run")
        }
        var options = try saved.options(plan.changes)
        options.quiet = true
        let status = try GuestRun(
            options, plan.changes,
            resuming: GuestRun.Resumption(snapshot, saved, isAnother: true)
        ).run()
        if status != 0 { throw ExitCode(status) }
    }
}
