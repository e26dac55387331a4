internal import CEngine
public import VirtualCPU
public import Vocabulary

extension SoftwareEngine: LinearAddressSpace {
    public func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress? {
        // A kernel names its own memory: SMAP is about accesses it does not mean.
        let result = unsafe walk(
            cpu, engine, address.rawValue, forWriting ? .write : .read,
            mode: AccessMode.supervisorToUser)
        guard case .present(let translation) = result, translation.writable || !forWriting else {
            return nil
        }
        return GuestPhysicalAddress(translation.physical & ~0xfff | address.rawValue & 0xfff)
    }
}
