import Boot
import Foundation
internal import HostIO
import Machine

/// The host's end of the agent channel: starts the program, feeds its input and passes its output on.
///
/// Bytes of the guest arrive on a thread that never waits: output is written by a queue of
/// its own, and the agent sends no more than that queue has given it credit for.
final class AgentSession: Sendable {
    private struct State {
        var decoder = AgentProtocol.Decoder()
        /// Bytes for the guest that its port has not taken yet.
        var outgoing: [UInt8] = []
        /// Frames that were sent, for a guest whose terminal has hung up.
        var sent = SentFrames()
        /// Frames of the guest that count.
        var received: UInt64 = 0
        /// Nothing is sent before the guest has said what it has.
        var isJoined = true
        /// Nothing is sent while the machine is written down.
        var isFrozen = false
        /// Somebody wants the guest when its agent is ready and the program has not begun.
        var beforeStart: (@Sendable () -> Void)?
        /// That is now.
        var holdsStart = false
        var exit: AgentProtocol.Exit?
        var hasSentExit = false
        var isReady = false
        /// Bytes of output the guest may send before more are written. What goes beyond is dropped.
        var outputAllowance: Int
        /// Bytes of output written since the last CREDIT frame.
        var creditDue: UInt32 = 0
    }

    private let start: AgentProtocol.Start
    /// Called once, on the output queue, before anything of the program's is written.
    private let onReady: @Sendable () -> Void
    private let standardOutput: Int32
    private let standardError: Int32
    /// Held while the port takes bytes.
    private let state: RankedLock<State>
    private let machine = RankedLock<Machine?>(nil, owner: "agent-machine", rank: .leaf)
    private let output = DispatchQueue(label: "guest-output")
    private let input = NSCondition()
    /// Bytes of standard input the agent still takes; guarded by `input`.
    private nonisolated(unsafe) var inputCredit = 0

    init(
        _ start: AgentProtocol.Start, standardOutput: Int32 = STDOUT_FILENO,
        standardError: Int32 = STDERR_FILENO, onReady: @escaping @Sendable () -> Void = {}
    ) {
        self.start = start
        self.onReady = onReady
        self.standardOutput = standardOutput
        self.standardError = standardError
        state = RankedLock(
            State(outputAllowance: Int(start.outputCredit)), owner: "agent-session", rank: .machine)
    }

    /// The machine, once it is made and before it starts.
    func attach(_ machine: Machine) { self.machine.withLock { $0 = machine } }

    /// When the agent is ready `body` is called in place of the program's begin, which is then by `begin`: on the
    /// port's interrupt thread, and must not wait. Before the machine starts.
    func holdStart(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.beforeStart = body }
    }

    /// How the program ended, after all of its output has been written; nil while it runs.
    var exit: AgentProtocol.Exit? { state.withLock { $0.exit } }

    // MARK: Standing still

    /// What goes on in a later process.
    struct Saved: Codable {
        var sent: SentFrames
        var received: UInt64
        var outputAllowance: Int
        var creditDue: UInt32
        var inputCredit: Int
        /// What is on its way, where a terminal does not hang up; nil: it does, and all of it comes again.
        var onItsWay: OnItsWay?
        /// The agent waits for a program; nil: one runs.
        var waitsForProgram: Bool?
    }

    struct OnItsWay: Codable {
        /// The begin of a frame of the guest's.
        var unfinished: [UInt8]
        /// Bytes for the guest that its port has not taken yet.
        var outgoing: [UInt8]
    }

    /// While no vCPU runs; nothing is sent from now on until `thaw`. Nil: the program has not begun, unless
    /// that is wanted, or has ended.
    ///
    /// - Parameter hangsUp: the guest's terminal loses what is on its way.
    func capture(hangsUp: Bool) -> Saved? {
        state.withLock { $0.isFrozen = true }
        settle()
        input.lock()
        let credit = unsafe inputCredit
        input.unlock()
        return state.withLock { state in
            guard state.isReady, state.exit == nil, !state.hasSentExit else { return nil }
            // What has come since is written by this process, but its credit is due in the next.
            let coming = Int(start.outputCredit) - state.outputAllowance
            return Saved(
                sent: state.sent, received: state.received,
                outputAllowance: Int(start.outputCredit),
                creditDue: state.creditDue &+ UInt32(clamping: coming), inputCredit: credit,
                onItsWay: hangsUp
                    ? nil
                    : OnItsWay(
                        unfinished: state.decoder.unfinished, outgoing: state.outgoing),
                waitsForProgram: state.holdsStart ? true : nil)
        }
    }

    /// The machine is written down.
    func thaw() {
        state.withLock { $0.isFrozen = false }
        flush()
    }

    /// Goes on with an agent that is there already, once it has joined again where its terminal has hung up.
    /// Before the machine starts.
    ///
    /// - Parameter identity: what the machine is told; nil: it is who it was.
    func restore(_ saved: Saved, _ identity: AgentProtocol.Identity? = nil) {
        let waits = saved.waitsForProgram == true
        state.withLock { state in
            state.isReady = true
            state.isJoined = saved.onItsWay != nil
            if !waits {
                state.sent = saved.sent
                state.received = saved.received
                state.outputAllowance = saved.outputAllowance
                state.creditDue = saved.creditDue
            }
            if let onItsWay = saved.onItsWay {
                state.decoder = AgentProtocol.Decoder(pending: onItsWay.unfinished)
                if !waits { state.outgoing = onItsWay.outgoing }
            }
        }
        if !waits {
            input.lock()
            unsafe inputCredit = saved.inputCredit
            input.unlock()
        }
        if let identity { send(.identity(identity)) }
        output.async { [self] in onReady() }
        if waits { send(.start(start)) }
    }

    // MARK: From the guest

    /// Bytes from the guest, on the port's interrupt thread or a vCPU's.
    func receive(_ bytes: [UInt8]) {
        let frames = state.withLock { state in
            state.isJoined
                ? state.decoder.decode(bytes) : state.decoder.decodeFromRejoin(bytes)
        }
        for frame in frames {
            switch frame {
            case .ready, .rejoin: break
            default: state.withLock { $0.received &+= 1 }
            }
            handle(frame)
        }
    }

    private func handle(_ frame: AgentProtocol.GuestFrame) {
        switch frame {
        case .ready:
            let (first, beforeStart) = state.withLock { state in
                defer { state.isReady = true }
                state.holdsStart = state.holdsStart || !state.isReady && state.beforeStart != nil
                return (!state.isReady, state.beforeStart)
            }
            guard first else { return }
            if let beforeStart { beforeStart() } else { begin() }
        case .standardOutput(let bytes): write(bytes, to: standardOutput)
        case .standardError(let bytes): write(bytes, to: standardError)
        case .exit(let exit):
            let first = state.withLock { state in
                defer { state.hasSentExit = true }
                return !state.hasSentExit
            }
            guard first else { return }
            output.async { [self] in
                state.withLock { $0.exit = exit }
                input.lock()
                unsafe inputCredit = .max
                input.broadcast()
                input.unlock()
            }
        case .credit(let count):
            // A guest that takes nothing and asks for more is not heard.
            guard state.withLock({ $0.outgoing.count }) <= Self.largestBacklog else { return }
            input.lock()
            if unsafe inputCredit < .max {
                unsafe inputCredit = min(inputCredit + Int(count), Self.largestBacklog)
            }
            input.broadcast()
            input.unlock()
        case .rejoin(let count): rejoin(count)
        case .unknown: break
        }
    }

    /// The terminal has hung up: nothing is sent until the agent has joined again. Any thread.
    func hangUp() {
        state.withLock { state in
            state.isJoined = !state.isReady
            state.decoder.restart()
        }
    }

    /// The guest has so many frames; those after them are sent again.
    private func rejoin(_ count: UInt64) {
        state.withLock { state in
            let next = state.sent.next(from: count)
            let answer = AgentProtocol.HostFrame.rejoined(received: state.received, next: next)
            state.outgoing = (AgentProtocol.encode(answer) ?? []) + state.sent.bytes(from: next)
            state.isJoined = true
        }
        flush()
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) {
        let isAllowed = state.withLock { state in
            guard !bytes.isEmpty, bytes.count <= state.outputAllowance else { return false }
            state.outputAllowance -= bytes.count
            return true
        }
        guard isAllowed else { return }
        output.async { [self] in
            DescriptorOutput.write(bytes, to: descriptor)
            state.withLock { state in
                state.outputAllowance += bytes.count
                state.creditDue &+= UInt32(bytes.count)
            }
            flush()
        }
    }

    /// Bytes for the guest that may wait while it takes none.
    private static let largestBacklog = 1 << 16

    /// Bytes held for either side; for tests.
    var heldByteCount: Int {
        state.withLock {
            $0.outgoing.count + $0.sent.byteCount + Int(start.outputCredit) - $0.outputAllowance
        }
    }

    // MARK: To the guest

    /// START goes before anything that was to be sent while the guest was booting: until READY the
    /// port is a terminal that echoes.
    ///
    /// Once; any thread.
    func begin() {
        output.async { [self] in onReady() }
        guard let bytes = AgentProtocol.encode(.start(start)) else { return }
        state.withLock { state in
            state.holdsStart = false
            state.sent.prepend(bytes)
            state.outgoing = bytes + state.outgoing
        }
        flush()
    }

    private func send(_ frame: AgentProtocol.HostFrame) {
        guard let bytes = AgentProtocol.encode(frame) else { return }
        state.withLock { state in
            state.sent.append(bytes)
            state.outgoing += bytes
        }
        flush()
    }

    /// Gives the port what it takes. Any thread; called again when it has room.
    func flush() {
        guard let machine = machine.withLock({ $0 }) else { return }
        state.withLock { state in
            guard state.isReady, state.isJoined, !state.isFrozen, !state.holdsStart else { return }
            while true {
                // One CREDIT frame for all that was written: a guest that reads none costs nothing.
                if state.outgoing.isEmpty, state.creditDue > 0 {
                    state.outgoing = AgentProtocol.encode(.credit(state.creditDue)) ?? []
                    state.sent.append(state.outgoing)
                    state.creditDue = 0
                }
                if state.outgoing.isEmpty { return }
                let taken = machine.send(state.outgoing, toPort: Machine.commandPort)
                if taken == 0 { return }
                state.outgoing.removeFirst(taken)
            }
        }
    }

    /// Standard input for the program. Waits for the agent's credit; not on a vCPU's thread.
    func feed(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            input.lock()
            while unsafe inputCredit == 0 { input.wait() }
            let count = unsafe min(rest.count, inputCredit, AgentProtocol.largestPayload)
            if unsafe inputCredit < .max { unsafe inputCredit -= count }
            input.unlock()
            if exit != nil { return }
            send(.standardInput(Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
    }

    func endInput() { send(.endOfInput) }

    func resize(_ window: Terminal.WindowSize) {
        send(.windowSize(AgentProtocol.WindowSize(rows: window.rows, columns: window.columns)))
    }

    /// Waits until all that the guest has sent is written, and `exit` is known if it was sent. To be
    /// called once no vCPU runs: the queue may be behind the guest's end.
    func settle() { output.sync {} }
}
