// Locked instructions of many processors on the same bytes: sums are exact, wherever the bytes lie;
// what the processor writes by itself (accessed and dirty bits) is part of it.
#include "smp.h"

extern u64 pd[512];

// Places for an operand: two pages side by side in memory, and the same with others between them.
static u8 pages[4][4096] __attribute__((aligned(4096)));
static u64 scattered[512] __attribute__((aligned(4096)));
/// From here on pages 0, 2 and 1 of `pages`.
#define SCATTERED 0x3fe00000ul
/// The same again, for the accesses of half of the processors.
#define OTHER_NAME 0x3fe10000ul
static u8 *place, *other_place;
static u32 rounds;
static volatile u64 totals[MOST];
static struct barrier barrier __attribute__((aligned(64)));

static u8 *my_place(u32 n) { return n & 1 ? other_place : place; }

/// A loop of `rounds` over an instruction on the word at RDI with the operand in RAX.
#define LOOP(name, type, code)                                                                     \
    static void name(u32 n) {                                                                      \
        u8 *p = my_place(n);                                                                       \
        meet(&barrier, cpus);                                                                      \
        for (u32 i = 0; i < rounds; i++) {                                                         \
            u64 a = 1, b = 0;                                                                      \
            asm volatile(code : "+a"(a), "+r"(b) : [p] "r"(p), [n] "r"((u64)n) : "rcx", "memory", "cc"); \
        }                                                                                          \
    }
LOOP(add64, u64, "lock addq %%rax, (%[p])")
LOOP(sub64, u64, "neg %%rax; lock subq %%rax, (%[p])")
LOOP(inc64, u64, "lock incq (%[p])")
LOOP(dec64, u64, "lock decq (%[p]); lock addq $2, (%[p])")
LOOP(adc64, u64, "clc; lock adcq %%rax, (%[p])")
LOOP(sbb64, u64, "stc; lock sbbq $-2, (%[p])")
LOOP(xadd64, u64, "lock xaddq %%rax, (%[p])")
LOOP(cas64, u64, "1: movq (%[p]), %%rax; lea 1(%%rax), %1; lock cmpxchgq %1, (%[p]); jnz 1b")
LOOP(add32, u32, "lock addl %%eax, (%[p])")
LOOP(inc32, u32, "lock incl (%[p])")
LOOP(xadd32, u32, "lock xaddl %%eax, (%[p])")
LOOP(cas32, u32, "1: movl (%[p]), %%eax; lea 1(%%rax), %k1; lock cmpxchgl %k1, (%[p]); jnz 1b")
LOOP(add16, u16, "lock addw %%ax, (%[p])")
LOOP(xadd16, u16, "lock xaddw %%ax, (%[p])")
LOOP(add8, u8, "lock addb %%al, (%[p])")
LOOP(xadd8, u8, "lock xaddb %%al, (%[p])")
LOOP(neg64, u64, "lock negq (%[p])")
LOOP(not64, u64, "lock notq (%[p])")
// Each processor has a bit of its own; an odd number of changes.
LOOP(btc64, u64, "lock btcq %[n], (%[p])")
LOOP(bts_btr64, u64, "lock btsq %[n], (%[p]); lock btrq %[n], (%[p]); lock btsq %[n], (%[p])")
LOOP(xor64, u64, "mov %[n], %%rcx; shl %%cl, %%rax; lock xorq %%rax, (%[p])")
LOOP(or_and64, u64, "mov %[n], %%rcx; shl %%cl, %%rax; lock orq %%rax, (%[p]); not %%rax; lock andq %%rax, (%[p])")

static void cas8b(u32 n) {
    u8 *p = my_place(n);
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++)
        asm volatile("1: mov (%0), %%eax; mov 4(%0), %%edx; mov %%eax, %%ebx; mov %%edx, %%ecx;"
                     "add $1, %%ebx; adc $0, %%ecx; lock cmpxchg8b (%0); jnz 1b"
                     : : "r"(p) : "rax", "rbx", "rcx", "rdx", "memory", "cc");
}

/// Two counters that go up together, in 16 aligned bytes.
static void cas16b(u32 n) {
    u8 *p = my_place(n);
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++)
        asm volatile("1: mov (%0), %%rax; mov 8(%0), %%rdx; lea 1(%%rax), %%rbx; lea 1(%%rdx), %%rcx;"
                     "lock cmpxchg16b (%0); jnz 1b"
                     : : "r"(p) : "rax", "rbx", "rcx", "rdx", "memory", "cc");
}

/// A lock of XCHG around a plain counter, with some time in it.
static volatile u64 guarded;
static void spin_lock(u32 n) {
    u8 *p = my_place(n);
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++) {
        u32 taken = 1;
        for (;;) {
            asm volatile("xchgl %0, (%1)" : "+r"(taken) : "r"(p) : "memory");
            if (!taken) break;
            while (*(volatile u32 *)p) relax();
            taken = 1;
        }
        guarded = guarded + 1;
        asm volatile("movl $0, (%0)" : : "r"(p) : "memory");
    }
}

/// A lock of BTS and BTR.
static void bit_lock(u32 n) {
    u8 *p = my_place(n);
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++) {
        u8 taken;
        do asm volatile("lock btsl $31, (%1); setc %0" : "=q"(taken) : "r"(p) : "memory", "cc");
        while (taken);
        guarded = guarded + 1;
        asm volatile("lock btrl $31, (%0)" : : "r"(p) : "memory", "cc");
    }
}

/// XCHG hands one token of each processor round: none is lost and none is doubled.
static void tokens(u32 n) {
    u8 *p = my_place(n);
    u64 token = 1ull << n;
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++) asm volatile("xchgq %0, (%1)" : "+r"(token) : "r"(p) : "memory");
    totals[n] = token;
}

/// Even processors add to both halves of eight bytes at once, odd ones to the upper half alone.
static void mixed(u32 n) {
    u8 *p = my_place(n);
    meet(&barrier, cpus);
    for (u32 i = 0; i < rounds; i++)
        if (n & 1) asm volatile("lock incl 4(%0)" : : "r"(p) : "memory", "cc");
        else asm volatile("lock addq %1, (%0)" : : "r"(p), "r"(0x100000001ull) : "memory", "cc");
}

struct operation {
    const char *name;
    void (*work)(u32);
    u32 width;
    /// The word's value at the end: per round and processor, or a kind below.
    u32 kind;
};
enum { SUM, BITS, SAME, ZERO, GUARDED, TOKENS, BOTH, MIXED };
static const struct operation operations[] = {
    {"lock add 64", add64, 8, SUM}, {"lock sub 64", sub64, 8, SUM}, {"lock inc 64", inc64, 8, SUM},
    {"lock dec 64", dec64, 8, SUM}, {"lock adc 64", adc64, 8, SUM}, {"lock sbb 64", sbb64, 8, SUM},
    {"lock xadd 64", xadd64, 8, SUM}, {"lock cmpxchg 64", cas64, 8, SUM},
    {"lock add 32", add32, 4, SUM}, {"lock inc 32", inc32, 4, SUM}, {"lock xadd 32", xadd32, 4, SUM},
    {"lock cmpxchg 32", cas32, 4, SUM}, {"lock add 16", add16, 2, SUM},
    {"lock xadd 16", xadd16, 2, SUM}, {"lock add 8", add8, 1, SUM}, {"lock xadd 8", xadd8, 1, SUM},
    {"lock neg 64", neg64, 8, SAME}, {"lock not 64", not64, 8, SAME}, {"lock btc 64", btc64, 8, BITS},
    {"lock bts, btr 64", bts_btr64, 8, BITS}, {"lock xor 64", xor64, 8, BITS},
    {"lock or, and 64", or_and64, 8, ZERO}, {"lock cmpxchg8b", cas8b, 8, SUM},
    {"lock cmpxchg16b", cas16b, 16, BOTH}, {"xchg as a lock", spin_lock, 4, GUARDED},
    {"bts as a lock", bit_lock, 4, GUARDED}, {"xchg of tokens", tokens, 8, TOKENS},
    {"lock add beside lock inc", mixed, 8, MIXED},
};

static void try_all(const char *where, u8 *at, u8 *other) {
    print("at ");
    print(where);
    print("\n");
    place = at;
    other_place = other;
    for (u32 o = 0; o < sizeof operations / sizeof *operations; o++) {
        const struct operation *operation = &operations[o];
        u32 crosses = ((word)at & 4095) + operation->width > 4096;
        if (operation->kind == BOTH && ((word)at & 15)) continue;
        for (u32 b = 0; b < 16; b++) at[b] = 0;
        guarded = 0;
        u64 start = operation->kind == SAME ? 0x123456789abcdefull : 0;
        copy(at, &start, operation->width > 8 ? 8 : operation->width);
        run_on(cpus, operation->work);
        u64 got = 0, got2 = 0, all = (u64)rounds * cpus;
        copy(&got, at, operation->width > 8 ? 8 : operation->width);
        if (operation->width == 16) copy(&got2, at + 8, 8);
        u64 mask = operation->width >= 8 ? ~0ull : (1ull << 8 * operation->width) - 1;
        u64 odd = cpus / 2, even = cpus - odd;
        switch (operation->kind) {
        case SUM: check(operation->name, got, all & mask); break;
        case BITS: check(operation->name, got, (1ull << cpus) - 1); break;
        // An even number of times, so the same as before, or its complement.
        case SAME:
            check(operation->name, all & 1 ? (operation->work == not64 ? ~got : -got) : got, start);
            break;
        case ZERO: check(operation->name, got, 0); break;
        case BOTH: check(operation->name, got, all); check(operation->name, got2, all); break;
        case GUARDED: check(operation->name, guarded, all); check(operation->name, got, 0); break;
        case TOKENS:
            for (u32 n = 0; n < cpus; n++) got ^= totals[n];
            check(operation->name, got, (1ull << cpus) - 1);
            break;
        case MIXED:
            check(operation->name, got & 0xffffffff, rounds * even);
            check(operation->name, got >> 32, rounds * even + rounds * odd);
            break;
        }
    }
}

// Plain accesses that are whole (SDM volume 3, 9.1.1): one processor stores two patterns by turns,
// the others see one or the other.
static volatile u32 stop;
static u32 whole_width;
static void whole(u32 n) {
    u8 *p = my_place(n);
    u64 broken = 0;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 0; i < rounds * 8; i++) {
            u64 v = i & 1 ? ~0ull : 0;
            switch (whole_width) {
            case 2: asm volatile("movw %w0, (%1)" : : "r"(v), "r"(p) : "memory"); break;
            case 4: asm volatile("movl %k0, (%1)" : : "r"(v), "r"(p) : "memory"); break;
            case 8: asm volatile("movq %0, (%1)" : : "r"(v), "r"(p) : "memory"); break;
            case 9: asm volatile("movq %0, %%xmm0; movq %%xmm0, (%1)" : : "r"(v), "r"(p) : "memory"); break;
            case 16: asm volatile("movq %0, %%xmm0; punpcklqdq %%xmm0, %%xmm0; movdqa %%xmm0, (%1)"
                                  : : "r"(v), "r"(p) : "memory"); break;
            }
        }
        stop = 1;
    } else {
        while (!stop) {
            u64 a = 0, b = 0;
            switch (whole_width) {
            case 2: asm volatile("movzwl (%1), %k0" : "=r"(a) : "r"(p)); b = a ? 0xffff : 0; break;
            case 4: asm volatile("movl (%1), %k0" : "=r"(a) : "r"(p)); b = a ? 0xffffffff : 0; break;
            case 8: asm volatile("movq (%1), %0" : "=r"(a) : "r"(p)); b = a ? ~0ull : 0; break;
            case 9: asm volatile("movq (%1), %%xmm0; movq %%xmm0, %0" : "=r"(a) : "r"(p)); b = a ? ~0ull : 0; break;
            case 16: asm volatile("movdqa (%2), %%xmm0; movq %%xmm0, %0; psrldq $8, %%xmm0; movq %%xmm0, %1"
                                  : "=r"(a), "=r"(b) : "r"(p)); break;
            }
            if (a != b) broken++;
        }
    }
    totals[n] = broken;
}

static void try_whole(const char *name, u32 width, u8 *at) {
    place = other_place = at;
    whole_width = width;
    stop = 0;
    for (u32 b = 0; b < 16; b++) at[b] = 0;
    run_on(cpus, whole);
    u64 broken = 0;
    for (u32 n = 0; n < cpus; n++) broken += totals[n];
    check(name, broken, 0);
}

// Accessed and dirty bits: processor 0 changes other bits of the entry with locked instructions
// while the others have the processor set those.
#define SHARED_PAGE (SCATTERED + 0x20000)
static volatile u64 *const shared_entry = &scattered[(SHARED_PAGE >> 12) & 511];
enum { ACCESSED = 0x20, DIRTY = 0x40, SOFTWARE = 0x200 };
static void access_bits(u32 n) {
    volatile u8 *p = (u8 *)SHARED_PAGE + n;
    meet(&barrier, cpus);
    if (n == 0) {
        for (u32 i = 0; i < rounds; i++) {
            // A counter in bits 52 to 62, a bit that flips, and the two bits taken away.
            __atomic_fetch_add(shared_entry, 1ull << 52, __ATOMIC_SEQ_CST);
            __atomic_fetch_xor(shared_entry, SOFTWARE, __ATOMIC_SEQ_CST);
            __atomic_fetch_and(shared_entry, ~(u64)(ACCESSED | DIRTY), __ATOMIC_SEQ_CST);
            if ((i & 1023) == 1023) __atomic_fetch_and(shared_entry, ~(0x7ffull << 52), __ATOMIC_SEQ_CST);
        }
        stop = 1;
    } else {
        while (!stop) {
            invlpg((void *)p);
            if (n & 1) *p = 1;
            else totals[n] = *p;
        }
    }
}

/// Not present: nothing touches the entry any more.
static int wait_for_page(struct frame *f) { return f->vector == 14; }
static void absent(u32 n) {
    volatile u8 *p = (u8 *)SHARED_PAGE + n;
    meet(&barrier, cpus);
    if (n == 0) {
        u64 present = (u64)pages[3] | 7, touched = 0;
        for (u32 i = 0; i < rounds; i++) {
            __atomic_exchange_n(shared_entry, 0, __ATOMIC_SEQ_CST);
            for (u32 look = 0; look < 20; look++) touched += *shared_entry != 0;
            __atomic_exchange_n(shared_entry, present, __ATOMIC_SEQ_CST);
            for (u32 look = 0; look < 20; look++) relax();
        }
        totals[0] = touched;
        stop = 1;
    } else {
        while (!stop) {
            invlpg((void *)p);
            if (n & 1) *p = 1;
            else totals[n] = *p;
        }
    }
}

// The same with the tables of 32-bit paging: processor 1 starts again and stays outside 64-bit mode.
u32 legacy_directory[1024] __attribute__((aligned(4096)));
u32 legacy_table[1024] __attribute__((aligned(4096)));
u64 legacy_idt[32] __attribute__((aligned(16)));
u8 legacy_stack[4096] __attribute__((aligned(16)));
volatile u32 legacy_rounds, legacy_stop;
extern u32 legacy_entry;
extern u8 legacy_start[], legacy_fault[];
asm(".text\n.code32\n.globl legacy_start, legacy_fault\n"
    "legacy_start: mov $0x10, %eax\n mov %eax, %cr4\n mov $legacy_directory, %eax\n mov %eax, %cr3\n"
    "mov $0x80010033, %eax\n mov %eax, %cr0\n mov $legacy_stack + 4096, %esp\n lidt legacy_table_pointer\n"
    "1: invlpg 0x400000\n movl $1, 0x400000\n incl legacy_rounds\n cmpl $0, legacy_stop\n je 1b\n"
    "movl $2, legacy_stop\n 2: cli\n hlt\n jmp 2b\n"
    "legacy_fault: add $4, %esp\n iret\n"
    "legacy_table_pointer: .word 32 * 8 - 1\n .long legacy_idt\n.code64");
static void try_legacy(void) {
    legacy_directory[0] = 0x83;
    legacy_directory[1] = (u32)(word)legacy_table | 7;
    u32 handler = (u32)(word)legacy_fault;
    legacy_idt[14] = (handler & 0xffff) | 8ull << 16 | 0x8eull << 40 | (u64)(handler >> 16) << 48;
    legacy_entry = (u32)(word)legacy_start;
    send(1, INIT | ASSERT);
    send(1, STARTUP | TRAMPOLINE >> 12);
    volatile u32 *entry = &legacy_table[0];
    u32 present = (u32)(word)pages[3] | 7;
    *entry = present;
    check("32-bit paging", (u64)WAIT(legacy_rounds), 1);
    u64 touched = 0;
    for (u32 i = 0; i < rounds * 4; i++) {
        __atomic_exchange_n(entry, 0, __ATOMIC_SEQ_CST);
        for (u32 look = 0; look < 20; look++) touched += *entry != 0;
        __atomic_exchange_n(entry, present, __ATOMIC_SEQ_CST);
        for (u32 look = 0; look < 20; look++) relax();
    }
    check("32-bit entry stays absent", touched, 0);
    legacy_stop = 1;
    check("32-bit paging ends", (u64)WAIT(legacy_stop == 2), 1);
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    rounds = (u32)parameter("rounds", 1999) | 1;
    pd[SCATTERED >> 21 & 511] = (u64)scattered | 7;
    for (u32 name = 0; name < 2; name++) {
        scattered[16 * name] = (u64)pages[0] | 7;
        scattered[16 * name + 1] = (u64)pages[2] | 7;
        scattered[16 * name + 2] = (u64)pages[1] | 7;
    }
    *shared_entry = (u64)pages[3] | 7;
    set_cr3(get_cr3());
    try_all("aligned bytes", pages[0] + 64, pages[0] + 64);
    try_all("unaligned bytes", pages[0] + 65, pages[0] + 65);
    try_all("bytes of two cache lines", pages[0] + 64 - 1, pages[0] + 64 - 1);
    try_all("bytes of two pages", pages[1] - 4, pages[1] - 4);
    try_all("bytes of two pages, oddly", pages[1] - 1, pages[1] - 1);
    try_all("bytes of two scattered pages", (u8 *)SCATTERED + 4096 - 4, (u8 *)SCATTERED + 4096 - 4);
    try_all("bytes of two scattered pages, under two names", (u8 *)SCATTERED + 8192 - 1,
            (u8 *)OTHER_NAME + 8192 - 1);
    try_whole("2 bytes are whole", 2, pages[0] + 64);
    try_whole("4 bytes are whole", 4, pages[0] + 64);
    try_whole("8 bytes are whole", 8, pages[0] + 64);
    try_whole("8 bytes of a line are whole", 8, pages[0] + 64 + 5);
    try_whole("8 vector bytes are whole", 9, pages[0] + 64);
    // Of processors with AVX.
    try_whole("16 vector bytes are whole", 16, pages[0] + 64);
    stop = 0;
    run_on(cpus, access_bits);
    check("entry's own bits", *shared_entry & ~(u64)(ACCESSED | DIRTY),
          ((u64)pages[3] | 7) | (u64)(rounds & 1023) << 52 | (rounds & 1 ? SOFTWARE : 0));
    stop = 0;
    exception_hook = wait_for_page;
    run_on(cpus, absent);
    check("entry stays absent", totals[0], 0);
    exception_hook = 0;
    try_legacy();
    return 0;
}
