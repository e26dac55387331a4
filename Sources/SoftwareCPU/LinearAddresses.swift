internal import CEngine
internal import GuestMemory
public import VirtualCPU
public import Vocabulary

extension SoftwareEngine: LinearAddressSpace {
    public func physicalAddress(
        of address: GuestVirtualAddress, forWriting: Bool
    ) -> GuestPhysicalAddress? {
        // A kernel names its own memory: SMAP is about accesses it does not mean.
        func find() -> WalkResult {
            unsafe engine.lookAtMemory(cpu) {
                unsafe walk(
                    cpu, engine, address.rawValue, forWriting ? .write : .read,
                    mode: AccessMode.supervisorToUser)
            }
        }
        var result = find()
        while case .absent(let table) = result, engine.memory.bring(table) { result = find() }
        guard case .present(let translation) = result, translation.writable || !forWriting else {
            return nil
        }
        return GuestPhysicalAddress(translation.physical & ~0xfff | address.rawValue & 0xfff)
    }
}
