internal import CSlirp
internal import Glibc
internal import HostIO
internal import Vocabulary

/// One instance of libslirp (libslirp.h, version 4.7): a TCP/IP stack whose other side is the host's
/// sockets.
///
/// Owner: a `UserNetwork`; who opens it first, then the network's thread. libslirp keeps the time and
/// the host's name servers in variables of the process: several instances write the same there.
@safe final class SlirpStack: @unchecked Sendable {
    /// Bytes of IP in a frame: libslirp's largest.
    static let largestMTU = 65521

    // SAFETY: set once in `init`, ended in `deinit`; libslirp calls back only in calls of ours.
    private var slirp: OpaquePointer?
    private let callbacks: UnsafeMutablePointer<SlirpCb>
    /// Takes frames for the guest, which are valid during the call.
    var output: (UnsafeRawBufferPointer) -> Void = { _ in }
    /// Messages of libslirp about the guest's packets.
    fileprivate(set) var guestErrors = 0

    @safe fileprivate final class Timer {
        let identifier: SlirpTimerId
        // SAFETY: libslirp's, given back to it.
        let opaque: UnsafeMutableRawPointer?
        /// Milliseconds of the monotonic clock.
        var deadline: Int64?

        init(_ identifier: SlirpTimerId, _ opaque: UnsafeMutableRawPointer?) {
            self.identifier = identifier
            unsafe self.opaque = unsafe opaque
        }
    }

    fileprivate var timers: [Timer] = []
    /// What is waited for; the first is the caller's.
    fileprivate var polled: [pollfd] = []
    /// What libslirp asked for, beside `polled`.
    fileprivate var asked: [CInt] = []
    /// Sockets with data for the guest are left alone.
    private var readsSockets = true

    /// - Parameter mtu: of libslirp: more than the guest's makes larger segments.
    init(_ options: UserNetworkOptions, mtu: Int) throws(XError) {
        unsafe callbacks = .allocate(capacity: 1)
        unsafe callbacks.initialize(to: SlirpCallbacks.make())
        var configuration = unsafe SlirpConfig()
        unsafe configuration.version = 4
        unsafe configuration.restricted = options.isRestricted ? 1 : 0
        unsafe configuration.in_enabled = true
        unsafe configuration.vnetwork = Self.address(UserNetwork.network)
        unsafe configuration.vnetmask = Self.address(0xffff_ff00)
        unsafe configuration.vhost = Self.address(UserNetwork.gateway)
        unsafe configuration.vdhcp_start = Self.address(UserNetwork.guest)
        unsafe configuration.vnameserver = Self.address(UserNetwork.nameServer)
        unsafe configuration.in6_enabled = options.hasIPv6
        unsafe configuration.vprefix_addr6 = Self.address6(0)
        unsafe configuration.vprefix_len = 64
        unsafe configuration.vhost6 = Self.address6(2)
        unsafe configuration.vnameserver6 = Self.address6(3)
        unsafe configuration.if_mtu = mtu
        unsafe configuration.if_mru = mtu
        unsafe configuration.disable_host_loopback = !options.reachesHost
        let opaque = unsafe Unmanaged.passUnretained(self).toOpaque()
        // SAFETY: `callbacks` and `self` outlive the instance; the configuration is copied.
        unsafe slirp = unsafe slirp_new(&configuration, callbacks, opaque)
        guard unsafe slirp != nil else {
            throw XError(
                .hostCall,
                "libslirp does not take an MTU of \(mtu) bytes; take one from 576 to 65521")
        }
    }

    deinit {
        if let slirp = unsafe slirp { unsafe slirp_cleanup(slirp) }
        unsafe callbacks.deinitialize(count: 1)
        unsafe callbacks.deallocate()
    }

    private static func address(_ value: UInt32) -> in_addr { in_addr(s_addr: value.bigEndian) }

    /// fec0::`host`, of the site-local prefix that QEMU uses.
    private static func address6(_ host: UInt8) -> in6_addr {
        var result = in6_addr()
        unsafe withUnsafeMutableBytes(of: &result) { bytes in
            unsafe bytes[0] = 0xfe
            unsafe bytes[1] = 0xc0
            unsafe bytes[15] = host
        }
        return result
    }

    /// Lets connections to a port of the host go on to the guest.
    func publish(_ port: PublishedPort) throws(XError) {
        guard let slirp = unsafe slirp else { return }
        func socketAddress(_ address: UInt32, _ port: UInt16) -> sockaddr_in {
            var result = sockaddr_in()
            result.sin_family = sa_family_t(AF_INET)
            result.sin_port = port.bigEndian
            result.sin_addr = Self.address(address)
            return result
        }
        var host = socketAddress(port.hostAddress, port.hostPort)
        var guest = socketAddress(UserNetwork.guest, port.guestPort)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: both are addresses of this length, copied by the call.
        let result = unsafe withUnsafeBytes(of: &host) { host in
            unsafe withUnsafeBytes(of: &guest) { guest in
                unsafe slirp_add_hostxfwd(
                    slirp, host.baseAddress?.assumingMemoryBound(to: sockaddr.self), length,
                    guest.baseAddress?.assumingMemoryBound(to: sockaddr.self), length,
                    port.transportProtocol == .udp ? CInt(SLIRP_HOSTFWD_UDP) : 0)
            }
        }
        guard result < 0 else { return }
        let error = HostErrno(rawValue: errno)
        let advice =
            switch errno {
            case EADDRINUSE: "another program has the port: take another host port"
            case EACCES: "ports below 1024 are root's: take a higher host port"
            case EADDRNOTAVAIL: "this host does not have the address: take 127.0.0.1 or 0.0.0.0"
            default: "take another host port"
            }
        throw XError(.hostCall, "cannot publish \(port): \(error); \(advice)", cause: error)
    }

    /// Gives a frame of the guest to the stack, whose answers come before this returns.
    func input(_ frame: UnsafeRawBufferPointer) {
        guard let slirp = unsafe slirp, let bytes = frame.baseAddress else { return }
        // SAFETY: the frame lives through the call, which copies it and checks its lengths.
        unsafe slirp_input(
            slirp, bytes.assumingMemoryBound(to: UInt8.self), CInt(clamping: frame.count))
    }

    /// Waits for sockets, timers and `descriptor`, and does what there is to do.
    ///
    /// - Parameters:
    ///   - mayWait: false to look only.
    ///   - readsSockets: false while the guest takes no frames.
    /// - Returns: whether `descriptor` is readable.
    func serve(waitingFor descriptor: CInt, mayWait: Bool, readsSockets: Bool) -> Bool {
        guard let slirp = unsafe slirp else { return false }
        self.readsSockets = readsSockets
        polled.removeAll(keepingCapacity: true)
        asked.removeAll(keepingCapacity: true)
        polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        asked.append(0)
        let opaque = unsafe Unmanaged.passUnretained(self).toOpaque()
        var timeout = UInt32.max
        unsafe cslirp_pollfds_fill(slirp, &timeout, SlirpCallbacks.addPoll, opaque)
        let result = unsafe poll(
            &polled, nfds_t(polled.count), mayWait ? milliseconds(atMost: timeout) : 0)
        let failed: CInt = result < 0 ? 1 : 0
        unsafe slirp_pollfds_poll(slirp, failed, SlirpCallbacks.events, opaque)
        runTimers()
        return result > 0 && polled[0].revents != 0
    }

    /// What poll(2) waits; -1: as long as it takes.
    private func milliseconds(atMost timeout: UInt32) -> CInt {
        var result = timeout == .max ? Int64.max : Int64(timeout)
        let now = Self.now
        for timer in timers {
            if let deadline = timer.deadline { result = min(result, max(deadline - now, 0)) }
        }
        return result == .max ? -1 : CInt(clamping: result)
    }

    private func runTimers() {
        guard let slirp = unsafe slirp else { return }
        let now = Self.now
        for timer in timers where timer.deadline.map({ $0 <= now }) ?? false {
            timer.deadline = nil
            unsafe slirp_handle_timer(slirp, timer.identifier, timer.opaque)
        }
    }

    fileprivate static var now: Int64 {
        Int64(clamping: HostThread.monotonicNow.nanoseconds / 1_000_000)
    }

    fileprivate func addPoll(_ descriptor: CInt, _ events: CInt) -> CInt {
        var wanted: CInt = 0
        if events & CInt(SLIRP_POLL_OUT) != 0 { wanted |= POLLOUT }
        if readsSockets, events & CInt(SLIRP_POLL_IN) != 0 { wanted |= POLLIN }
        if readsSockets, events & CInt(SLIRP_POLL_PRI) != 0 { wanted |= POLLPRI }
        polled.append(
            // poll(2) reports the end of a socket whether asked or not; a negative one it passes over.
            pollfd(fd: wanted == 0 ? -1 : descriptor, events: Int16(wanted), revents: 0))
        asked.append(wanted)
        return CInt(polled.count - 1)
    }

    fileprivate func events(_ index: CInt) -> CInt {
        guard polled.indices.contains(Int(index)) else { return 0 }
        let found = CInt(polled[Int(index)].revents)
        let wanted = asked[Int(index)]
        if found == 0 { return 0 }
        // A socket that is not read (its buffer may be full, which soread() does not survive) learns
        // of its end by writing.
        guard wanted & (POLLIN | POLLPRI) != 0 else { return CInt(SLIRP_POLL_OUT) }
        var result: CInt = 0
        if found & POLLIN != 0 { result |= CInt(SLIRP_POLL_IN) }
        if found & POLLPRI != 0 { result |= CInt(SLIRP_POLL_PRI) }
        if found & POLLOUT != 0 { result |= CInt(SLIRP_POLL_OUT) }
        if found & POLLERR != 0 { result |= CInt(SLIRP_POLL_ERR) }
        if found & POLLHUP != 0 { result |= CInt(SLIRP_POLL_HUP) }
        return result
    }
}

/// The instance that libslirp calls back for.
private func stack(_ opaque: UnsafeMutableRawPointer?) -> SlirpStack? {
    // SAFETY: what `SlirpStack.init` gave; it lives while libslirp runs.
    unsafe opaque.map { unsafe Unmanaged<SlirpStack>.fromOpaque($0).takeUnretainedValue() }
}

/// The functions that libslirp calls. Their last argument is the `SlirpStack`.
private enum SlirpCallbacks {
    static let addPoll: SlirpAddPollCb = { descriptor, events, opaque in
        unsafe stack(opaque)?.addPoll(descriptor, events) ?? -1
    }

    static let events: SlirpGetREventsCb = { index, opaque in
        unsafe stack(opaque)?.events(index) ?? 0
    }

    static func make() -> SlirpCb {
        var result = SlirpCb()
        unsafe result.send_packet = { bytes, count, opaque in
            unsafe stack(opaque)?.output(UnsafeRawBufferPointer(start: bytes, count: count))
            return count
        }
        unsafe result.guest_error = { _, opaque in
            guard let stack = unsafe stack(opaque) else { return }
            stack.guestErrors &+= 1
        }
        unsafe result.clock_get_ns = { _ in
            Int64(clamping: HostThread.monotonicNow.nanoseconds)
        }
        unsafe result.timer_new_opaque = { identifier, own, opaque in
            guard let stack = unsafe stack(opaque) else { return nil }
            let timer = unsafe SlirpStack.Timer(identifier, own)
            stack.timers.append(timer)
            return unsafe Unmanaged.passUnretained(timer).toOpaque()
        }
        unsafe result.timer_free = { timer, opaque in
            unsafe stack(opaque)?.timers.removeAll {
                unsafe Unmanaged.passUnretained($0).toOpaque() == timer
            }
        }
        unsafe result.timer_mod = { timer, milliseconds, opaque in
            let found = unsafe stack(opaque)?.timers.first {
                unsafe Unmanaged.passUnretained($0).toOpaque() == timer
            }
            found?.deadline = milliseconds
        }
        // Descriptors are asked for before each wait; the thread that waits is the one that is called.
        unsafe result.register_poll_fd = { _, _ in }
        unsafe result.unregister_poll_fd = { _, _ in }
        unsafe result.notify = { _ in }
        return result
    }
}
