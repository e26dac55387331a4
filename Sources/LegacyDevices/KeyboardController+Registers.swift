public import Bus

extension KeyboardController {
    /// The status port. Output is always full, so drivers that probe find no controller at once;
    /// input is always empty (bit 1), so whoever resets does not wait.
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        return 0xfd
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        if value & 0xff == 0xfe { request(.reset) }
    }
}
