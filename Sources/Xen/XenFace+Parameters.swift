internal import GuestMemory
internal import HostIO
internal import Synchronization
public import Vocabulary

extension XenFace {
    /// HVM_PARAM_* of xen/include/public/hvm/params.h that there are.
    public enum Parameter: UInt32, Sendable, CaseIterable, Codable {
        case callbackInterrupt = 0
        case storeFrame = 1
        case storePort = 2
        case consoleFrame = 17
        case consolePort = 18
    }

    struct Parameters: Sendable {
        var values: [Parameter: UInt64] = [:]
    }

    /// What the guest finds. Set before it runs; the callback is the guest's.
    public subscript(parameter: Parameter) -> UInt64 {
        get { parameters.withLock { $0.values[parameter] ?? 0 } }
        set { parameters.withLock { $0.values[parameter] = newValue } }
    }

    private enum Operation {
        static let setParameter: UInt64 = 0
        static let getParameter: UInt64 = 1
        static let setUpcallVector: UInt64 = 23
    }

    /// hvm_op(command, address).
    func hvm(_ command: UInt64, _ address: UInt64, _ arguments: HypercallMemory) -> UInt64 {
        switch command {
        case Operation.setParameter, Operation.getParameter:
            // xen_hvm_param: domain 0, index 4, value 8.
            guard let request = arguments.read(address, byteCount: 16) else {
                return XenError.fault.result
            }
            guard request.domain(0) == .itself || request.domain(0) == domain else {
                return XenError.notPermitted.result
            }
            let index = request.integer(4, as: UInt32.self)
            guard let parameter = Parameter(rawValue: index) else {
                return XenError.invalidArgument.result
            }
            if command == Operation.getParameter {
                return arguments.write(address &+ 8, integer: self[parameter])
                    ? 0 : XenError.fault.result
            }
            guard parameter == .callbackInterrupt else { return XenError.notPermitted.result }
            return setCallback(request.integer(8))?.result ?? 0
        case Operation.setUpcallVector:
            // xen_hvm_evtchn_upcall_vector: vCPU 0, vector 4.
            guard let request = arguments.read(address, byteCount: 8) else {
                return XenError.fault.result
            }
            guard
                let processor = processor(VCPUIndex(request.integer(0, as: UInt32.self)))
            else { return XenError.noEntry.result }
            let vector: UInt8 = request.integer(4)
            guard vector >= 16 else { return XenError.invalidArgument.result }
            processor.upcallVector.store(vector, ordering: .releasing)
            remind(VCPUIndex(request.integer(0, as: UInt32.self)))
            return 0
        default: return XenError.noHypercall.result
        }
    }

    /// HVM_PARAM_CALLBACK_IRQ: the kind in bits 63:56. Only 2, a vector, can interrupt here; 0 with a
    /// number is a line of an interrupt controller, and 1, which Linux sets where vCPUs have vectors of
    /// their own, says only that there is a callback.
    private func setCallback(_ value: UInt64) -> XenError? {
        switch value >> 56 {
        case 2:
            let vector = UInt8(truncatingIfNeeded: value)
            guard vector >= 16 else { return .invalidArgument }
            callback.value = vector
        case 0, 1: callback.value = 0
        default: return .invalidArgument
        }
        self[.callbackInterrupt] = value
        for slot in processors.indices { remind(VCPUIndex(UInt32(slot))) }
        return nil
    }

    /// The vCPU can take upcalls from now on, and is to take one that it has missed: its vector has been
    /// set, or its local APIC enabled. Any thread.
    public func remind(_ index: VCPUIndex) {
        guard let information = processor(index)?.information.load(ordering: .acquiring),
            information != 0,
            memory.atomicLoad(GuestPhysicalAddress(information), as: UInt8.self) ?? 0 != 0
        else { return }
        eventChannels.surroundings.upcall(index)
    }
}
