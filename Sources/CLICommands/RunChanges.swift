import Boot
import Disks
import Foundation
import Machine
import Networks

/// How a machine differs from what its arguments of `martlet run` say: it has gone on somewhere else.
struct RunChanges: Codable, Equatable {
    var name: String?
    /// Which clone of a machine it is, from 1 on; nil: none.
    var clone: Int?
    /// What its disks are now; nil: what the arguments say.
    var disks: [DiskSpecification]?
    /// Where its kernel's log goes, of a clone.
    var log: String?

    /// A clone has none of the ports, sockets and files that its machine has: those are taken.
    func apply(to options: inout RunCommand) {
        options.name = name ?? options.name
        guard clone != nil else { return }
        options.console = log.map { .file($0) } ?? ConsoleChoice.none
        options.attachments.publish = []
        options.attachments.xenstoreSocket = nil
        options.trace = nil
        options.profile = nil
        options.perfMap = false
    }

    func apply(to configuration: inout MachineConfiguration) {
        for (number, disk) in (disks ?? []).enumerated()
        where configuration.disks.indices.contains(number) {
            configuration.disks[number].specification = disk
        }
        guard let clone else { return }
        for number in configuration.networks.indices {
            configuration.networks[number].address = nil
            switch configuration.networks[number].specification {
            case .tap(let device):
                let suffix = "-\(clone)"
                // A name of the host's has 15 bytes at most.
                configuration.networks[number].specification = .tap(
                    device: device.prefix(15 - suffix.utf8.count) + suffix)
            case .user(var options):
                options.publishedPorts = []
                configuration.networks[number].specification = .user(options)
            default: break
            }
        }
    }
}

extension AgentProtocol.Identity {
    /// What a machine is told that goes on as another, or after a while.
    ///
    /// - Parameter isAnother: it has another name and other addresses than it had.
    init(_ configuration: MachineConfiguration, isAnother: Bool) {
        var random = SystemRandomNumberGenerator()
        self.init(
            seed: (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) },
            // Xen's kernels take the time of a new domain.
            wallClock: configuration.platform == .xen
                ? 0 : UInt64(Date().timeIntervalSince1970 * 1e9),
            hardwareAddresses: (isAnother ? configuration.hardwareAddresses : []).map { address in
                (0..<6).map {
                    UInt8(truncatingIfNeeded: address.rawValue >> UInt64(40 - 8 * $0))
                }
            }, name: isAnother ? configuration.name ?? "" : "")
    }
}
