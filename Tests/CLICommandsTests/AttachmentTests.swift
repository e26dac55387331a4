import ArgumentParser
import Disks
import Machine
import Networks
import Testing
import Vocabulary
import XenBackends

@testable import CLICommands

/// What `--disk`, `--net` and `--publish` say.
struct AttachmentTests {
    private func command(_ words: String...) throws -> RunCommand {
        try #require(try MartletCommand.parseAsRoot(["run"] + words) as? RunCommand)
    }

    @Test func backendFeaturesOfDisksAreTakenOut() throws {
        let disk = try DiskAttachment(
            parsing: "/x,,y,format=qcow2,flush=off,indirect=0,readonly,queues=2,persistent=on")
        #expect(disk.specification.path == "/x,y")
        #expect(disk.specification.format == .qcow2 && disk.specification.isReadOnly)
        #expect(!disk.features.flush && disk.features.discard && disk.features.persistentGrants)
        #expect(disk.features.indirectSegments == 0 && disk.features.queueCount == 2)
        // A file may be called like an option.
        #expect(try DiskAttachment(parsing: "flush=off").specification.path == "flush=off")
    }

    @Test(arguments: [
        "/x,flush=no", "/x,indirect=257", "/x,ring-order=5", "/x,queues=0", "/x,flush=on,flush=on",
        "/x,nonsense",
    ])
    func wrongDisks(text: String) {
        #expect(throws: XError.self) { try DiskAttachment(parsing: text) }
    }

    @Test func optionsOfNetworks() throws {
        let network = try NetworkAttachment(
            parsing: "user,restricted,mac=02:00:00:00:00:01,mtu=9000,rate=8M,loss=1,reorder=2,"
                + "delay=3,queues=2,sg=off,tso4=off,tso6=off,csum6=off,split=off,multicast=off,"
                + "control=off")
        guard case .user(let options) = network.specification else {
            Issue.record("not user networking")
            return
        }
        #expect(options.isRestricted)
        #expect(network.address?.description == "02:00:00:00:00:01" && network.mtu == 9000)
        // 8 Mbit/s are 50,000 bytes in 50 ms.
        #expect(network.rate?.byteCount == 50_000 && network.rate?.interval == 50_000_000)
        #expect(network.impairment.lossProbability == 0.01)
        #expect(network.impairment.reorderProbability == 0.02)
        #expect(network.impairment.delayNanoseconds == 3_000_000)
        let features = network.features
        #expect(
            !features.scatterGather && !features.segmentationV4 && !features.segmentationV6
                && !features.checksumV6 && !features.splitChannels && !features.multicastControl
                && !features.controlRing && features.queueCount == 2)
    }

    @Test(arguments: [
        "usr", "user,mac=x", "user,mtu=100", "user,rate=0", "user,rate=fast", "user,loss=101",
        "user,queues=9", "user,sg=maybe", "tap:", "user,nonsense",
    ])
    func wrongNetworks(text: String) {
        #expect(throws: XError.self) { try NetworkAttachment(parsing: text) }
    }

    @Test func userNetworkingIsTheDefaultOfXen() throws {
        #expect(try command().attachments.networks(of: .kvm).isEmpty)
        #expect(
            try command().attachments.networks(of: .xen).map(\.specification.description) == [
                "user"
            ])
        #expect(try command("--net", "none").attachments.networks(of: .xen).isEmpty)
        let two = try command("--net", "none", "--net", "tap:tap0").attachments
        #expect(
            try two.networks(of: .xen).map(\.specification.description) == ["none", "tap:tap0"])
    }

    @Test func publishedPortsGoToUserNetworking() throws {
        let networks = try command("--publish", "8080:80", "--publish", "53:53/udp").attachments
            .networks(of: .xen)
        #expect(
            networks.map(\.specification.description) == [
                "user,publish=127.0.0.1:8080:80/tcp,publish=127.0.0.1:53:53/udp"
            ])
        #expect(throws: XError.self) {
            try command("--net", "tap:tap0", "--publish", "1:1").attachments.networks(of: .xen)
        }
        let twice = try #require(throws: XError.self) {
            try command("--publish", "8080:80", "--publish", "8080:81").attachments
                .networks(of: .xen)
        }
        #expect(twice.message.contains("port 8080 of the host leads to port 80 of the guest"))
        let different = try command(
            "--publish", "53:53", "--publish", "53:53/udp", "--publish", "127.0.0.2:53:54")
        #expect(try different.attachments.networks(of: .xen).count == 1)
        #expect(throws: XError.self) {
            try command("--net", "none", "--publish", "1:1").attachments.networks(of: .xen)
        }
    }

    @Test func disksAndNetworksNeedXen() throws {
        #expect(throws: XError.self) {
            try command("--platform", "kvm", "--net", "user").baseConfiguration()
        }
        #expect(throws: XError.self) {
            try command("--platform", "none", "--disk", "/x").baseConfiguration()
        }
    }

    /// A kernel that is no Xen guest has KVM's interface, unless somebody chose, or needs Xen's devices.
    @Test func thePlatformGoesByTheKernel() throws {
        let kernel = Self.kernelWithoutXen
        func settled(_ words: String...) throws -> MachineConfiguration {
            let command = try #require(
                try MartletCommand.parseAsRoot(["run", "--append", "x=1"] + words) as? RunCommand)
            var configuration = try command.baseConfiguration()
            configuration.kernel = kernel
            try command.settlePlatform(of: &configuration)
            return configuration
        }
        let other = try settled()
        #expect(other.platform == .kvm && other.networks.isEmpty)
        #expect(
            other.commandLine.hasPrefix("console=ttyS0 ") && other.commandLine.hasSuffix(" x=1"))
        #expect(other.commandTerminal == "/dev/ttyS1")
        let chosen = try settled("--platform", "xen")
        #expect(chosen.platform == .xen && chosen.networks.count == 1)
        #expect(
            chosen.commandLine.hasPrefix("console=hvc0 ") && chosen.commandLine.hasSuffix(" x=1"))
        #expect(chosen.commandTerminal == "/dev/hvc1")
        #expect(try settled("--platform", "none").platform == .none)
        for words in [["--disk", "/x"], ["--net", "user"], ["--xenstore-socket", "/x"]] {
            let error = try #require(throws: XError.self) { try settled(words[0], words[1]) }
            #expect(error.message.contains("CONFIG_XEN"))
        }
    }

    /// An ELF header with one segment, and no notes.
    private static let kernelWithoutXen: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 64 + 56 + 16)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
        for (offset, value) in [(16, 2), (18, 62), (32, 64), (54, 56), (56, 1)] as [(Int, UInt8)] {
            bytes[offset] = value
        }
        for (offset, value) in [(0, 1), (8, 120), (32, 16), (40, 16)] as [(Int, UInt8)] {
            bytes[64 + offset] = value
        }
        return bytes
    }()
}
