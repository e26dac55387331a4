// What the guests with several processors share: starting them, sending interrupts between them,
// counting what arrives, and running work on all of them.
//
// The kernel's command line says how many processors there are (`cpus=4`) and how long to try
// (`tries=1000000`). Processor 0 reports; a processor's number is its APIC identifier.
#pragma once
#include "../privileged/guest.h"

enum {
    MOST = 16,        // processors
    TRAMPOLINE = 0x10000,
    TRAMPOLINE2 = 0x20000,
    APIC_BASE = 0xfee00000u,
    WAKE = 0xf0,      // there is work, or work has been done
    APIC_ERROR = 0xfe,
    SPURIOUS = 0xff,
};

// Registers of the local APIC (SDM volume 3, table 11-1); in x2APIC mode MSR 0x800 + offset / 16.
enum {
    APIC_ID = 0x20, APIC_VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
    SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR_HIGH = 0x310,
    LVT_ERROR = 0x370,
};
// The interrupt command (SDM volume 3, figure 11-12).
enum {
    FIXED = 0 << 8, LOWEST = 1 << 8, SMI = 2 << 8, NMI = 4 << 8, INIT = 5 << 8, STARTUP = 6 << 8,
    EXTINT = 7 << 8, LOGICAL = 1 << 11, ASSERT = 1 << 14, LEVEL = 1 << 15,
    SELF = 1 << 18, ALL = 2 << 18, OTHERS = 3 << 18,
};

extern u32 cpus;
extern u64 tries;
/// What a processor found when the start-up IPI had started it.
struct arrival { u32 count, cs, cr0; };
extern volatile struct arrival arrivals[MOST];
/// Interrupts taken, by processor and vector, and NMIs.
extern volatile u32 hits[MOST][256];
extern volatile u32 nmis[MOST];
/// Called before the interrupt is acknowledged; may be null.
extern void (*volatile hooks[256])(struct frame *);
/// True: handled. Others end the guest.
extern int (*volatile exception_hook)(struct frame *);

/// Sets up interrupts on processor 0, and starts the others: true if all came.
int start_processors(void);
/// Runs `work(n)` on processors 0 to `count` - 1, and returns when all of them have done it.
void run_on(u32 count, void (*work)(u32));
/// A number N behind `name=` on the command line.
u64 parameter(const char *name, u64 otherwise);
/// A number in decimal, and text that goes with it.
void print_count(const char *text, u64 number);
void copy(void *to, const void *from, u64 count);

u32 apic_read(u32 offset);
void apic_write(u32 offset, u32 value);
/// Sends a command; `destination` is 8 bits wide, 32 in x2APIC mode.
void send(u32 destination, u32 command);
void enter_x2apic(void);

static inline u32 me(void) { u32 n; asm volatile("mov %%gs:0, %0" : "=r"(n)); return n; }
static inline u64 rdtsc(void) {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}
static inline void relax(void) { asm volatile("pause" : : : "memory"); }
static inline void sti(void) { asm volatile("sti" : : : "memory"); }
static inline void cli(void) { asm volatile("cli" : : : "memory"); }
/// Waits until the condition holds, for a long time at most: whether it does.
#define WAIT(condition)                                                                            \
    ({ u64 until = rdtsc() + 60000000000ull; while (!(condition) && rdtsc() < until) relax(); !!(condition); })

/// All processors that call `meet` with the same barrier go on together.
struct barrier { volatile u32 count; u32 space[15]; volatile u32 round; u32 more[15]; };
void meet(struct barrier *, u32 count);
