import ArgumentParser
import Machine
import Networks
import Vocabulary

/// What `martlet run` attaches to the guest.
struct AttachmentOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Gives the guest a disk: PATH[,format=raw|qcow2|nbd][,readonly][,direct][,serial=TEXT]"
                + "[,iops=N]; repeatable. What its backend offers: [,flush=off][,discard=off]"
                + "[,persistent=off][,indirect=N][,ring-order=N][,queues=N].",
            valueName: "path"))
    var disk: [String] = []

    @Option(
        help: ArgumentHelp(
            "Gives the guest a network interface: user, tap:NAME, socket:PATH or none; repeatable. "
                + "Of user: [,restricted][,host=off][,ipv6=off]. Of all: [,mac=ADDRESS][,mtu=N]"
                + "[,rate=BITS][,loss=PERCENT][,reorder=PERCENT][,delay=MS][,queues=N], and what its "
                + "backend offers: [,sg=off][,tso4=off][,tso6=off][,csum6=off][,split=off]"
                + "[,multicast=off][,control=off]. The default is user; "
                + "none alone: no interface.",
            valueName: "where"))
    var net: [String] = []

    @Option(
        help: ArgumentHelp(
            "Leads a port of the host to one of the guest, by user networking: "
                + "[HOSTADDRESS:]HOSTPORT:GUESTPORT[/udp]; repeatable.",
            valueName: "ports"))
    var publish: [String] = []

    @Option(
        help: ArgumentHelp(
            "Serves the guest's XenStore on a UNIX socket, for 'martlet xenstore' and, with "
                + "XENSTORED_PATH, xenstore-ls and its like.",
            valueName: "path"))
    var xenstoreSocket: String?

    /// Something is asked for that only a Xen guest has.
    var needXen: Bool {
        !disk.isEmpty || !publish.isEmpty || xenstoreSocket != nil
            || !(net.isEmpty || net == ["none"])
    }

    func disks() throws -> [DiskAttachment] { try disk.map { try DiskAttachment(parsing: $0) } }

    /// A guest has user networking unless something else is said.
    func networks(of platform: MachineConfiguration.Platform) throws -> [NetworkAttachment] {
        if net == ["none"] {
            guard publish.isEmpty else {
                throw XError(
                    .invalidArgument, "--publish needs user networking: leave --net none out")
            }
            return []
        }
        var networks = try net.map { try NetworkAttachment(parsing: $0) }
        if net.isEmpty, platform == .xen || !publish.isEmpty {
            networks = [NetworkAttachment(.user(UserNetworkOptions()))]
        }
        for ports in publish {
            let port = try PublishedPort(ports)
            guard let index = networks.firstIndex(where: { $0.specification.isUser }) else {
                throw XError(
                    .invalidArgument,
                    "--publish \(ports) needs user networking: add --net user")
            }
            guard case .user(var options) = networks[index].specification else { continue }
            if let other = options.publishedPorts.first(where: { $0.hasHostPort(of: port) }) {
                throw XError(
                    .invalidArgument,
                    "--publish \(ports): port \(port.hostPort) of the host leads to port "
                        + "\(other.guestPort) of the guest already: take another host port")
            }
            options.publishedPorts.append(port)
            networks[index].specification = .user(options)
        }
        return networks
    }
}

extension PublishedPort {
    /// Whether both are the same port of the host.
    fileprivate func hasHostPort(of other: PublishedPort) -> Bool {
        (transportProtocol, hostAddress, hostPort)
            == (other.transportProtocol, other.hostAddress, other.hostPort)
    }
}

extension NetworkSpecification {
    var isUser: Bool {
        if case .user = self { return true }
        return false
    }
}
