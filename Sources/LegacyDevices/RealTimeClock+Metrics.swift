extension RealTimeClock {
    /// Reads, writes and rises of the line; each a count.
    public var metrics: [String: UInt64] { counters.values }
}
