public import Bus

extension ResetControl {
    public func read(offset: UInt64, width: AccessWidth) -> UInt64 {
        counters.countRead()
        return 0
    }

    public func write(offset: UInt64, width: AccessWidth, value: UInt64) {
        counters.countWrite()
        if value & 4 != 0 { request(.reset) }
    }
}
