import Testing
import Vocabulary

@testable import Networks

struct NetworkSpecificationTests {
    @Test func specificationsAreRead() throws {
        #expect(try NetworkSpecification("none") == .none)
        #expect(try NetworkSpecification("tap:tap0") == .tap(device: "tap0"))
        #expect(try NetworkSpecification("socket:/tmp/a") == .socket(path: "/tmp/a"))
        #expect(try NetworkSpecification("user") == .user(UserNetworkOptions()))
        var options = UserNetworkOptions()
        options.isRestricted = true
        options.reachesHost = false
        options.hasIPv6 = false
        options.segmentByteCount = 16384
        options.publishedPorts = [
            PublishedPort(hostPort: 8080, guestPort: 80),
            PublishedPort(.udp, hostAddress: 0, hostPort: 5353, guestPort: 53),
        ]
        let text =
            "user,restricted,host=off,ipv6=off,segment=16384,publish=8080:80,publish=0.0.0.0:5353:53/udp"
        let specification = try NetworkSpecification(text)
        #expect(specification == .user(options))
        #expect(try NetworkSpecification(specification.description) == specification)
    }

    @Test(arguments: [
        "", "usr", "user,foo", "user,,restricted", "user,publish=80", "user,segment=1",
        "user,host=maybe", "tap:", "tap:0123456789abcdef", "tap:a/b", "tap:a b", "tap:%d",
        "socket:",
        "none,x",
    ])
    func mistakesAreNamed(text: String) {
        do {
            _ = try NetworkSpecification(text)
            Issue.record("'\(text)' was taken")
        } catch {
            #expect(error.code == .invalidArgument)
            #expect(!error.message.contains("\n"))
        }
    }

    @Test func longPathsAreRefused() {
        let path = "/" + String(repeating: "a", count: 107)
        #expect(throws: XError.self) { try NetworkSpecification("socket:" + path) }
        #expect(throws: Never.self) { try NetworkSpecification("socket:" + path.dropLast()) }
    }

    @Test func publishedPortsAreRead() throws {
        #expect(try PublishedPort("8080:80") == PublishedPort(hostPort: 8080, guestPort: 80))
        #expect(
            try PublishedPort("192.168.1.2:1:65535/tcp")
                == PublishedPort(hostAddress: 0xc0a8_0102, hostPort: 1, guestPort: 65535))
        #expect(try PublishedPort("53:53/udp").transportProtocol == .udp)
        for text in [
            "", "80", "0:80", "80:0", "65536:80", "80:65536", "-1:80", "+1:80", "a:b", "80:80/sctp",
            "80:80/udp/tcp", "1.2.3:80:80", "1.2.3.256:80:80", "[::1]:80:80", "1:2:3:4", " 80:80",
            "٨:80",
        ] {
            #expect(throws: XError.self, "\(text)") { try PublishedPort(text) }
        }
    }

    @Test func addressesAreLocalAndStay() throws {
        var seen: Set<MACAddress> = []
        for seed in ["debian", "a", "b", ""] {
            for index in 0..<50 {
                let address = MACAddress(seed: seed, index: index)
                #expect(address == MACAddress(seed: seed, index: index))
                #expect(address.isLocallyAdministered && address.bytes[0] & 1 == 0)
                #expect(try MACAddress(address.description) == address)
                seen.insert(address)
            }
        }
        #expect(seen.count == 200)
        #expect(try MACAddress("02:00:00:12:34:56").bytes == [2, 0, 0, 0x12, 0x34, 0x56])
        for text in ["", "02:00:00:12:34", "02:00:00:12:34:5g", "01:00:00:00:00:00", "2:0:0:0:0:0"]
        {
            #expect(throws: XError.self, "\(text)") { try MACAddress(text) }
        }
    }

    @Test func networksOpenByName() throws {
        #expect(throws: XError.self) { try NetworkSpecification.none.open(name: "a", mtu: 100) }
        let network = try NetworkSpecification.none.open(name: "vif1.0")
        #expect(network.capabilities.mtu == 1500)
        unsafe [UInt8](repeating: 0, count: 60).withUnsafeBytes {
            _ = unsafe Packet.withBytes($0, network.send)
        }
        #expect(network.statistics.sent.drops == 1)
    }
}
