import Glibc
import Vocabulary

/// Runs a program of the host to its end.
struct HostCommand {
    struct Result {
        /// 0 for success; 128 + n if signal n ended it.
        var status: Int32
        var output: String
        /// The last 64 KiB of standard error.
        var errors: String
    }

    /// Throws `XError.notFound` if there is no such program.
    ///
    /// - Parameters:
    ///   - arguments: the program, looked up in PATH, and its arguments.
    ///   - directory: working directory.
    static func run(_ arguments: [String], in directory: String? = nil) throws(XError) -> Result {
        var ends: [Int32] = [-1, -1]
        var errorEnds: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw failure(arguments, errno) }
        guard unsafe pipe(&errorEnds) == 0 else {
            let number = errno
            for end in ends { close(end) }
            throw failure(arguments, number)
        }
        for end in ends + errorEnds { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer {
            close(ends[0])
            close(errorEnds[0])
        }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errorEnds[1], 2)
        let arguments = (directory.map { ["env", "-C", $0] } ?? []) + arguments
        // SAFETY: the copies of the strings live until after the call, and are freed here.
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        var environment = unsafe englishEnvironment()
        defer {
            for index in unsafe pointers.indices { unsafe free(pointers[index]) }
            for index in unsafe environment.indices { unsafe free(environment[index]) }
        }
        var process: pid_t = 0
        let error = unsafe posix_spawnp(
            &process, arguments[0], &actions, nil, &pointers, &environment)
        close(ends[1])
        close(errorEnds[1])
        guard error == 0 else { throw failure(arguments, error) }
        let (output, errors) = drain(ends[0], errorEnds[0])
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return Result(
            status: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
            output: String(decoding: output, as: UTF8.self),
            errors: String(decoding: errors, as: UTF8.self))
    }

    private static func failure(_ arguments: [String], _ number: Int32) -> XError {
        let reason = unsafe String(cString: strerror(number))
        return XError(
            number == ENOENT ? .notFound : .hostCall,
            "cannot run '\(arguments[0])': \(reason)")
    }

    /// The host's environment with messages in English, since some are looked at.
    private static func englishEnvironment() -> [UnsafeMutablePointer<CChar>?] {
        var copies: [UnsafeMutablePointer<CChar>?] = unsafe []
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            let variable = unsafe String(cString: text)
            if !variable.hasPrefix("LC_ALL="), !variable.hasPrefix("LANGUAGE=") {
                unsafe copies.append(strdup(variable))
            }
            unsafe entry += 1
        }
        unsafe copies.append(strdup("LC_ALL=C.UTF-8"))
        unsafe copies.append(nil)
        return unsafe copies
    }

    private static func drain(_ first: Int32, _ second: Int32) -> ([UInt8], [UInt8]) {
        var streams = [
            pollfd(fd: first, events: Int16(POLLIN), revents: 0),
            pollfd(fd: second, events: Int16(POLLIN), revents: 0),
        ]
        var texts: [[UInt8]] = [[], []]
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while streams.contains(where: { $0.fd >= 0 }) {
            if unsafe poll(&streams, 2, -1) < 0 {
                if errno == EINTR { continue }
                break
            }
            for index in 0..<2 where streams[index].fd >= 0 && streams[index].revents != 0 {
                let count = unsafe read(streams[index].fd, &buffer, buffer.count)
                if count > 0 {
                    texts[index] += buffer[..<count]
                    // Bounded: a program that never stops talking does not fill our memory.
                    let limit = index == 0 ? 16 << 20 : 64 << 10
                    if texts[index].count > limit {
                        texts[index].removeFirst(texts[index].count - limit)
                    }
                } else if count == 0 || errno != EINTR {
                    streams[index].fd = -1
                }
            }
        }
        return (texts[0], texts[1])
    }
}
