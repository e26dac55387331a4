// What `martlet doctor` asks of the host: the processor, /dev/kvm, executable memory.
#ifndef MARTLET_HOSTPROBE_H
#define MARTLET_HOSTPROBE_H

#include <cpuid.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/ioctl.h>

/// The result of one CPUID leaf of the host; zeros if the leaf is not there.
typedef struct HostCPUID {
    uint32_t eax, ebx, ecx, edx;
} HostCPUID;

static inline HostCPUID chost_cpuid(uint32_t leaf, uint32_t subleaf) {
    HostCPUID result = {0, 0, 0, 0};
    __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
    return result;
}

/// ioctl(2) with an integer argument.
static inline int chost_ioctl_value(int descriptor, unsigned long request, unsigned long value) {
    return ioctl(descriptor, request, value);
}

/// ioctl(2) with a pointer argument.
static inline int chost_ioctl_pointer(
    int descriptor, unsigned long request, void *_Nullable argument) {
    return ioctl(descriptor, request, argument);
}

static const unsigned long chost_KVM_GET_API_VERSION = KVM_GET_API_VERSION;
static const unsigned long chost_KVM_CREATE_VM = KVM_CREATE_VM;
static const unsigned long chost_KVM_CREATE_VCPU = KVM_CREATE_VCPU;
static const unsigned long chost_KVM_GET_VCPU_MMAP_SIZE = KVM_GET_VCPU_MMAP_SIZE;
static const unsigned long chost_KVM_SET_USER_MEMORY_REGION = KVM_SET_USER_MEMORY_REGION;
static const unsigned long chost_KVM_GET_SREGS = KVM_GET_SREGS;
static const unsigned long chost_KVM_SET_SREGS = KVM_SET_SREGS;
static const unsigned long chost_KVM_GET_REGS = KVM_GET_REGS;
static const unsigned long chost_KVM_SET_REGS = KVM_SET_REGS;
static const unsigned long chost_KVM_RUN = KVM_RUN;

/// Calls machine code at `code` that takes no argument and returns an int.
static inline int chost_call(const void *_Nonnull code) {
    int (*function)(void) = (int (*)(void))code;
    return function();
}

#endif
