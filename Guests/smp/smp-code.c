// Translations and code that one processor changes under the others: TLB shootdown, pages that move,
// instructions that are patched while they run (SDM volume 3, 4.10.5 and 9.1.3).
#include "smp.h"

extern u64 pd[512];
static u8 pages[4][4096] __attribute__((aligned(4096)));
static u64 entries[512] __attribute__((aligned(4096)));
#define WINDOW 0x3fe00000ul
#define WINDOW_ENTRY (entries[0])
/// Another address of the page that is patched, as Linux's text_poke has.
#define ALIAS (WINDOW + 0x8000)
#define ALIAS_ENTRY (entries[8])

static struct barrier barrier __attribute__((aligned(64)));
static u32 rounds;
static volatile u32 stop;
static volatile u64 troubles[MOST], work_done[MOST];
enum { FLUSH = 0x81, SYNC = 0x82 };

// One interrupt to all others, and an answer from each, as on_each_cpu does it.
static volatile u32 answers;
static void flush(struct frame *f) {
    invlpg((void *)WINDOW);
    __atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
}
static void synchronise(struct frame *f) {
    cpuid(0, 0);
    __atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
}
static void ask_others(u32 vector) {
    answers = 0;
    send(0, FIXED | OTHERS | vector);
    while (answers != cpus - 1) relax();
}

static u64 total(volatile u64 *values) {
    u64 sum = 0;
    for (u32 n = 0; n < cpus; n++) sum += values[n];
    return sum;
}

/// Processor 0 moves a page; once the others have answered, none of them reads or writes the old one.
static void shoot_down(u32 n) {
    volatile u64 *p = (volatile u64 *)WINDOW;
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 1; i <= rounds; i++) {
            u8 *new = pages[i & 1], *old = pages[~i & 1];
            *(volatile u64 *)new = i;
            WINDOW_ENTRY = (u64)new | 3;
            invlpg((void *)WINDOW);
            ask_others(FLUSH);
            // Whoever still sees it sees this.
            *(volatile u64 *)old = ~0ull;
            *(volatile u64 *)(old + 2048) = 0;
            for (u32 look = 0; look < 50; look++) relax();
            // Others store to 2048 + 8 n in the page they have: not in this one any more.
            for (u32 other = 1; other < cpus; other++)
                *(volatile u64 *)(old + 2048 + 8 * other) = 0;
            for (u32 look = 0; look < 50; look++) relax();
            for (u32 other = 1; other < cpus; other++)
                if (*(volatile u64 *)(old + 2048 + 8 * other)) troubles[0]++;
        }
        stop = 1;
    } else {
        u64 last = 0;
        while (!stop) {
            u64 seen = *p;
            p[256 + n] = 1;
            if (seen == ~0ull || seen < last) troubles[n]++;
            else last = seen;
            work_done[n]++;
        }
    }
}

/// Rights are taken away: after the answers no store gets through.
static volatile u32 faults[MOST];
static int count_fault(struct frame *f) {
    if (f->vector != 14 || get_cr2() >> 12 != WINDOW >> 12) return 0;
    faults[me()]++;
    return 1;
}
static void protect(u32 n) {
    volatile u64 *p = (volatile u64 *)WINDOW;
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        volatile u64 *direct = (volatile u64 *)pages[0];
        for (u32 i = 0; i < rounds; i++) {
            WINDOW_ENTRY = (u64)pages[0] | 1;
            invlpg((void *)WINDOW);
            ask_others(FLUSH);
            u64 before[MOST];
            for (u32 other = 1; other < cpus; other++) before[other] = direct[other];
            for (u32 look = 0; look < 100; look++) relax();
            for (u32 other = 1; other < cpus; other++)
                if (direct[other] != before[other]) troubles[0]++;
            WINDOW_ENTRY = (u64)pages[0] | 3;
        }
        stop = 1;
    } else {
        while (!stop) p[n] = ++work_done[n];
    }
}

// Code: `mov $VALUE, %eax; ret`, the value aligned, called all the time.
#define PATCHED (pages[2])
static u32 (*const patched)(void) = (u32 (*)(void))(pages[2] + 3);
static volatile u32 value, promised;

static void write_function(u8 *page, u32 v) {
    page[3] = 0xb8;
    *(volatile u32 *)(page + 4) = v;
    page[8] = 0xc3;
}

/// Values only go up, and nothing else is seen; after an interrupt that synchronises, no old one.
static void call_patched(u32 n) {
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 1; i <= rounds; i++) {
            *(volatile u32 *)(PATCHED + 4) = i;
            value = i;
            if (i & 1) {
                ask_others(SYNC);
                promised = i;
            }
        }
        stop = 1;
    } else {
        u32 last = 0;
        while (!stop) {
            u32 least = promised, got = patched();
            // The code may be seen before the value that says so.
            if (got < last || got < least || got > value + 1) troubles[n]++;
            last = got;
            work_done[n]++;
        }
    }
}

/// A flag says that the code has changed; who sees it serialises, and must see the new code. Store
/// of code and of flag are neighbours.
static void call_by_flag(u32 n) {
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 1; i <= rounds * 20; i++) {
            *(volatile u32 *)(PATCHED + 4) = i;
            value = i;
            u32 pause = i * 2654435761u >> 25;
            while (pause--) asm volatile("");
        }
        stop = 1;
    } else {
        while (!stop) {
            u32 least = value;
            cpuid(0, 0);
            if (patched() < least) troubles[n]++;
            work_done[n]++;
        }
    }
}

// As Linux patches a call or a jump: INT3 first, then the rest, then the first byte; after each step
// everybody synchronises. The instruction is five bytes across an aligned word's end.
static u32 target_a(void) { return 0xa; }
static u32 target_b(void) { return 0xb; }
#define SITE (pages[3] + 61)
static volatile u32 breakpoints;
static void *volatile emulated;
static int emulate_call(struct frame *f) {
    if (f->vector != 3 || f->rip != (word)SITE + 1) return 0;
    // The call that would be here: its return address is behind the five bytes.
    __atomic_fetch_add(&breakpoints, 1, __ATOMIC_SEQ_CST);
    f->rip = (word)emulated;
    return 1;
}
/// `site` jumps rather than calls, so that the handler needs no room on the stack.
static u32 call_site(void) { return ((u32 (*)(void))SITE)(); }
static void poke(u8 *at, u32 (*target)(void)) {
    u8 code[5] = {0xe9};
    *(u32 *)(code + 1) = (u32)((word)target - ((word)SITE + 5));
    emulated = (void *)target;
    at[0] = 0xcc;
    ask_others(SYNC);
    for (u32 i = 1; i < 5; i++) ((volatile u8 *)at)[i] = code[i];
    ask_others(SYNC);
    ((volatile u8 *)at)[0] = code[0];
    ask_others(SYNC);
}
static void call_poked(u32 n) {
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        u8 *alias = (u8 *)ALIAS + 61;
        for (u32 i = 1; i <= rounds; i++) {
            poke(i & 2 ? alias : SITE, i & 1 ? target_a : target_b);
            promised = i & 1 ? 0xa : 0xb;
            if (call_site() != promised) troubles[0]++;
        }
        stop = 1;
    } else {
        while (!stop) {
            u32 got = call_site();
            if (got != 0xa && got != 0xb) troubles[n]++;
            work_done[n]++;
        }
    }
}

/// The code's page moves: two pages with different functions under one address, and both are
/// rewritten while they are not there.
static void call_moved(u32 n) {
    u32 (*function)(void) = (u32 (*)(void))(WINDOW + 3);
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 1; i <= rounds; i++) {
            u8 *new = pages[i & 1];
            write_function(new, i);
            value = i;
            WINDOW_ENTRY = (u64)new | 3;
            invlpg((void *)WINDOW);
            ask_others(FLUSH);
            promised = i;
        }
        stop = 1;
    } else {
        while (!stop) {
            u32 least = promised, got = function();
            if (got < least || got > value) troubles[n]++;
            work_done[n]++;
        }
    }
}

/// All of them write code of their own into one page, and run it: each sees its own at once.
static void write_own(u32 n) {
    u8 *mine = pages[3] + 1024 + 64 * n;
    u32 (*function)(void) = (u32 (*)(void))(mine + 3);
    troubles[n] = work_done[n] = 0;
    meet(&barrier, cpus);
    for (u32 i = 1; i <= rounds; i++) {
        write_function(mine, i * 16 + n);
        if (function() != i * 16 + n) troubles[n]++;
        work_done[n]++;
    }
    // Nobody waits for the rest in interrupts: all are still there.
    meet(&barrier, cpus);
}

static void try(const char *name, void (*work)(u32)) {
    stop = value = promised = 0;
    write_function(PATCHED, 0);
    run_on(cpus, work);
    check(name, total(troubles), 0);
    u64 idle = 0;
    for (u32 n = 1; n < cpus; n++) idle += work_done[n] == 0;
    print("work ");
    print(name);
    for (u32 n = 0; n < cpus; n++) print_count(" ", work_done[n]);
    print("\n");
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    rounds = (u32)parameter("rounds", 500);
    hooks[FLUSH] = flush;
    hooks[SYNC] = synchronise;
    pd[WINDOW >> 21 & 511] = (u64)entries | 3;
    WINDOW_ENTRY = (u64)pages[0] | 3;
    ALIAS_ENTRY = (u64)pages[3] | 3;
    set_cr3(get_cr3());
    *(volatile u64 *)pages[0] = 0;
    try("TLB shootdown", shoot_down);
    exception_hook = count_fault;
    WINDOW_ENTRY = (u64)pages[0] | 3;
    try("write protection", protect);
    u64 faulted = 0;
    for (u32 n = 0; n < cpus; n++) faulted += faults[n];
    check("writers had faults", faulted != 0, 1);
    exception_hook = 0;
    try("patched operand", call_patched);
    try("patched, then a flag", call_by_flag);
    exception_hook = emulate_call;
    SITE[0] = 0xe9;
    *(u32 *)(SITE + 1) = (u32)((word)target_b - ((word)SITE + 5));
    try("patched through INT3", call_poked);
    print_count("breakpoints ", breakpoints);
    print("\n");
    exception_hook = 0;
    for (u32 page = 0; page < 2; page++) write_function(pages[page], 0);
    WINDOW_ENTRY = (u64)pages[0] | 3;
    try("code that moves", call_moved);
    try("code of each", write_own);
    return 0;
}
