import Glibc
import HostIO
import Vocabulary

/// Sockets of the host, on its loopback interface or another address of it.
enum HostSockets {
    static let loopback: UInt32 = 0x7f00_0001

    private static func withAddress<Result>(
        _ address: UInt32, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr = in_addr(s_addr: address.bigEndian)
        return unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func make(_ kind: __socket_type) throws -> CInt {
        let result = socket(AF_INET, CInt(kind.rawValue), 0)
        if result < 0 { throw XError(.hostCall, "socket: \(errno)") }
        // Nothing here waits for ever.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(
            result, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(
            result, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return result
    }

    /// A socket that others connect to.
    static func listen(
        _ kind: __socket_type = SOCK_STREAM, at address: UInt32 = loopback, port: UInt16 = 0
    ) throws -> Descriptor {
        let number = try make(kind)
        let descriptor = Descriptor(owning: number)
        let bound = unsafe withAddress(address, port) { unsafe bind(number, $0, $1) }
        if bound != 0 { throw XError(.hostCall, "bind: \(errno)") }
        if kind == SOCK_STREAM, Glibc.listen(number, 8) != 0 {
            throw XError(.hostCall, "listen: \(errno)")
        }
        return descriptor
    }

    /// Of a bound socket.
    static func port(_ descriptor: borrowing Descriptor) -> UInt16 {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = unsafe getsockname(descriptor.rawValue, $0, &length)
            }
        }
        return UInt16(bigEndian: name.sin_port)
    }

    /// A port that nobody has now.
    static func freePort() throws -> UInt16 { port(try listen()) }

    static func accept(_ listener: borrowing Descriptor) throws -> Descriptor {
        let number = Glibc.accept(listener.rawValue, nil, nil)
        if number < 0 { throw XError(.hostCall, "accept: \(errno)") }
        return Descriptor(owning: number)
    }

    static func connect(
        _ kind: __socket_type = SOCK_STREAM, to address: UInt32 = loopback, port: UInt16
    ) throws -> Descriptor {
        let number = try make(kind)
        let descriptor = Descriptor(owning: number)
        let done = unsafe withAddress(address, port) { unsafe Glibc.connect(number, $0, $1) }
        if done != 0 { throw XError(.hostCall, "connect: \(errno)") }
        return descriptor
    }

    static func read(_ descriptor: borrowing Descriptor, _ count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while result.count < count {
            let limit = min(buffer.count, count - result.count)
            let got = unsafe Glibc.read(descriptor.rawValue, &buffer, limit)
            if got < 0 { throw XError(.hostCall, "read: \(errno)") }
            if got == 0 { break }
            result += buffer[0..<got]
        }
        return result
    }
}
