internal import HostIO
internal import Synchronization

extension XenFace {
    /// Counts of hypercalls by kind, of events raised in the guest and sent by it, of grants taken into
    /// use and refused, and of clock pages written.
    public var metrics: [String: UInt64] {
        [
            "hypercallsMemory": hypercalls.memory.load(ordering: .relaxed),
            "hypercallsVersion": hypercalls.version.load(ordering: .relaxed),
            "hypercallsGrantTable": hypercalls.grantTable.load(ordering: .relaxed),
            "hypercallsVCPU": hypercalls.vcpu.load(ordering: .relaxed),
            "hypercallsScheduler": hypercalls.scheduler.load(ordering: .relaxed),
            "hypercallsEventChannel": hypercalls.eventChannel.load(ordering: .relaxed),
            "hypercallsHVM": hypercalls.hvm.load(ordering: .relaxed),
            "hypercallsUnknown": hypercalls.other.load(ordering: .relaxed),
            "eventsRaised": eventChannels.counters.raised.load(ordering: .relaxed),
            "eventsSent": eventChannels.counters.sent.load(ordering: .relaxed),
            "grantsTaken": grantTable.counters.taken.load(ordering: .relaxed),
            "grantsRefused": grantTable.counters.refused.load(ordering: .relaxed),
            "clockPagesPublished": clock.withLock { $0.published },
        ]
    }
}
