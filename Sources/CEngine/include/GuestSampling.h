// Looks at running vCPUs: where in guest code a worker is when a signal interrupts it.
#ifndef MARTLET_GUESTSAMPLING_H
#define MARTLET_GUESTSAMPLING_H

#include <stdint.h>

#include "CPUState.h"

enum {
    /// Looks that wait to be taken, at most; a power of two.
    GUEST_SAMPLE_COUNT = 64,
    /// What the vCPU was doing: its engine ran guest code, or the machine answered an exit.
    GUEST_SAMPLE_RUNS = 0,
    GUEST_SAMPLE_EXIT = 1,
};

/// One look at a vCPU.
typedef struct GuestSample {
    /// Where the host's processor was.
    uint64_t hostAddress;
    /// Linear address of the page that the guest runs.
    uint64_t codePage;
    /// Linear address of the guest, as far as the engine has written it down: of the block that the
    /// interpreter runs, or of the instruction that left.
    uint64_t address;
    uint64_t cr3;
    uint32_t privilegeLevel;
    /// GUEST_SAMPLE_RUNS or GUEST_SAMPLE_EXIT.
    uint32_t activity;
} GuestSample;

/// What is known of one vCPU, and the looks at it: a ring that the vCPU's worker fills, in its signal
/// handler, and one other thread empties. Zeros but for `cpu`.
///
/// Fields are read by the handler on the thread that writes them, or are atomic.
typedef struct GuestSampler {
    const CPUState *_Nonnull cpu;
    /// Decoded instructions that may be looked at, from one address to another.
    uint64_t blocksStart, blocksEnd;
    /// The engine runs guest code.
    uint32_t isRunning;
    /// The host's number of the thread that the vCPU is on; 0: it is on none.
    int32_t thread;
    uint32_t filled, taken;
    /// Looks for which there was no room.
    uint32_t lost;
    GuestSample samples[GUEST_SAMPLE_COUNT];
} GuestSampler;

/// Makes the process take SIGPROF for looks at vCPUs, for good. False: it has another use for it.
int cengine_install_sampling(void);

/// The vCPU comes onto the calling thread, and leaves it.
void cengine_sampler_enter(GuestSampler *_Nonnull sampler);
void cengine_sampler_leave(GuestSampler *_Nonnull sampler);

/// The vCPU's thread: which decoded instructions stay where they are until the next call.
static inline void cengine_sampler_set_blocks(
    GuestSampler *_Nonnull sampler, uint64_t start, uint64_t end) {
    // Never a range that is none, whenever the handler looks.
    __atomic_store_n(&sampler->blocksEnd, 0, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&sampler->blocksStart, start, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&sampler->blocksEnd, end, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/// The vCPU's thread: its engine begins to run guest code, or has stopped.
static inline void cengine_sampler_set_running(GuestSampler *_Nonnull sampler, uint32_t running) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&sampler->isRunning, running, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/// Has the vCPU looked at, if it is on a thread. Any thread.
void cengine_sampler_strike(GuestSampler *_Nonnull sampler);

/// The oldest look, off the ring. False: there is none. One thread.
int cengine_sampler_take(GuestSampler *_Nonnull sampler, GuestSample *_Nonnull sample);

/// Looks lost so far. Any thread.
static inline uint32_t cengine_sampler_lost(const GuestSampler *_Nonnull sampler) {
    return __atomic_load_n(&sampler->lost, __ATOMIC_RELAXED);
}

#endif
