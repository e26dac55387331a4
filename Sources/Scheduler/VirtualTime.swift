/// How far a vCPU has come with its share, in nanoseconds of a VM of weight 100 with one runnable
/// vCPU. Who is behind runs next.
///
/// The numbers wrap: two of them compare right while they are less than 2^63 apart, and the run
/// queues keep all that compete close together.
struct VirtualTime: Hashable, Comparable, Sendable {
    var units: UInt64 = 0

    static func < (a: Self, b: Self) -> Bool { Int64(bitPattern: a.units &- b.units) < 0 }

    func advanced(by units: UInt64) -> Self { Self(units: self.units &+ units) }
    func reduced(by units: UInt64) -> Self { Self(units: self.units &- units) }

    /// What `nanoseconds` of processor time cost a vCPU. A VM's weight is divided among its runnable
    /// vCPUs, so that VMs share by their weights whatever the number of their vCPUs, and one queue
    /// orders the vCPUs of all VMs.
    static func cost(of nanoseconds: UInt64, weight: Int, runnableCount: Int) -> UInt64 {
        let scaled = nanoseconds.multipliedFullWidth(
            by: UInt64(max(1, runnableCount)) &* UInt64(VCPUGroup.Settings.defaultWeight))
        let divisor = UInt64(max(1, weight))
        // A quotient of more than 64 bits: centuries of processor time.
        guard scaled.high < divisor else { return 1 << 62 }
        return min(divisor.dividingFullWidth(scaled).quotient, 1 << 62)
    }
}
