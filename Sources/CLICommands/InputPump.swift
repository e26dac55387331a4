import Foundation
import Glibc

/// Reads a descriptor on a thread of its own and hands on what comes, until the end or `stop`.
final class InputPump: Sendable {
    private let descriptor: Int32
    /// Written to end the wait for input.
    private let stopPipe: (read: Int32, write: Int32)
    private let handler: @Sendable (Event) -> Void

    enum Event: Sendable {
        case bytes([UInt8])
        case end
        /// Nothing came for a while: time to look at other things.
        case tick
    }

    init(_ descriptor: Int32, handler: @escaping @Sendable (Event) -> Void) {
        self.descriptor = descriptor
        self.handler = handler
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        stopPipe = (ends[0], ends[1])
    }

    deinit {
        close(stopPipe.read)
        close(stopPipe.write)
    }

    func start() {
        let thread = Thread { [self] in pump() }
        thread.name = "stdin"
        thread.start()
    }

    func stop() {
        DescriptorOutput.write([0], to: stopPipe.write)
    }

    private func pump() {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            var descriptors = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopPipe.read, events: Int16(POLLIN), revents: 0),
            ]
            let ready = unsafe poll(&descriptors, 2, 250)
            if descriptors[1].revents != 0 { return }
            guard ready > 0 else {
                if ready < 0, errno != EINTR { return handler(.end) }
                handler(.tick)
                continue
            }
            guard descriptors[0].revents != 0 else { continue }
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count > 0 {
                handler(.bytes(Array(buffer[..<count])))
            } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
                return handler(.end)
            }
        }
    }
}
