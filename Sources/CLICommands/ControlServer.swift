internal import CHost
import Foundation
import Glibc
import HostIO
import Machine
import Synchronization
import Vocabulary

/// A running machine's end of its control socket. Each client has a thread.
///
/// Owner: `GuestRun`. Any thread.
final class ControlServer: Sendable {
    /// Nil once the machine has ended: another one may have its name.
    private let listener: RankedLock<UnixListener?>
    private let wake: EventCounter
    private let machine: Machine
    private let status: @Sendable () -> ControlMessage.Status
    /// What is kept with a machine that is suspended.
    private let notes: @Sendable () -> [String: Data]
    /// It is written down.
    private let noted: @Sendable () -> Void
    private let log: ConsoleLog
    /// One suspends at a time.
    private let isSuspending = Atomic<Bool>(false)
    private let clients = RankedLock(Clients(), owner: "control", rank: .leaf)
    private let acceptor = RankedLock<HostThread?>(nil, owner: "control-accept", rank: .leaf)
    private let ended = RankedLock<StopReason?>(nil, owner: "control-end", rank: .leaf)
    private let isClosed = Atomic<Bool>(false)
    private let restarts = Atomic<Bool>(false)

    private struct Clients {
        var threads: [Int: HostThread] = [:]
        var next = 0
        /// Those that have nothing to do any more.
        var ended: [Int] = []

        /// Lets go of those; how many are left.
        mutating func removeEnded() -> Int {
            for number in ended { threads[number] = nil }
            ended = []
            return threads.count
        }
    }

    /// Clients at once; others are turned away.
    private static let largestClientCount = 16

    /// - Parameter name: of the machine; another one that runs with it is an error.
    init(
        name: String, machine: Machine, log: ConsoleLog,
        status: @escaping @Sendable () -> ControlMessage.Status,
        notes: @escaping @Sendable () -> [String: Data], noted: @escaping @Sendable () -> Void
    ) throws(XError) {
        let path = try ControlDirectory().path(name)
        if (try? UnixSocket.connect(path)) != nil {
            throw XError(
                .busy,
                "a machine named '\(name)' runs already; take another --name, or end it with "
                    + "martlet stop \(name)")
        }
        let made = try UnixListener(path: path, option: "--name")
        listener = RankedLock(made, owner: "control-listener", rank: .leaf)
        wake = try EventCounter()
        self.machine = machine
        self.status = status
        self.notes = notes
        self.noted = noted
        self.log = log
        let thread = try HostThread.spawn(name: "control") { [self] in accept(made) }
        acceptor.withLock { $0 = thread }
    }

    /// A reboot was asked for: the machine is to be made again.
    var wantsRestart: Bool { restarts.load(ordering: .acquiring) }

    /// The machine has ended: clients that wait for it are told, and no more are taken.
    func close(_ reason: StopReason?) {
        isClosed.store(true, ordering: .releasing)
        wake.signal()
        let thread = acceptor.withLock { acceptor in
            defer { acceptor = nil }
            return acceptor
        }
        thread?.join()
        listener.withLock { $0 = nil }
        // Who is told of the end may take the name, and the disks.
        ended.withLock { $0 = reason ?? .requested }
        for client in clients.withLock({ $0.threads }).values { client.join() }
    }

    // MARK: Clients

    private func accept(_ listener: UnixListener) {
        while !isClosed.load(ordering: .acquiring) {
            var waits = [
                pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = unsafe poll(&waits, 2, -1)
            guard case .connection(let connection) = listener.accept() else { continue }
            let descriptor = connection.release()
            // Only this thread adds clients, and takes those away that have ended.
            let (count, number) = clients.withLock { clients in
                clients.next += 1
                return (clients.removeEnded(), clients.next)
            }
            guard count < Self.largestClientCount,
                let thread = try? HostThread.spawn(
                    name: "control-client",
                    { [self] in
                        serve(Descriptor(owning: descriptor))
                        clients.withLock { $0.ended.append(number) }
                    })
            else {
                Glibc.close(descriptor)
                continue
            }
            clients.withLock { $0.threads[number] = thread }
        }
    }

    private func serve(_ connection: consuming Descriptor) {
        let descriptor = connection.rawValue
        var lines = ControlLines(descriptor)
        func reply(_ reply: ControlMessage.Reply) {
            _ = UnixSocket.sendAll(
                descriptor, ControlMessage.line(reply), milliseconds: 1000)
        }
        guard let line = lines.next(milliseconds: 5000),
            let request = try? JSONDecoder().decode(
                ControlMessage.Request.self, from: Data(line))
        else { return reply(.init(error: "this is no request", isLast: true)) }
        do {
            try perform(request) {
                reply(.init(step: $0))
            } status: {
                reply(.init(status: $0))
            } forked: { fork in
                try send(fork, descriptor)
            }
            reply(.init(isLast: true))
        } catch {
            let message = (error as? XError)?.message ?? "\(error)"
            reply(.init(error: message, isLast: true))
        }
    }

    private func perform(
        _ request: ControlMessage.Request, step: @escaping (String) -> Void,
        status tell: (ControlMessage.Status) -> Void, forked: (ForkedMachine) throws -> Void
    ) throws {
        switch request.kind {
        case .status: tell(status())
        case .sysrq:
            guard let key = request.key?.first else {
                throw XError(.invalidArgument, "no key was given")
            }
            try machine.press(systemRequest: key)
            step("pressed SysRq \(key)")
        case .suspend, .checkpoint: try suspend(request, step)
        case .fork: try forked(try fork(request, step))
        case .resize: try resize(request, step)
        case .power, .stop:
            let power = request.power ?? .powerOff
            if power == .reboot { restarts.store(true, ordering: .releasing) }
            do {
                try sequence(request, power).run(step)
            } catch {
                restarts.store(false, ordering: .releasing)
                throw error
            }
        }
    }

    private func resize(_ request: ControlMessage.Request, _ step: (String) -> Void) throws {
        guard let disk = request.disk else { throw XError(.invalidArgument, "no disk was named") }
        var wanted: UInt64?
        if let text = request.size {
            let old = machine.byteCount(ofDisk: disk) ?? 0
            wanted = DiskSizeChange(argument: text)?.applied(to: old)
            guard wanted != nil else {
                throw XError(
                    .invalidArgument, "the size '\(text)' is none: give one such as 10G or +1G")
            }
        }
        let size = try machine.resizeDisk(disk, to: wanted)
        step("\(disk) has \(ByteSize.text(size)) now")
    }

    /// One at a time: the guest stands still.
    private func writeDown<Result>(
        _ request: ControlMessage.Request, _ step: @escaping (String) -> Void,
        _ body: (SuspendOptions, SuspendObserver) throws -> Result
    ) throws -> Result {
        guard !isSuspending.exchange(true, ordering: .acquiringAndReleasing) else {
            throw XError(.busy, "the guest is being suspended already: wait for that")
        }
        defer { isSuspending.store(false, ordering: .releasing) }
        var options = SuspendOptions()
        options.goesOn = request.kind != .suspend
        options.compresses = request.compresses ?? false
        options.acknowledgeSeconds = request.acknowledgeSeconds ?? options.acknowledgeSeconds
        options.seconds = request.endSeconds ?? options.seconds
        let mark = log.byteCount
        var observer = SuspendObserver()
        observer.notes = notes
        observer.noted = noted
        observer.refusal = { [log] in SuspendRefusal.reason(in: log.text(after: mark)) }
        observer.step = step
        return try body(options, observer)
    }

    private func suspend(
        _ request: ControlMessage.Request, _ step: @escaping (String) -> Void
    ) throws {
        guard let path = request.path else { throw XError(.invalidArgument, "no file was named") }
        try writeDown(request, step) { options, observer in
            try machine.suspend(to: path, options, observer)
        }
        if request.kind == .checkpoint { return }
        // The disks are free then, for whoever goes on with it.
        while ended.withLock({ $0 }) == nil { HostThread.sleep(nanoseconds: 5_000_000) }
        step("the machine has ended: \(StopReason.suspended)")
    }

    private func fork(
        _ request: ControlMessage.Request, _ step: @escaping (String) -> Void
    ) throws -> ForkedMachine {
        guard let folder = request.path else {
            throw XError(.invalidArgument, "no folder was named")
        }
        let name = status().name
        return try writeDown(request, step) { options, observer in
            try machine.fork(
                options,
                overlay: { disk in
                    // One for each time that it was forked.
                    (1...).lazy.map { "\(folder)/\(name)-\(disk).\($0).qcow2" }
                        .first { !FileManager.default.fileExists(atPath: $0) } ?? ""
                }, observer)
        }
    }

    private func send(_ fork: ForkedMachine, _ descriptor: CInt) throws {
        let description = unsafe chost_memfd_create("martlet-fork", chost_MFD_CLOEXEC)
        defer { Glibc.close(description) }
        let failure = XError(
            .hostCall, "the clones' description cannot be written: the host has no memory left")
        guard description >= 0 else { throw failure }
        var done = 0
        let bytes = fork.encoded
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes {
                unsafe Glibc.write(description, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw failure }
            done += count
        }
        let files = [description] + fork.descriptors
        let line = ControlMessage.line(ControlMessage.Reply(isForked: true))
        let sent = unsafe line.withUnsafeBytes {
            unsafe chost_send_descriptors(
                descriptor, $0.baseAddress.unsafelyUnwrapped, $0.count, files, CInt(files.count))
        }
        guard sent == line.count else {
            throw XError(.hostCall, "who asked for clones has gone")
        }
    }

    private func sequence(
        _ request: ControlMessage.Request, _ power: PowerRequest
    ) -> PowerSequence {
        PowerSequence(
            request: power, isForced: request.kind == .stop,
            acknowledgeSeconds: request.acknowledgeSeconds ?? PowerSequence.acknowledgeSeconds,
            endSeconds: request.endSeconds ?? PowerSequence.endSeconds,
            guest: PowerSequence.Guest(
                ask: { [machine] in try machine.ask($0) },
                hasAcknowledged: { [machine] in machine.hasAcknowledged },
                withdraw: { [machine] in machine.withdrawRequest() },
                stop: { [machine] in machine.stop() },
                end: { [self] in ended.withLock { $0 }?.description }))
    }
}
