extension TimeStampCounter {
    /// The frequency in hertz.
    public var metrics: [String: UInt64] { ["frequencyHertz": frequency] }
}
