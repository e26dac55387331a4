#define _GNU_SOURCE
#include "GuestSampling.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/// The vCPU that is on this thread.
static _Thread_local GuestSampler *volatile current;
static _Thread_local int32_t thread;

// Asynchronous: reads the vCPU's state wherever its worker is with it, takes no lock, calls nothing.
static void look(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    GuestSampler *sampler = current;
    if (!sampler) return;
    uint32_t filled = sampler->filled;
    if (filled - __atomic_load_n(&sampler->taken, __ATOMIC_ACQUIRE) == GUEST_SAMPLE_COUNT) {
        __atomic_store_n(&sampler->lost, sampler->lost + 1, __ATOMIC_RELAXED);
        return;
    }
    GuestSample *sample = &sampler->samples[filled % GUEST_SAMPLE_COUNT];
    const volatile CPUState *cpu = sampler->cpu;
    sample->hostAddress = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    sample->codePage = cpu->codePage;
    sample->cr3 = cpu->cr3;
    sample->privilegeLevel = cpu->currentPrivilegeLevel;
    uint64_t linear = cpu->rip + cpu->segments[1].base;
    if (!sampler->isRunning) {
        sample->activity = GUEST_SAMPLE_EXIT;
        sample->address = linear;
    } else {
        sample->activity = GUEST_SAMPLE_RUNS;
        uint64_t block = (uint64_t)cpu->block;
        if (block >= sampler->blocksStart && block < sampler->blocksEnd) {
            sample->address =
                cpu->codePage | cengine_page_offset((const DecodedInstruction *)block);
        } else {
            // Nothing runs, and RIP is right; or an instruction that reaches into the next page.
            sample->address = block ? cpu->codePage | 0xfff : linear;
        }
    }
    __atomic_store_n(&sampler->filled, filled + 1, __ATOMIC_RELEASE);
}

int cengine_install_sampling(void) {
    struct sigaction old;
    if (sigaction(SIGPROF, 0, &old) != 0) return 0;
    if ((old.sa_flags & SA_SIGINFO) && old.sa_sigaction == look) return 1;
    if (old.sa_handler != SIG_DFL) return 0;
    struct sigaction new = {0};
    new.sa_sigaction = look;
    new.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&new.sa_mask);
    return sigaction(SIGPROF, &new, 0) == 0;
}

void cengine_sampler_enter(GuestSampler *sampler) {
    if (!thread) thread = (int32_t)syscall(SYS_gettid);
    current = sampler;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&sampler->thread, thread, __ATOMIC_RELEASE);
}

void cengine_sampler_leave(GuestSampler *sampler) {
    __atomic_store_n(&sampler->thread, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    current = 0;
}

void cengine_sampler_strike(GuestSampler *sampler) {
    int32_t target = __atomic_load_n(&sampler->thread, __ATOMIC_ACQUIRE);
    // Who has left meanwhile ignores it.
    if (target) syscall(SYS_tgkill, getpid(), target, SIGPROF);
}

int cengine_sampler_take(GuestSampler *sampler, GuestSample *sample) {
    uint32_t taken = sampler->taken;
    if (taken == __atomic_load_n(&sampler->filled, __ATOMIC_ACQUIRE)) return 0;
    *sample = sampler->samples[taken % GUEST_SAMPLE_COUNT];
    __atomic_store_n(&sampler->taken, taken + 1, __ATOMIC_RELEASE);
    return 1;
}
