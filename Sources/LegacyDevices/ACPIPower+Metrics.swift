extension ACPIPower {
    /// Reads, writes and times the line was set high; each a count.
    public var metrics: [String: UInt64] { counters.values }
}
