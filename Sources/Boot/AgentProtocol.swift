/// What the host and the agent in the guest say to each other over a terminal of the guest's.
///
/// A frame is a type (one byte), the payload's length (two, little-endian) and the payload. Output
/// and input are bounded by credit: the host's START and CREDIT frames allow the agent so many bytes
/// of output, the agent's CREDIT frames allow the host so many bytes of standard input. Sources of
/// the agent: Guests/agent.
///
/// Xen's consoles hang up when a suspended guest goes on, and what was on its way is lost. The agent then
/// opens its terminal again and sends REJOIN, the host answers with REJOINED, and each sends what the other
/// says it has not got. As what is written while the terminal comes up may be lost, READY and REJOIN are
/// said until they are answered. Frames are counted from START and the first answer on; READY, REJOIN and REJOINED
/// are not.
public enum AgentProtocol {
    /// What the agent's READY frame must say.
    public static let version: UInt16 = 2
    /// Bytes in the payload of a frame at most.
    public static let largestPayload = 65535

    /// What to run.
    public struct Start: Sendable, Equatable {
        /// The program, looked up in PATH, and its arguments; not empty.
        public var arguments: [String]
        /// `NAME=value` each.
        public var environment: [String] = []
        /// Empty for the root folder.
        public var workingDirectory = "/root"
        /// Gives the program a terminal instead of three pipes.
        public var usesTerminal = false
        public var window = WindowSize(rows: 24, columns: 80)
        /// The agent waits for another START afterwards, instead of powering off.
        public var staysAfterExit = false
        /// Bytes of output that may come before the first CREDIT.
        public var outputCredit: UInt32 = 1 << 16

        public init(arguments: [String]) { self.arguments = arguments }
    }

    public struct WindowSize: Sendable, Equatable {
        public var rows: UInt16
        public var columns: UInt16

        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// From the host to the guest.
    public enum HostFrame: Sendable, Equatable {
        case start(Start)
        case standardInput([UInt8])
        case endOfInput
        case windowSize(WindowSize)
        /// To the program's process group; the number is Linux's.
        case signal(UInt8)
        /// So many more bytes of output are welcome.
        case credit(UInt32)
        /// The host has got so many frames of the agent, and sends its own from a number on.
        case rejoined(received: UInt64, next: UInt64)
        /// Who the machine is from now on.
        case identity(Identity)
    }

    /// What a machine is told that goes on as a copy of another one, or after a while.
    public struct Identity: Sendable, Equatable {
        /// 32 bytes for the kernel's random numbers.
        public var seed: [UInt8]
        /// The time in nanoseconds since 1970; 0: the kernel knows it already.
        public var wallClock: UInt64
        /// Of eth0 and so on, 6 bytes each.
        public var hardwareAddresses: [[UInt8]]
        /// The host name, where nobody in the guest has chosen another; empty: as it is.
        public var name: String

        public init(
            seed: [UInt8], wallClock: UInt64, hardwareAddresses: [[UInt8]], name: String
        ) {
            self.seed = seed
            self.wallClock = wallClock
            self.hardwareAddresses = hardwareAddresses
            self.name = name
        }
    }

    /// How the program ended.
    public enum Exit: Sendable, Equatable {
        case code(UInt8)
        case signal(UInt8)
        /// It could not be started: Linux's error number.
        case notStarted(UInt8)

        /// As a shell shows it: 128 + n for signal n.
        public var shellStatus: Int32 {
            switch self {
            case .code(let code): Int32(code)
            case .signal(let number): 128 + Int32(number & 127)
            case .notStarted: 126
            }
        }
    }

    /// From the guest to the host.
    public enum GuestFrame: Sendable, Equatable {
        case ready(version: UInt16)
        case standardOutput([UInt8])
        case standardError([UInt8])
        case exit(Exit)
        /// So many more bytes of standard input are welcome.
        case credit(UInt32)
        /// The terminal was opened again; the agent has got so many frames of the host.
        case rejoin(UInt64)
        /// One that this version does not know, or with a payload that is too short.
        case unknown(type: UInt8, [UInt8])
    }

    /// The bytes of a frame; nil if it does not fit: START with more than 64 KiB of strings, or with
    /// a NUL in one of them, and input of more than `largestPayload` bytes.
    public static func encode(_ frame: HostFrame) -> [UInt8]? {
        switch frame {
        case .start(let start): encode(start).flatMap { Self.frame(1, $0) }
        case .standardInput(let bytes): Self.frame(2, bytes)
        case .endOfInput: Self.frame(3, [])
        case .windowSize(let size): Self.frame(4, word(size.rows) + word(size.columns))
        case .signal(let number): Self.frame(5, [number])
        case .credit(let count): Self.frame(6, word(count))
        case .rejoined(let received, let next): Self.frame(7, word(received) + word(next))
        case .identity(let identity): encode(identity).flatMap { Self.frame(8, $0) }
        }
    }

    private static func encode(_ identity: Identity) -> [UInt8]? {
        guard identity.seed.count == 32, identity.hardwareAddresses.count < 256,
            identity.hardwareAddresses.allSatisfy({ $0.count == 6 })
        else { return nil }
        return identity.seed + word(identity.wallClock)
            + [UInt8(identity.hardwareAddresses.count)]
            + identity.hardwareAddresses.flatMap { $0 } + Array(identity.name.utf8)
    }

    private static func encode(_ start: Start) -> [UInt8]? {
        let strings = [start.workingDirectory] + start.arguments + start.environment
        guard !start.arguments.isEmpty, start.arguments.count + start.environment.count <= 4000,
            strings.allSatisfy({ !$0.utf8.contains(0) })
        else { return nil }
        var bytes: [UInt8] = [(start.usesTerminal ? 1 : 0) | (start.staysAfterExit ? 2 : 0)]
        bytes += word(start.window.rows) + word(start.window.columns) + word(start.outputCredit)
        bytes += word(UInt16(start.arguments.count)) + word(UInt16(start.environment.count))
        for string in strings { bytes += Array(string.utf8) + [0] }
        return bytes
    }

    private static func frame(_ type: UInt8, _ payload: [UInt8]) -> [UInt8]? {
        guard payload.count <= largestPayload else { return nil }
        return [type] + word(UInt16(payload.count)) + payload
    }

    private static func word<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// Takes the bytes that come from the agent and gives the frames in them.
    ///
    /// It never holds more than a frame, and never fails: what the guest may send is a frame or an
    /// unknown one.
    public struct Decoder: Sendable {
        private var pending: [UInt8] = []

        public init() {}

        /// Goes on where another one stands.
        public init(pending: [UInt8]) { self.pending = pending }

        /// What has come of the frame that has begun.
        public var unfinished: [UInt8] { pending }

        /// True between frames.
        public var isAtFrameBoundary: Bool { pending.isEmpty }

        /// Forgets the frame that has begun: all of it comes again.
        public mutating func restart() { pending = [] }

        /// The frames from the first REJOIN on: what is before it is the rest of something that comes again,
        /// or comes from nobody who would say it whole.
        public mutating func decodeFromRejoin(_ bytes: some Sequence<UInt8>) -> [GuestFrame] {
            pending.append(contentsOf: bytes)
            let head: [UInt8] = [0x86, 8, 0]
            var start = 0
            while start + 11 <= pending.count {
                // A count of frames is no larger than 2^40.
                let isRejoin =
                    pending[start..<(start + 3)].elementsEqual(head)
                    && pending[(start + 8)..<(start + 11)].allSatisfy { $0 == 0 }
                if isRejoin {
                    pending.removeFirst(start)
                    return decode([])
                }
                start += 1
            }
            pending.removeFirst(start)
            return []
        }

        /// The frames that are whole with these bytes.
        public mutating func decode(_ bytes: some Sequence<UInt8>) -> [GuestFrame] {
            pending.append(contentsOf: bytes)
            var frames: [GuestFrame] = []
            var start = 0
            while pending.count - start >= 3 {
                let count = Int(pending[start + 1]) | Int(pending[start + 2]) << 8
                guard pending.count - start - 3 >= count else { break }
                let payload = Array(pending[(start + 3)..<(start + 3 + count)])
                frames.append(Self.frame(pending[start], payload))
                start += 3 + count
            }
            // Removing nothing would still move all of it, at each byte of a long frame.
            if start > 0 { pending.removeFirst(start) }
            return frames
        }

        private static func frame(_ type: UInt8, _ payload: [UInt8]) -> GuestFrame {
            switch (type, payload.count) {
            case (0x81, 2...): return .ready(version: word(payload))
            case (0x82, _): return .standardOutput(payload)
            case (0x83, _): return .standardError(payload)
            case (0x84, 2...):
                switch payload[0] {
                case 0: return .exit(.code(payload[1]))
                case 1: return .exit(.signal(payload[1]))
                default: return .exit(.notStarted(payload[1]))
                }
            case (0x85, 4...): return .credit(word(payload))
            case (0x86, 8...): return .rejoin(word(payload))
            default: return .unknown(type: type, payload)
            }
        }

        private static func word<T: FixedWidthInteger>(_ bytes: [UInt8]) -> T {
            var value: T = 0
            for index in 0..<MemoryLayout<T>.size { value |= T(bytes[index]) << T(index * 8) }
            return value
        }
    }
}
