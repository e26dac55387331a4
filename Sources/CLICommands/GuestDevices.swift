import Machine
import Networks

// What a guest needs to find what is attached to it.
extension MachineConfiguration {
    /// Modules of stock kernels.
    var frontendModules: [String] {
        (disks.isEmpty ? [] : ["xen_blkfront"]) + (networks.isEmpty ? [] : ["xen_netfront"])
    }

    /// That of user networking; nil if the first interface leads elsewhere.
    var nameServer: String? {
        networks.first?.specification.isUser == true ? Self.text(UserNetwork.nameServer) : nil
    }

    /// For the kernel's command line, what the agent sets the first interface up with: the address that
    /// user networking gives by DHCP, without the wait.
    var networkSetUp: String {
        guard networks.first?.specification.isUser == true else { return "" }
        let (guest, gateway) = (UserNetwork.guest, UserNetwork.gateway)
        return " martlet.net=\(Self.text(guest))/255.255.255.0,\(Self.text(gateway))"
    }

    /// An IPv4 address as people write it.
    static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String(address >> $0 & 255) }.joined(separator: ".")
    }
}
