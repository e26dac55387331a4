internal import HostIO
internal import Synchronization
public import Vocabulary

/// Which device answers at a port or at a physical address.
///
/// Devices are claimed while the machine is put together; then `freeze` makes the map immutable, and
/// look-ups from any number of vCPU threads take no lock.
@safe
public final class Bus: Sendable {
    struct Range: Sendable {
        let start: UInt64
        let end: UInt64
        let device: any Device
    }

    private struct Claims {
        var ports: [Range] = []
        var memory: [Range] = []
        var isFrozen = false
    }

    private let claims = RankedLock(Claims(), owner: "bus", rank: .leaf)
    /// Set once, by `freeze`; owned by this object.
    private let map = unsafe Atomic<Unmanaged<Map>?>(nil)

    private final class Map: Sendable {
        let ports: [Range]
        let memory: [Range]

        init(ports: [Range], memory: [Range]) {
            self.ports = ports
            self.memory = memory
        }
    }

    public init() {}

    deinit { unsafe map.load(ordering: .acquiring)?.release() }

    /// Gives `device` the ports from `port`. Throws if another has one of them.
    public func claim(_ port: PortNumber, count: UInt64, _ device: any Device) throws(XError) {
        try claim(UInt64(port.rawValue), count, device, \.ports, "port")
    }

    /// Gives `device` the physical addresses from `address`. Throws if another has one of them.
    public func claim(
        _ address: GuestPhysicalAddress, byteCount: UInt64, _ device: any Device
    ) throws(XError) {
        try claim(address.rawValue, byteCount, device, \.memory, "address")
    }

    private func claim(
        _ start: UInt64, _ count: UInt64, _ device: any Device,
        _ list: WritableKeyPath<Claims, [Range]>, _ kind: String
    ) throws(XError) {
        let (end, overflow) = start.addingReportingOverflow(count)
        let refusal: String? = claims.withLock { claims in
            if claims.isFrozen { return "the machine runs already" }
            if overflow || count == 0 { return "the range is empty or too long" }
            if let other = claims[keyPath: list].first(where: { $0.start < end && start < $0.end })
            {
                return "\(other.device.name) has it"
            }
            claims[keyPath: list].append(Range(start: start, end: end, device: device))
            claims[keyPath: list].sort { $0.start < $1.start }
            return nil
        }
        if let refusal {
            throw XError(
                .busy,
                "\(device.name) cannot have \(kind) 0x\(String(start, radix: 16)): \(refusal)")
        }
    }

    /// No claims after this; look-ups begin.
    public func freeze() {
        claims.withLock { claims in
            if claims.isFrozen { return }
            claims.isFrozen = true
            let made = Map(ports: claims.ports, memory: claims.memory)
            unsafe map.store(Unmanaged.passRetained(made), ordering: .releasing)
        }
    }

    /// Nil before `freeze`.
    private var frozen: Map? {
        // SAFETY: never changes once it is set, and lives as long as this object.
        unsafe map.load(ordering: .acquiring)?.takeUnretainedValue()
    }

    private static func find(_ ranges: [Range], _ address: UInt64) -> Range? {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        guard low < ranges.count, ranges[low].start <= address else { return nil }
        return ranges[low]
    }

    /// All ones where nobody answers.
    public func read(_ port: PortNumber, width: AccessWidth) -> UInt64 {
        guard let map = frozen, let range = Self.find(map.ports, UInt64(port.rawValue)) else {
            return .max
        }
        return range.device.read(offset: UInt64(port.rawValue) - range.start, width: width)
    }

    public func write(_ port: PortNumber, width: AccessWidth, value: UInt64) {
        guard let map = frozen, let range = Self.find(map.ports, UInt64(port.rawValue)) else {
            return
        }
        range.device.write(
            offset: UInt64(port.rawValue) - range.start, width: width, value: value)
    }

    public func read(_ address: GuestPhysicalAddress, width: AccessWidth) -> UInt64 {
        guard let map = frozen, let range = Self.find(map.memory, address.rawValue) else {
            return .max
        }
        return range.device.read(offset: address.rawValue - range.start, width: width)
    }

    public func write(_ address: GuestPhysicalAddress, width: AccessWidth, value: UInt64) {
        guard let map = frozen, let range = Self.find(map.memory, address.rawValue) else {
            return
        }
        range.device.write(
            offset: address.rawValue - range.start, width: width, value: value)
    }
}
