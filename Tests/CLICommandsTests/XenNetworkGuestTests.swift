import Disks
import Foundation
import Testing

/// Stock kernels with the network backend, and real programs on both sides.
@Suite(.serialized, .enabled(if: Martlet.path != nil))
struct XenNetworkGuestTests {
    /// A server of Python's on the loopback interface that sends what is in a folder, says what the digest
    /// is of what it is sent, and counts to a hundred in five seconds at /slow.
    final class Server {
        let port: Int
        private let process = Process()

        init(_ folder: String) throws {
            let program = """
                import hashlib, http.server, os, time
                class Handler(http.server.SimpleHTTPRequestHandler):
                    def do_GET(self):
                        if self.path != '/slow': return super().do_GET()
                        self.send_response(200); self.end_headers()
                        for number in range(100):
                            self.wfile.write(b'%d\\n' % number); self.wfile.flush(); time.sleep(0.05)
                    def do_POST(self):
                        digest = hashlib.sha256()
                        left = int(self.headers['Content-Length'])
                        while left:
                            part = self.rfile.read(min(left, 65536))
                            if not part: break
                            digest.update(part); left -= len(part)
                        self.send_response(200); self.end_headers()
                        self.wfile.write(digest.hexdigest().encode() + b'\\n')
                    def log_message(self, *words): pass
                os.chdir('\(folder)')
                server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
                print(server.server_port, flush=True)
                server.serve_forever()
                """
            let output = Foundation.Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = ["-c", program]
            process.standardOutput = output
            try Martlet.start(process)
            let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
            port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
        }

        deinit { process.terminate() }
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-net-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    private func boot(_ arguments: [String], _ script: String) throws -> String {
        let result = try Martlet.run(
            ["run", "--platform", "xen", "--timeout", "240", "--quiet"] + arguments
                + ["--", "sh", "-c", script])
        #expect(result.status == 0, "\(String(decoding: result.errors, as: UTF8.self))")
        return String(decoding: result.output, as: UTF8.self)
    }

    /// Random bytes in a file, and their digest as `sha256sum` of the host says it.
    private func makeFile(_ folder: String, megabytes: Int) throws -> String {
        let made = try Martlet.run(
            tool: "/bin/sh",
            ["-c", "head -c \(megabytes)M /dev/urandom >\(folder)/file; sha256sum <\(folder)/file"])
        return String(decoding: made.output, as: UTF8.self)
    }

    /// A command of the guest's that sends a file and prints what the server says its digest is. (busybox's
    /// wget sends text only.)
    private func upload(_ path: String, to server: Server) -> String {
        #"(printf 'POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n' $(wc -c <\#(path)); cat \#(path)) "#
            + "| nc 10.0.2.2 \(server.port) | tail -n 1"
    }

    @Test(arguments: [1, 4])
    func bytesArriveWholeBothWays(processors: Int) throws {
        try withFolder { folder in
            let digest = try makeFile(folder, megabytes: 16)
            let server = try Server(folder)
            defer { withExtendedLifetime(server) {} }
            let text = try boot(
                ["--cpus", "\(processors)", "--memory", "768M"],
                """
                ip -4 addr show eth0 | grep -o 'inet [0-9./]*'; ip route | grep default
                cat /sys/class/net/eth0/flags
                ls /sys/class/net/eth0/queues | grep -c rx
                for i in 1 2 3; do
                  wget -q -O /tmp/file http://10.0.2.2:\(server.port)/file; sha256sum </tmp/file
                done
                \(upload("/tmp/file", to: server))
                dmesg
                """)
            let lines = text.split(separator: "\n").map(String.init)
            #expect(lines.first == "inet 10.0.2.15/24")
            // IFF_UP, IFF_BROADCAST, IFF_MULTICAST.
            #expect(lines.contains("0x1003"))
            #expect(lines.contains("\(min(processors, 8))"))
            #expect(lines.count { digest.hasPrefix($0) && $0.utf8.count > 60 } == 4, "\(text)")
            #expect(text.contains("xen_netfront: Initialising Xen virtual ethernet driver"))
            let troubles = GuestLog.troubles(text)
            #expect(troubles.isEmpty && !text.contains("still in use"), "\(troubles)")
        }
    }

    /// Each feature of both backends left out once, in as many boots.
    @Test(arguments: [
        ("sg=off", "flush=off"), ("tso4=off", "discard=off"), ("tso6=off", "persistent=off"),
        ("csum6=off", "indirect=0"), ("split=off", "ring-order=0"), ("multicast=off", "queues=1"),
        ("control=off", "indirect=1"), ("queues=1", "queues=2"),
    ])
    func guestsDoWithoutEachFeature(network: String, disk: String) throws {
        try withFolder { folder in
            let digest = try makeFile(folder, megabytes: 4)
            let server = try Server(folder)
            defer { withExtendedLifetime(server) {} }
            try DiskImage.create(path: folder + "/disk", format: .raw, byteCount: 16 << 20)
            let text = try boot(
                ["--cpus", "2", "--net", "user,\(network)", "--disk", "\(folder)/disk,\(disk)"],
                """
                wget -q -O - http://10.0.2.2:\(server.port)/file >/dev/xvda && sync
                head -c 4096k /dev/xvda | sha256sum
                head -c 4096k /dev/xvda >/tmp/file
                \(upload("/tmp/file", to: server)); dmesg
                """)
            let lines = text.split(separator: "\n").map(String.init)
            #expect(lines.first.map { $0 + "\n" } == digest)
            #expect(lines.dropFirst().first.map { digest.hasPrefix($0) } == true)
            let troubles = GuestLog.troubles(text)
            #expect(troubles.isEmpty, "\(troubles)")
        }
    }

    @Test func dhcpAndPublishedPorts() throws {
        try withFolder { folder in
            let free = try Martlet.run(
                tool: "/usr/bin/python3",
                [
                    "-c",
                    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])",
                ])
            let port = String(decoding: free.output, as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let script = folder + "/udhcpc"
            try Data("#!/bin/sh\n[ $1 = bound ] && echo $ip $router $dns\nexit 0\n".utf8).write(
                to: URL(fileURLWithPath: script))
            let guest = try BackgroundGuest([
                "run", "--quiet", "--platform", "xen", "--timeout", "240", "--publish",
                "\(port):8080", "--file",
                "\(script):/udhcpc", "--", "sh", "-c",
                """
                chmod +x /udhcpc; udhcpc -n -q -i eth0 -s /udhcpc 2>/dev/null
                mkdir /www; echo from the guest >/www/index.html; httpd -p 8080 -h /www; echo up
                sleep 1000
                """,
            ])
            #expect(guest.wait(for: "up\n"))
            defer { withExtendedLifetime(guest) {} }
            #expect(guest.text.contains("10.0.2.15 10.0.2.2 10.0.2.3"))
            let page = try Martlet.run(
                tool: "/usr/bin/python3",
                [
                    "-c",
                    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:\(port)/').read().decode())",
                ])
            #expect(String(decoding: page.output, as: UTF8.self).hasPrefix("from the guest"))
        }
    }

    /// The driver is loaded, removed and loaded again: both sides begin anew each time.
    @Test func driversComeAndGo() throws {
        let text = try boot(
            ["--cpus", "2"],
            """
            for i in 1 2 3; do
              echo vif-0 >/sys/bus/xen/drivers/vif/unbind && rmmod xen_netfront || exit 4
              insmod $(grep netfront /etc/martlet/modules) || exit 5
              n=0; while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n+1)); done
              ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
              ping -c 2 -W 5 10.0.2.2 | grep received
            done; dmesg
            """)
        #expect(text.components(separatedBy: " 2 packets received").count == 4, "\(text)")
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty && !text.contains("still in use"), "\(troubles)")
    }

    /// Losses and detours are TCP's to mend.
    @Test func badLinksLoseNothing() throws {
        try withFolder { folder in
            let digest = try makeFile(folder, megabytes: 2)
            let server = try Server(folder)
            defer { withExtendedLifetime(server) {} }
            let text = try boot(
                ["--net", "user,loss=1,reorder=2,delay=1"],
                "wget -q -O - http://10.0.2.2:\(server.port)/file | sha256sum")
            #expect(text == digest)
        }
    }
}
