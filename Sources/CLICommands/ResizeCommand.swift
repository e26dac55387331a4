import ArgumentParser
import Vocabulary

/// `martlet resize`.
struct ResizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resize",
        abstract: "Makes a disk of a running guest larger, and tells the guest.",
        discussion: """
            The guest sees more sectors at once; growing what is on the disk is its own work, as with \
            resize2fs. Without a size the disk has as many as its file or device has by now.
            """)

    @Argument(help: "The machine's --name.") var name: String
    @Argument(help: "The disk as the guest has it, e.g. xvda.") var disk: String
    @Argument(help: "Its size, e.g. 10G, or +1G for so much more.") var size: String?

    func run() throws {
        if let size, DiskSizeChange(argument: size) == nil {
            throw XError(
                .invalidArgument, "the size '\(size)' is none: give one such as 10G or +1G")
        }
        try ControlClient.sendAndTell(
            ControlMessage.Request(kind: .resize, disk: disk, size: size), to: name)
    }
}
