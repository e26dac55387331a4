import ArgumentParser
import Machine

/// Options for memory that the host does not have.
struct PagingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Host memory for the guest's: what is beyond it is kept in a file, e.g. 512M.",
            valueName: "size"))
    var resident: MemorySize?

    @Option(help: ArgumentHelp("The folder of that file.", valueName: "folder"))
    var swap = "/var/tmp"

    @Option(
        help: ArgumentHelp(
            "What a vCPU does without its page: async (a KVM guest runs something else), halt, block.",
            valueName: "name"))
    var pageFaults = PageFaultChoice.async

    func apply(to configuration: inout MachineConfiguration) {
        configuration.residentByteCount = resident?.byteCount
        configuration.swapDirectory = swap
        configuration.pageFaults = pageFaults.policy
    }
}

/// `--page-faults`: what a vCPU does without its page.
enum PageFaultChoice: String, ExpressibleByArgument, CaseIterable {
    case async, halt, block

    var policy: MachineConfiguration.PageFaults {
        switch self {
        case .async: .async
        case .halt: .halt
        case .block: .block
        }
    }
}
