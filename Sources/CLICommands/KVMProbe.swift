import CHost
import Foundation
import Glibc

/// Asks /dev/kvm to run a few real-mode instructions and looks at the result.
enum KVMProbe {
    enum Outcome: Equatable {
        case absent
        case refused(String)
        /// It is there and does not do what a processor does; what it did instead.
        case unfit(String)
        case works
    }

    static func run() -> Outcome {
        let device = unsafe open("/dev/kvm", O_RDWR | O_CLOEXEC)
        guard device >= 0 else {
            return errno == ENOENT ? .absent : .refused(errnoText())
        }
        defer { close(device) }
        let version = chost_ioctl_value(device, chost_KVM_GET_API_VERSION, 0)
        guard version == 12 else { return .unfit("its interface version is \(version), not 12") }
        let machine = chost_ioctl_value(device, chost_KVM_CREATE_VM, 0)
        guard machine >= 0 else { return .unfit("it makes no virtual machine: \(errnoText())") }
        defer { close(machine) }
        let runSize = chost_ioctl_value(device, chost_KVM_GET_VCPU_MMAP_SIZE, 0)
        guard runSize >= MemoryLayout<kvm_run>.size else {
            return .unfit("it has no run structure: \(errnoText())")
        }
        return run(machine: machine, runSize: Int(runSize))
    }

    private static func run(machine: Int32, runSize: Int) -> Outcome {
        let pageSize = 4096
        let memory = unsafe mmap(
            nil, pageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
            return .unfit("no memory for it: \(errnoText())")
        }
        // SAFETY: the mapping is ours, of this size, and outlives the vCPU below.
        defer { _ = unsafe munmap(memory, pageSize) }
        // mov dx, ax; add dx, bx; imul dx, dx, 3; hlt
        let code: [UInt8] = [0x89, 0xc2, 0x01, 0xda, 0x6b, 0xd2, 0x03, 0xf4]
        unsafe memory.copyMemory(from: code, byteCount: code.count)
        var region = kvm_userspace_memory_region(
            slot: 0, flags: 0, guest_phys_addr: 0x1000, memory_size: UInt64(pageSize),
            userspace_addr: UInt64(UInt(bitPattern: memory)))
        guard
            unsafe chost_ioctl_pointer(machine, chost_KVM_SET_USER_MEMORY_REGION, &region) == 0
        else { return .unfit("it takes no memory: \(errnoText())") }
        let processor = chost_ioctl_value(machine, chost_KVM_CREATE_VCPU, 0)
        guard processor >= 0 else { return .unfit("it makes no vCPU: \(errnoText())") }
        defer { close(processor) }
        let mapping = unsafe mmap(
            nil, runSize, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            return .unfit("its run structure cannot be mapped: \(errnoText())")
        }
        defer { _ = unsafe munmap(mapping, runSize) }

        var special = kvm_sregs()
        guard unsafe chost_ioctl_pointer(processor, chost_KVM_GET_SREGS, &special) == 0 else {
            return .unfit("it tells no registers: \(errnoText())")
        }
        special.cs.base = 0
        special.cs.selector = 0
        guard unsafe chost_ioctl_pointer(processor, chost_KVM_SET_SREGS, &special) == 0 else {
            return .unfit("it takes no segment registers: \(errnoText())")
        }
        var registers = kvm_regs()
        registers.rip = 0x1000
        registers.rflags = 2
        registers.rax = 1200
        registers.rbx = 34
        guard unsafe chost_ioctl_pointer(processor, chost_KVM_SET_REGS, &registers) == 0 else {
            return .unfit("it takes no registers: \(errnoText())")
        }
        // A vCPU that never comes back is interrupted by the alarm: EINTR.
        signal(SIGALRM) { _ in }
        alarm(2)
        let result = chost_ioctl_value(processor, chost_KVM_RUN, 0)
        let failure = errnoText()
        alarm(0)
        signal(SIGALRM, SIG_DFL)
        guard result == 0 else { return .unfit("it runs nothing: \(failure)") }
        let reason = unsafe mapping.load(
            fromByteOffset: MemoryLayout<kvm_run>.offset(of: \.exit_reason) ?? 8, as: UInt32.self)
        guard reason == UInt32(KVM_EXIT_HLT) else {
            return .unfit("real-mode code left with exit reason \(reason), not HLT")
        }
        guard unsafe chost_ioctl_pointer(processor, chost_KVM_GET_REGS, &registers) == 0,
            registers.rdx & 0xffff == 3702
        else { return .unfit("real-mode code computed \(registers.rdx & 0xffff), not 3702") }
        return .works
    }
}

extension Doctor {
    static func kvm() -> DoctorFinding {
        let fallback = "nothing to do: martlet runs guests on its own processor"
        switch KVMProbe.run() {
        case .absent:
            return DoctorFinding(
                subject: "KVM", verdict: .degraded, detail: "no /dev/kvm on this host",
                remedy: fallback)
        case .refused(let reason):
            return DoctorFinding(
                subject: "KVM", verdict: .degraded, detail: "/dev/kvm is refused: \(reason)",
                remedy: "'usermod -aG kvm $USER' and log in again; until then the interpreter works"
            )
        case .unfit(let reason):
            return DoctorFinding(
                subject: "KVM", verdict: .degraded, detail: "/dev/kvm is there, but \(reason)",
                remedy: fallback)
        case .works:
            if FileManager.default.fileExists(atPath: "/sys/module/kvm_pvm") {
                return DoctorFinding(
                    subject: "KVM", verdict: .degraded,
                    detail: "/dev/kvm is PVM, which runs only guest kernels built for it",
                    remedy: fallback)
            }
            return DoctorFinding(
                subject: "KVM", verdict: .good,
                detail: "/dev/kvm ran code of ours; a stock kernel can run on it",
                remedy: "'--engine kvm' is not there yet, the interpreter is used")
        }
    }
}
