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
        networks.first?.specification.isUser == true
            ? PublishedPort.text(UserNetwork.nameServer) : nil
    }

    /// TAP devices that are made for the guest, because the host has none of the name.
    var devicesToMake: [String] {
        networks.compactMap {
            guard case .tap(let device) = $0.specification, !TAPNetwork.isThere(device: device)
            else { return nil }
            return device
        }
    }

    /// For the kernel's command line, what the agent waits for and sets up before the program runs.
    var deviceSetUp: String { networkSetUp + diskSetUp }

    /// Disks of a stock kernel, whose driver is there.
    private var diskSetUp: String { disks.isEmpty ? "" : " martlet.disks=\(disks.count)" }

    /// The address that user networking gives by DHCP, without the wait.
    private var networkSetUp: String {
        guard networks.first?.specification.isUser == true else { return "" }
        let (guest, gateway) = (UserNetwork.guest, UserNetwork.gateway)
        return
            " martlet.net=\(PublishedPort.text(guest))/255.255.255.0,\(PublishedPort.text(gateway))"
    }
}
