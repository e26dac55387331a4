import Foundation
import Testing

/// Where the host lets a test have networks of its own, as root.
private enum NetworkNamespace {
    static let isAllowed =
        (try? Martlet.run(tool: "/usr/bin/unshare", ["--net", "test", "-w", "/dev/net/tun"]))?
        .status == 0
}

/// Stock kernels on a TAP device, and behind it a wire on which every frame is as it would be outside:
/// no larger than the wire takes, and with a checksum that this test computes.
@Suite(.serialized, .enabled(if: Martlet.path != nil && NetworkNamespace.isAllowed))
struct TAPGuestTests {
    struct Wire: CustomTestStringConvertible {
        var mtu: Int
        /// Frames of hundred, each way.
        var losses = 0
        var late = 0
        var kilobytes: Int

        var testDescription: String { "MTU \(mtu), \(losses) % lost, \(late) % late" }
    }

    @Test(arguments: [
        Wire(mtu: 1500, kilobytes: 16384), Wire(mtu: 9000, kilobytes: 16384),
        Wire(mtu: 1500, losses: 2, late: 25, kilobytes: 1024),
    ])
    func framesAreRightOnTheWire(wire: Wire) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-tap-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let program = folder.appendingPathComponent("wire.py").path
        try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
        let script = """
            ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 mtu \(wire.mtu) up
            ip addr add fd09::2/64 dev eth0; n=0
            until ping -c 1 -W 1 fd09::1 >/dev/null 2>&1 || [ $n = 20 ]; do n=$((n+1)); done
            mkdir /www; head -c \(wire.kilobytes)k /dev/urandom >/www/file
            httpd -p 80 -h /www; httpd -p '[::]:81' -h /www
            ping -c 3 -s \(wire.mtu - 28) 10.9.0.1 | grep -o '100% packet loss'
            for host in 10.9.0.1 '[fd09::1]'; do
              wget -q -O /tmp/file http://$host:8080/file; sha256sum </tmp/file
            done
            for host in 10.9.0.1 fd09::1; do timeout 1 nslookup -type=a name $host >/dev/null 2>&1; done
            wget -q -O - http://10.9.0.1:8080/fetch; wget -q -O - http://10.9.0.1:8080/datagrams
            sha256sum </www/file; dmesg
            """
        let result = try Martlet.run(
            tool: "/usr/bin/unshare",
            [
                "--net", "/usr/bin/python3", program, folder.path, "\(wire.mtu)",
                "\(wire.losses)", "\(wire.late)", "\(wire.kilobytes)", Martlet.path ?? "martlet",
                "run", "--quiet", "--platform", "xen", "--cpus", "2", "--timeout", "240", "--net",
                "tap:tap0", "--", "sh", "-c", script,
            ])
        let text = String(decoding: result.output, as: UTF8.self)
        let errors = String(decoding: result.errors, as: UTF8.self)
        #expect(result.status == 0, "\(errors)")
        // What was sent, by the host for IPv4 and IPv6; what the host had from the guest, and the guest.
        let digests = text.split(separator: "\n").filter { $0.hasSuffix("  -") }
        #expect(digests.count == 5, "\(text)")
        guard digests.count == 5 else { return }
        let sent = try Martlet.run(tool: "/bin/sh", ["-c", "sha256sum <\(folder.path)/file"])
        #expect(digests[0] + "\n" == String(decoding: sent.output, as: UTF8.self))
        #expect(digests[1] == digests[0] && digests[2] == digests[4] && digests[3] == digests[4])
        #expect(!text.contains("100% packet loss"))
        let troubles = GuestLog.troubles(text)
        #expect(troubles.isEmpty, "\(troubles)")
        // What was on the wire.
        for side in ["guest", "host"] {
            let line = errors.split(separator: "\n").first { $0.hasPrefix("wire \(side) ") }
            let words = try #require(line).split(separator: " ").compactMap { Int($0) }
            let (right, wrong, largest) = (words[0], words[1], words[2])
            #expect(right > 100 && wrong == 0 && largest == wire.mtu + 14, "\(line ?? "")")
        }
    }

    /// A bridge with the guest's TAP device and another, which this program has and passes on, frame by
    /// frame, to a third in a namespace of its own where servers are. Devices without a header of
    /// virtio's carry what a wire would: the host cuts what is larger and computes checksums.
    private static let program = #"""
        import ctypes, fcntl, hashlib, heapq, http.server, os, random, select, signal, socket
        import struct, subprocess, sys, threading, time, urllib.request
        folder, mtu, losses, late, size = sys.argv[1], *map(int, sys.argv[2:6])
        def request(name, *rest): return struct.pack('16s' + 'hi'[len(rest) > 1], name, *rest[:1]).ljust(40, b'\0')
        any4, any6 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        def control(call, data, where=None): return fcntl.ioctl(where or any4, call, data)
        def index(name): return struct.unpack('16si', control(0x8933, request(name, 0, 0))[:20])[1]
        def up(name):
            control(0x8922, request(name, mtu, 0))
            flags = struct.unpack('16sh', control(0x8913, request(name, 0))[:18])[1]
            control(0x8914, request(name, flags | 1))
        def tap(name, stays=False):
            device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, 0x400454ca, request(name, 0x1002))
            if stays: fcntl.ioctl(device, 0x400454cb, 1)
            return device
        os.close(tap(b'tap0', True))
        left = tap(b'left')
        control(0x89a0, b'bridge\0')
        for name in (b'tap0', b'left'):
            up(name)
            control(0x89a2, request(b'bridge', index(name), 0))
        up(b'bridge')

        def summed(data):
            if len(data) & 1: data += b'\0'
            total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
            while total >> 16: total = (total & 0xffff) + (total >> 16)
            return total
        def isRight(frame):
            kind, ip = frame[12:14], frame[14:]
            if kind == b'\x08\0':
                start, end, protocol = (ip[0] & 15) * 4, ip[2] << 8 | ip[3], ip[9]
                if summed(ip[:start]) != 0xffff: return False
                if (ip[6] << 8 | ip[7]) & 0x3fff: return None
                pseudo = ip[12:20]
            elif kind == b'\x86\xdd':
                start, end, protocol, pseudo = 40, 40 + (ip[4] << 8 | ip[5]), ip[6], ip[8:40]
            else: return None
            if protocol not in (6, 17): return None
            return summed(pseudo + struct.pack('>HH', protocol, end - start) + ip[start:end]) == 0xffff

        def pump(right):
            counts = {left: [0, 0, 0], right: [0, 0, 0]}
            waiting, number = [], 0
            while not stopping.is_set():
                while waiting and waiting[0][0] <= time.monotonic():
                    _, _, to, frame = heapq.heappop(waiting)
                    os.write(to, frame)
                for source in select.select([left, right], [], [], 0.002 if waiting else 0.1)[0]:
                    target, count = right if source == left else left, counts[source]
                    for _ in range(64):
                        try: frame = os.read(source, 70000)
                        except BlockingIOError: break
                        count[2] = max(count[2], len(frame))
                        good = isRight(frame)
                        if good is not None: count[0 if good else 1] += 1
                        if random.random() * 100 < losses: continue
                        if random.random() * 100 < late:
                            number += 1
                            heapq.heappush(waiting, (time.monotonic() + 0.004, number, target, frame))
                            continue
                        os.write(target, frame)
            for name, side in (('guest', left), ('host', right)):
                print('wire', name, *counts[side], file=sys.stderr, flush=True)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if self.path == '/fetch': return self.answer(self.fetch())
                if self.path == '/datagrams': return self.answer(self.ask())
                return super().do_GET()
            def answer(self, data):
                self.send_response(200); self.end_headers(); self.wfile.write(data)
            # Both ways from the host's side: what the guest serves.
            def fetch(self):
                result = b''
                for host in ('10.9.0.2:80', '[fd09::2]:81'):
                    data = urllib.request.urlopen('http://' + host + '/file').read()
                    result += hashlib.sha256(data).hexdigest().encode() + b'  -\n'
                return result
            # UDP: to a port where nobody is, which the guest refuses by ICMP, and so it arrived whole.
            def ask(self):
                for family, host in ((socket.AF_INET, '10.9.0.2'), (socket.AF_INET6, 'fd09::2')):
                    asking = socket.socket(family, socket.SOCK_DGRAM)
                    asking.settimeout(1)
                    asking.connect((host, 9))
                    for _ in range(20):
                        try:
                            asking.send(b'x' * 1000)
                            asking.recv(1)
                        except ConnectionRefusedError: break
                        except TimeoutError: continue
                    else: return b'no answer to UDP of ' + host.encode() + b'\n'
                return b''
            def log_message(self, *words): pass
        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6

        child = os.fork()
        if child == 0:
            if ctypes.CDLL(None, use_errno=True).unshare(0x40000000): sys.exit('no second namespace')
            any4, any6 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            right = tap(b'right')
            address = struct.pack('16sHH4s', b'right', 2, 0, socket.inet_aton('10.9.0.1')).ljust(40, b'\0')
            control(0x8916, address)
            control(0x891c, struct.pack('16sHH4s', b'right', 2, 0, socket.inet_aton('255.255.255.0')).ljust(40, b'\0'))
            up(b'right')
            control(0x8916, socket.inet_pton(socket.AF_INET6, 'fd09::1') + struct.pack('Ii', 64, index(b'right')), any6)
            os.chdir(folder)
            with open('file', 'wb') as file: file.write(os.urandom(size << 10))
            stopping = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stopping.set())
            threading.Thread(target=Server(('::', 8080), Handler).serve_forever, daemon=True).start()
            pump(right)
            os._exit(0)
        os.close(left)
        status = subprocess.call(sys.argv[6:])
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        sys.exit(status)
        """#
}
