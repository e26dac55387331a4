public import Vocabulary

/// The linear addresses of a vCPU, as its kernel sees them at this moment.
public protocol LinearAddressSpace: AnyObject {
    /// Where the byte at `address` is, for an access at privilege level 0; nil: there would be a page
    /// fault. On the vCPU's worker, between two runs.
    func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress?
}
