internal import HostIO

extension KVMFace {
    /// Clock pages written; a count.
    public var metrics: [String: UInt64] {
        ["clockPagesPublished": registers.withLock { $0.published }]
    }
}
