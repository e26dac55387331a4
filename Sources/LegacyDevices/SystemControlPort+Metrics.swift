extension SystemControlPort {
    /// Reads and writes; each a count.
    public var metrics: [String: UInt64] { counters.values }
}
