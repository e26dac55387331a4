public import ArgumentParser
import Foundation
import Glibc
import Vocabulary

/// The command `martlet`.
public struct MartletCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Runs unmodified Linux kernels in a virtual machine of its own.",
        discussion: """
            martlet run                        a root shell in a stock Debian kernel
            martlet run -- COMMAND ARG...      one command in it; its exit status is martlet's own
            martlet run --cached -- COMMAND    the same in a guest that has booted before
            martlet fork NAME --count 10       running clones of a machine with that --name
            martlet disk create disk.img 10G   a disk for --disk; also info, check, resize, convert
            martlet snapshot inspect FILE      what a suspended machine is; also verify, convert
            martlet xenstore ls --socket PATH  the XenStore of a guest
            martlet doctor                     what this host can do, and what to do about the rest

            Martlet's own failures exit with status 125 and one line on standard error.
            """,
        version: "martlet \(MartletVersion.current)",
        subcommands: [
            RunCommand.self, ListCommand.self, StopCommand.self, PowerOffCommand.self,
            RebootCommand.self, SuspendCommand.self, ResumeCommand.self, CheckpointCommand.self,
            ForkCommand.self, CloneCommand.self, SystemRequestCommand.self, ResizeCommand.self,
            PullCommand.self, DiskCommand.self,
            SnapshotCommand.self, XenStoreCommand.self,
            DoctorCommand.self, DisassembleCommand.self,
        ])

    public init() {}
}

/// The version of the program.
public enum MartletVersion {
    public static let current = "0.1.0-dev"
}

/// The exit status of Martlet's own failures; the guest's command has all others.
public let ownFailureStatus: Int32 = 125

/// The whole program: parses, runs, and turns every error into one line and a status.
public enum MartletProgram {
    /// Runs `arguments` (without the program's name) and returns the exit status.
    public static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try MartletCommand.parseAsRoot(arguments)
            try command.run()
            return 0
        } catch {
            return report(error, help: help(for: arguments))
        }
    }

    /// Where the command that `arguments` begin with is explained.
    static func help(for arguments: [String]) -> String {
        var words = ["martlet"]
        var command: any ParsableCommand.Type = MartletCommand.self
        for argument in arguments {
            let subcommands = command.configuration.subcommands
            guard let next = subcommands.first(where: { $0.configuration.commandName == argument })
            else { break }
            words.append(argument)
            command = next
        }
        return (words + ["--help"]).joined(separator: " ")
    }

    /// Writes what `error` has to say where it belongs and returns the exit status for it.
    static func report(_ error: any Error, help: String = "martlet --help") -> Int32 {
        if let exit = error as? ExitCode { return exit.rawValue }
        if let error = error as? XError {
            return fail(error.message)
        }
        if MartletCommand.exitCode(for: error) == .success {
            print(MartletCommand.fullMessage(for: error))
            return 0
        }
        let message = oneLine(MartletCommand.message(for: error))
        let stop = message.hasSuffix(".") ? message.dropLast() : message[...]
        return fail("\(stop); see '\(help)'")
    }

    /// One line on standard error, whatever the message looked like.
    static func fail(_ message: String) -> Int32 {
        StandardError.write("martlet: \(oneLine(message))\n")
        return ownFailureStatus
    }

    static func oneLine(_ message: String) -> String {
        message.split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
            .joined(separator: " ")
    }
}

/// Standard error, unbuffered, whole.
enum StandardError {
    static func write(_ text: String) {
        DescriptorOutput.write(Array(text.utf8), to: STDERR_FILENO)
    }
}

/// Whole writes to a descriptor.
enum DescriptorOutput {
    /// Writes all of `bytes`, waiting as long as the descriptor takes. False if the other end is
    /// gone.
    @discardableResult
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer -> Int in
                // SAFETY: the range from offset to the end lies in the buffer.
                guard let base = buffer.baseAddress else { return 0 }
                return unsafe Glibc.write(descriptor, base + offset, buffer.count - offset)
            }
            if count > 0 {
                offset += count
            } else if errno == EINTR {
                continue
            } else if errno == EAGAIN {
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe Glibc.poll(&poll, 1, -1)
            } else {
                return false
            }
        }
        return true
    }
}
