import GuestMemory
import Synchronization
import Testing
import VirtualCPU
import Vocabulary

@testable import Xen

/// The guest's side of the Xen interface, without a processor: linear addresses are physical, and it
/// handles events as a kernel does.
final class ScriptedGuest: LinearAddressSpace {
    static let sharedInfo: UInt64 = 0x10_000
    static let information: UInt64 = 0x11_000
    static let control: UInt64 = 0x12_000
    static let words: UInt64 = 0x13_000
    static let grants: UInt64 = 0x20_000
    private static let arguments: UInt64 = 0x8_000

    let memory: GuestMemory
    let face: XenFace
    let log: EventLog
    /// Where the guest is in each queue of each vCPU; 0: at its head.
    private var heads: [[UInt32]]

    /// What the machine was asked for.
    final class EventLog: Sendable {
        let upcalls = Mutex<[UInt32]>([])
        let kicks = Mutex<[UInt32]>([])
        let timers = Mutex<[UInt32: UInt64]>([:])
        let pollTimers = Mutex<[UInt32: UInt64]>([:])
        let now = Mutex<UInt64>(1_000)
    }

    init(vcpus: Int = 2) throws {
        let log = EventLog()
        self.log = log
        memory = try GuestMemory(
            regions: [MemoryRegion(start: GuestPhysicalAddress(0), byteCount: 4 << 20)])
        heads = [[UInt32]](repeating: [UInt32](repeating: 0, count: 16), count: vcpus)
        face = XenFace(
            memory: memory,
            memoryMap: [
                XenFace.MapEntry(start: 0, byteCount: 0x9_f000, type: 1),
                XenFace.MapEntry(start: 0x10_0000, byteCount: 0x30_0000, type: 1),
                XenFace.MapEntry(start: 0xffff_f000, byteCount: 4096, type: 2),
            ], processorCount: vcpus, frequency: 1_000_000_000, identifier: [1, 2, 3],
            surroundings: XenFace.Surroundings(
                counter: { log.now.withLock { $0 } }, monotonic: { log.now.withLock { $0 } },
                wallClock: { 5_000_000_000_000 },
                interrupt: { vcpu, _ in log.upcalls.withLock { $0.append(vcpu.rawValue) } },
                kick: { vcpu in log.kicks.withLock { $0.append(vcpu.rawValue) } },
                setTimer: { vcpu, time in log.timers.withLock { $0[vcpu.rawValue] = time } },
                setPollTimer: { vcpu, time in
                    log.pollTimers.withLock { $0[vcpu.rawValue] = time }
                }))
    }

    func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress? {
        address.rawValue < memory.byteCount ? GuestPhysicalAddress(address.rawValue) : nil
    }

    // MARK: Hypercalls

    func call(
        _ number: HypercallNumber, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0,
        from vcpu: UInt32 = 0
    ) -> XenOutcome {
        var frame = HypercallFrame()
        frame.rax = number.rawValue
        frame.rdi = a
        frame.rsi = b
        frame.rdx = c
        return face.hypercall(frame, from: VCPUIndex(vcpu), in: self)
    }

    /// The same from 32-bit code, with something in the upper halves, which do not count.
    func narrowCall(
        _ number: HypercallNumber, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0
    ) -> XenOutcome {
        var frame = HypercallFrame()
        let upper: UInt64 = 0xdead_beef << 32
        frame.rax = upper | number.rawValue
        frame.rbx = upper | a
        frame.rcx = upper | b
        frame.rdx = upper | c
        (frame.rdi, frame.rsi) = (.max, .max)
        frame.is64Bit = false
        return face.hypercall(frame, from: VCPUIndex(0), in: self)
    }

    /// Writes words of 32 bits where arguments are put; the address.
    func put(_ words: UInt32...) -> UInt64 {
        for (index, word) in words.enumerated() {
            memory.write(
                GuestPhysicalAddress(Self.arguments + UInt64(index) * 4), integer: word)
        }
        return Self.arguments
    }

    func word(_ address: UInt64) -> UInt32 {
        memory.read(GuestPhysicalAddress(address), as: UInt32.self) ?? 0
    }

    func long(_ address: UInt64) -> UInt64 {
        memory.read(GuestPhysicalAddress(address), as: UInt64.self) ?? 0
    }

    func error(_ outcome: XenOutcome) -> Int64 { Int64(bitPattern: outcome.result) }

    /// The port that an operation of event channels gives, at an offset of its argument.
    func event(_ operation: EventChannels.Operation, _ words: UInt32..., port: UInt64? = nil)
        -> (result: Int64, port: UInt32)
    {
        var address = Self.arguments
        for word in words {
            memory.write(GuestPhysicalAddress(address), integer: word)
            address += 4
        }
        let result = error(call(.eventChannel, operation.rawValue, Self.arguments))
        return (result, port.map { word(Self.arguments + $0) } ?? 0)
    }

    // MARK: Set-up

    func mapSharedInfo() -> Int64 {
        let frame = Self.sharedInfo >> 12
        return error(call(.memory, 7, put(0x7ff0, 0, 0, 0, UInt32(frame), 0)))
    }

    /// vcpu_info of each vCPU, and upcall vectors.
    func register() -> [Int64] {
        (0..<UInt32(face.processors.count)).flatMap { vcpu -> [Int64] in
            let frame = UInt32(Self.information >> 12)
            let information = call(
                .vcpu, 10, UInt64(vcpu), put(frame, 0, vcpu * 64, 0))
            let vector = call(.hvm, 23, put(vcpu, 0xf3))
            return [error(information), error(vector)]
        }
    }

    func useFIFO() -> [Int64] {
        var results: [Int64] = []
        for vcpu in 0..<UInt32(face.processors.count) {
            results.append(
                event(
                    .initializeControl, UInt32(Self.control >> 12), 0, vcpu * 128, vcpu
                ).result)
        }
        for index in 0..<UInt64(1024) {
            memory.write(
                GuestPhysicalAddress(Self.words + index * 4), integer: EventWord.masked)
        }
        results.append(event(.expandArray, UInt32(Self.words >> 12), 0).result)
        return results
    }

    // MARK: Events, as a kernel takes them

    /// Takes all events of a vCPU with FIFO events: the ports, in the order they are handled.
    func takeQueued(_ vcpu: UInt32) -> [UInt32] {
        var taken: [UInt32] = []
        var steps = 0
        let information = GuestPhysicalAddress(Self.information + UInt64(vcpu) * 64)
        let block = GuestPhysicalAddress(Self.control + UInt64(vcpu) * 128)
        _ = memory.atomicExchange(information, UInt8(0))
        var ready = memory.atomicExchange(block, UInt32(0)) ?? 0
        while ready != 0 {
            steps += 1
            guard steps < 1_000_000 else {
                Issue.record("a queue of events has no end")
                return taken
            }
            let priority = ready.trailingZeroBitCount
            var head = heads[Int(vcpu)][priority]
            if head == 0 { head = word(block.rawValue + 8 + UInt64(priority) * 4) }
            let address = GuestPhysicalAddress(Self.words + UInt64(head) * 4)
            let old = memory.atomicAnd(address, ~(EventWord.linked | EventWord.link)) ?? 0
            let next = old & EventWord.link
            if next == 0 { ready &= ~(1 << UInt32(priority)) }
            if old & EventWord.pending != 0, old & EventWord.masked == 0 {
                _ = memory.atomicAnd(address, ~EventWord.pending)
                taken.append(head)
            }
            heads[Int(vcpu)][priority] = next
            ready |= memory.atomicExchange(block, UInt32(0)) ?? 0
        }
        return taken
    }

    /// The same with bits.
    func takeBits(_ vcpu: UInt32) -> [UInt32] {
        var taken: [UInt32] = []
        let information = GuestPhysicalAddress(Self.information + UInt64(vcpu) * 64)
        _ = memory.atomicExchange(information, UInt8(0))
        var selector = memory.atomicExchange(information.advanced(by: 8), UInt64(0)) ?? 0
        while selector != 0 {
            let index = UInt64(selector.trailingZeroBitCount)
            selector &= selector - 1
            let pending = GuestPhysicalAddress(Self.sharedInfo + 0x800 + index * 8)
            let mask = long(Self.sharedInfo + 0xa00 + index * 8)
            var bits = long(pending.rawValue) & ~mask
            while bits != 0 {
                let bit = bits.trailingZeroBitCount
                bits &= bits - 1
                _ = memory.atomicAnd(pending, ~(UInt64(1) << UInt64(bit)))
                taken.append(UInt32(index) * 64 + UInt32(bit))
            }
        }
        return taken
    }

    func unmaskWord(_ port: UInt32) {
        _ = memory.atomicAnd(
            GuestPhysicalAddress(Self.words + UInt64(port) * 4), ~EventWord.masked)
    }

    var takenUpcalls: [UInt32] {
        log.upcalls.withLock { upcalls in
            defer { upcalls = [] }
            return upcalls
        }
    }
}
