internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

/// What a vCPU has done with its time: RUNSTATE_* of xen/include/public/vcpu.h.
struct Runstate: Sendable {
    enum Kind: UInt32, Codable {
        case running = 0
        case runnable = 1
        case blocked = 2
        case offline = 3
    }

    var kind = Kind.offline
    /// When it began, on the guest's clock.
    var since: UInt64
    /// Nanoseconds in each.
    var times: [UInt64] = [0, 0, 0, 0]
    /// Where each eight bytes of the guest's vcpu_runstate_info lie; empty: nowhere.
    var area: [UInt64] = []

    init(since: UInt64) { self.since = since }

    mutating func change(to kind: Kind, at now: UInt64) {
        times[Int(self.kind.rawValue)] &+= now &- since
        self.kind = kind
        since = now
    }
}

// What the scheduler tells of a vCPU, on the worker that runs it.
extension XenFace {
    /// vcpu_runstate_info: state 0, since 8, times 16 to 48.
    private static let runstateByteCount: UInt64 = 48
    /// XEN_RUNSTATE_UPDATE.
    private static let updateMark: UInt64 = 1 << 63

    /// The vCPU stops running guest code.
    public func scheduledOut(_ index: VCPUIndex, preempted: Bool) {
        change(index, to: preempted ? .runnable : .blocked)
    }

    /// The vCPU is about to run guest code.
    ///
    /// - Parameter stolenNanoseconds: it could have run and did not, since the last call.
    public func scheduledIn(_ index: VCPUIndex, stolenNanoseconds: UInt64) {
        guard let processor = processor(index) else { return }
        endPoll(index)
        let now = systemTime
        processor.runstate.withLock { runstate in
            // From being woken to running it was runnable, not blocked.
            if runstate.kind == .blocked {
                let waited = min(stolenNanoseconds, now &- runstate.since)
                runstate.change(to: .runnable, at: now &- waited)
            }
            runstate.change(to: .running, at: now)
            publish(runstate)
        }
    }

    private func change(_ index: VCPUIndex, to kind: Runstate.Kind) {
        guard let processor = processor(index) else { return }
        let now = systemTime
        processor.runstate.withLock { runstate in
            runstate.change(to: kind, at: now)
            publish(runstate)
        }
    }

    private func publish(_ runstate: Runstate) {
        guard runstate.area.count == 6 else { return }
        let marks = marksRunstateUpdates.load(ordering: .relaxed)
        let since = GuestPhysicalAddress(runstate.area[1])
        if marks { memory.atomicStore(since, runstate.since | Self.updateMark) }
        memory.atomicStore(GuestPhysicalAddress(runstate.area[0]), runstate.kind.rawValue)
        for (place, time) in zip(runstate.area[2...], runstate.times) {
            memory.atomicStore(GuestPhysicalAddress(place), time)
        }
        memory.atomicStore(since, runstate.since)
    }

    /// VCPUOP_register_runstate_memory_area: a linear address, whose pages are looked up now: kernels
    /// have it where it stays mapped. 0: none any more.
    func placeRunstate(
        _ processor: XenProcessor, _ area: UInt64, _ arguments: HypercallMemory
    ) -> Bool {
        var places: [UInt64] = []
        if area != 0 {
            guard area & 7 == 0 else { return false }
            for offset in stride(from: UInt64(0), to: Self.runstateByteCount, by: 8) {
                guard let place = arguments.physical(area &+ offset, write: true),
                    memory.contains(place, byteCount: 8)
                else { return false }
                places.append(place.rawValue)
            }
        }
        processor.runstate.withLock { runstate in
            runstate.area = places
            publish(runstate)
        }
        return true
    }
}
