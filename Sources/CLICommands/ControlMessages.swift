internal import CHost
import Foundation
import Glibc
import HostIO
import Machine

/// What `martlet ps`, `poweroff` and the like say to a running `martlet run --name NAME`, and it to them:
/// JSON, a line each, over the machine's control socket.
enum ControlMessage {
    struct Request: Codable, Equatable {
        enum Kind: String, Codable {
            case status, power, stop, sysrq, suspend, checkpoint, resize, fork
        }

        var kind: Kind
        var power: PowerRequest?
        /// Of SysRq.
        var key: String?
        /// Where the machine is written, and whether compressed; of a fork the folder of images that are laid over
        /// its disks.
        var path: String?
        var compresses: Bool?
        /// Whose size changes, and how: as `DiskSizeChange` reads it; nil: as the host has it.
        var disk: String?
        var size: String?
        /// Seconds for the guest to acknowledge, and then to end.
        var acknowledgeSeconds: Double?
        var endSeconds: Double?
    }

    struct Status: Codable, Equatable {
        var name: String
        var process: Int32
        var platform: String
        var processorCount: Int
        var memoryByteCount: UInt64
        var seconds: Double
        var command: [String]
    }

    struct Reply: Codable, Equatable {
        /// What has happened, for a person.
        var step: String?
        var status: Status?
        /// The machine was forked: with this line come files, the first with what `ForkedMachine` decodes, the others
        /// with memory.
        var isForked: Bool?
        /// What went wrong; the last reply.
        var error: String?
        /// There are no more.
        var isLast = false
    }

    /// Bytes of a line at most.
    static let largestLine = 64 << 10

    static func line(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = (try? encoder.encode(value)).map { [UInt8]($0) } ?? []
        return bytes + [UInt8(ascii: "\n")]
    }
}

/// Takes lines off a socket that does not block.
struct ControlLines {
    private let descriptor: CInt
    private var pending: [UInt8] = []
    /// Files that came with the lines, for who takes them.
    private(set) var files: [CInt] = []

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    /// The next line without its end; nil: the other side is gone, sends too much, or nothing for so many
    /// milliseconds (-1: as long as it takes).
    mutating func next(milliseconds: CInt) -> [UInt8]? {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending.removeFirst(end + 1) }
                return Array(pending[..<end])
            }
            guard pending.count < ControlMessage.largestLine else { return nil }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&wait, 1, milliseconds) > 0 else { return nil }
            var buffer = [UInt8](repeating: 0, count: 4096)
            var descriptors = [CInt](repeating: -1, count: Int(chost_LARGEST_DESCRIPTOR_COUNT))
            var descriptorCount: CInt = 0
            let count = unsafe chost_receive_descriptors(
                descriptor, &buffer, buffer.count, &descriptors, &descriptorCount)
            files += descriptors[..<Int(descriptorCount)]
            guard count > 0 else { return nil }
            pending += buffer[..<count]
        }
    }
}
