public import Glibc
public import Vocabulary

/// An open file of the host, closed at the end of its life.
public struct Descriptor: ~Copyable, Sendable {
    /// The number; valid as long as this value. -1 after `release`.
    public let rawValue: CInt

    /// Takes over an open descriptor.
    public init(owning rawValue: CInt) { self.rawValue = rawValue }

    /// Opens a file.
    public init(path: String, flags: CInt, mode: mode_t = 0o666) throws(XError) {
        rawValue = CInt(
            try hostCall("open \(path)") { unsafe Int(open(path, flags | O_CLOEXEC, mode)) })
    }

    deinit { close(rawValue) }

    /// Gives the open descriptor to the caller.
    public consuming func release() -> CInt {
        let value = rawValue
        discard self
        return value
    }

    /// Whether calls return at once instead of waiting for the other side.
    public borrowing func setNonblocking(_ on: Bool) throws(XError) {
        let value = rawValue
        let flags = try hostCall("read the flags of descriptor \(value)") {
            Int(fcntl(value, F_GETFL))
        }
        let wanted = on ? CInt(flags) | O_NONBLOCK : CInt(flags) & ~O_NONBLOCK
        _ = try hostCall("set the flags of descriptor \(value)") {
            Int(fcntl(value, F_SETFL, wanted))
        }
    }
}

/// Both ends of a pipe, not blocking.
public struct Pipe: ~Copyable, Sendable {
    public let read: Descriptor
    public let write: Descriptor

    public init() throws(XError) {
        var ends: [CInt] = [-1, -1]
        _ = try hostCall("make a pipe") { unsafe Int(pipe(&ends)) }
        read = Descriptor(owning: ends[0])
        write = Descriptor(owning: ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK)
        }
    }
}

/// Reads what is there, up to the size of `buffer`; 0 at the end, nil if the read would block.
public func readSome(
    _ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer
) throws(XError) -> Int? {
    do {
        return try hostCall("read from descriptor \(descriptor)") {
            unsafe read(descriptor, buffer.baseAddress, buffer.count)
        }
    } catch {
        if error.hostErrno == .wouldBlock { return nil }
        throw error
    }
}

/// Writes all of `bytes`, waiting where the descriptor does not block.
public func writeAll(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) throws(XError) {
    var done = 0
    while done < bytes.count {
        let from = done
        do {
            done += try hostCall("write to descriptor \(descriptor)") {
                unsafe write(
                    descriptor, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from)
            }
        } catch {
            guard error.hostErrno == .wouldBlock else { throw error }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = unsafe poll(&wanted, 1, -1)
        }
    }
}

/// Writes all of `bytes`, waiting where the descriptor does not block.
public func writeAll(_ descriptor: CInt, _ bytes: [UInt8]) throws(XError) {
    let failure: XError? = unsafe bytes.withUnsafeBytes { buffer in
        do throws(XError) {
            try unsafe writeAll(descriptor, buffer)
            return nil
        } catch { return error }
    }
    if let failure { throw failure }
}

/// Writes all of `bytes` at a place in a file.
public func writeAll(_ descriptor: CInt, _ bytes: [UInt8], at offset: Int) throws(XError) {
    var done = 0
    while done < bytes.count {
        let from = done
        done += try hostCall("write to descriptor \(descriptor) at byte \(offset + from)") {
            // SAFETY: the range from `from` to the end lies in the array.
            unsafe bytes.withUnsafeBytes { buffer in
                unsafe pwrite(
                    descriptor, buffer.baseAddress.map { unsafe $0 + from },
                    buffer.count - from, off_t(offset + from))
            }
        }
    }
}
