import ArgumentParser
import Boot
import Foundation
import Machine
import Vocabulary

/// `--memory 512M`: a number of bytes with an optional K, M, G or T.
struct MemorySize: ExpressibleByArgument, Equatable {
    var byteCount: UInt64

    init(byteCount: UInt64) { self.byteCount = byteCount }

    init?(argument: String) {
        guard let bytes = ByteSize.byteCount(argument, plainShift: 20), bytes > 0 else {
            return nil
        }
        byteCount = bytes
    }

    var defaultValueDescription: String { "\(byteCount >> 20)M" }
}

/// `--console`: where the kernel's log goes.
enum ConsoleChoice: ExpressibleByArgument, Equatable {
    case stdio
    case file(String)
    case none

    init?(argument: String) {
        switch argument {
        case "stdio": self = .stdio
        case "none": self = .none
        default:
            guard argument.hasPrefix("file:"), argument.count > 5 else { return nil }
            self = .file(String(argument.dropFirst(5)))
        }
    }
}

/// `--file HOST:GUEST`.
struct FileMapping: ExpressibleByArgument, Equatable {
    var hostPath: String
    var guestPath: String

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":") else { return nil }
        hostPath = String(argument[..<colon])
        guestPath = String(argument[argument.index(after: colon)...])
        guard !hostPath.isEmpty, guestPath.hasPrefix("/") else { return nil }
    }
}

/// `--platform`: which paravirtual interface the guest finds.
enum PlatformChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, kvm, xen, none

    /// As far as it is known without the kernel.
    var platform: MachineConfiguration.Platform {
        switch self {
        case .kvm: .kvm
        case .auto, .xen: .xen
        case .none: .none
        }
    }
}

/// `--engine`: what runs the guest's instructions.
enum EngineChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, interpreter, translator, kvm
}

/// `--cpu`: which processor the guest finds.
enum ProcessorOption: String, ExpressibleByArgument, CaseIterable {
    case auto, v2, v3, host

    var choice: ProcessorChoice {
        switch self {
        case .auto: .auto
        case .v2: .v2
        case .v3: .v3
        case .host: .host
        }
    }
}

/// `--kernel`: a stock kernel by name, or a file.
enum KernelChoice: ExpressibleByArgument, Equatable {
    case stock(String)
    case file(String)

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self = KernelStore.names.contains(argument) ? .stock(argument) : .file(argument)
    }

    var defaultValueDescription: String {
        switch self {
        case .stock(let name): name
        case .file(let path): path
        }
    }
}
