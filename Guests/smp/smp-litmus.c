// Memory order between processors: x86-TSO (SDM volume 3, 9.2; Owens, Sarkar, Sewell 2009). Each
// test has two to four threads of a few instructions on shared words x and y; `tries` runs of each
// are made over arrays of cells, as litmus7 does, so that stores are still under way when the other
// processor loads. An outcome that the model forbids must never be seen; the one by which a
// processor passes its own stores must be.
#include "smp.h"

enum {
    CELLS = 1024,
    AT_ONCE = 64,     // cells between two meetings
    LEAD = 1500,      // cycles from a meeting to the start
};
struct cell { volatile u32 x; u32 space[15]; volatile u32 y; u32 more[15]; };
static struct cell cells[CELLS] __attribute__((aligned(4096)));
/// Two values for each thread and cell.
static volatile u32 seen[4][CELLS][2] __attribute__((aligned(4096)));
static struct barrier barrier __attribute__((aligned(64)));
static volatile u64 start_time __attribute__((aligned(64)));
/// Host processors: more threads than that sleep while they wait for the others.
static u32 cores;
static u64 outcomes[4][16] __attribute__((aligned(128)));

/// One thread: x is at RDI, y at 64(RDI), its results at RSI; RAX, RBX, RCX, RDX and R8 are free.
#define THREAD(name, code)                                                                         \
    extern void name(struct cell *, volatile u32 *, u64);                                          \
    asm(".text\n" #name ": push %rbx\n mov %rdx, %r10\n 1: " code                                  \
        "\n add $128, %rdi\n add $8, %rsi\n dec %r10\n jnz 1b\n pop %rbx\n ret")

#define STORE_X(v) "movl $" #v ", (%rdi)\n"
#define STORE_Y(v) "movl $" #v ", 64(%rdi)\n"
#define SWAP_X(v) "mov $" #v ", %ecx\n xchg %ecx, (%rdi)\n"
#define SWAP_Y(v) "mov $" #v ", %ecx\n xchg %ecx, 64(%rdi)\n"
#define LOAD_X(r) "mov (%rdi), %" #r "\n"
#define LOAD_Y(r) "mov 64(%rdi), %" #r "\n"
#define ADD_X(r) "xor %" #r ", %" #r "\n lock xadd %" #r ", (%rdi)\n"
#define ADD_Y(r) "xor %" #r ", %" #r "\n lock xadd %" #r ", 64(%rdi)\n"
#define FIRST(r) "mov %" #r ", (%rsi)\n"
#define SECOND(r) "mov %" #r ", 4(%rsi)\n"
#define LOCKED "lock orl $0, -8(%rsp)\n"
#define FENCE "mfence\n"
#define CPUID "xor %eax, %eax\n cpuid\n"
#define CR3 "mov %cr3, %rax\n mov %rax, %cr3\n"
#define INVLPG "invlpg (%rsp)\n"
#define IRET "mov %rsp, %rax\n push $16\n push %rax\n pushf\n push $8\n lea 2f(%rip), %rax\n push %rax\n iretq\n 2:\n"

// Store buffering.
#define SB(name, between)                                                                          \
    THREAD(name##_0, STORE_X(1) between LOAD_Y(eax) FIRST(eax));                                   \
    THREAD(name##_1, STORE_Y(1) between LOAD_X(eax) FIRST(eax))
SB(sb, "");
SB(sb_mfence, FENCE);
SB(sb_locked, LOCKED);
SB(sb_cpuid, CPUID);
SB(sb_iret, IRET);
SB(sb_cr3, CR3);
SB(sb_invlpg, INVLPG);
THREAD(sb_xchg_0, SWAP_X(1) LOAD_Y(eax) FIRST(eax));
THREAD(sb_xchg_1, SWAP_Y(1) LOAD_X(eax) FIRST(eax));
// A processor reads its own store before the others see it.
THREAD(sb_own_0, STORE_X(1) LOAD_X(eax) LOAD_Y(edx) FIRST(eax) SECOND(edx));
THREAD(sb_own_1, STORE_Y(1) LOAD_Y(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
// Load buffering.
THREAD(lb_0, LOAD_X(eax) STORE_Y(1) FIRST(eax));
THREAD(lb_1, LOAD_Y(eax) STORE_X(1) FIRST(eax));
THREAD(lb_locked_0, ADD_X(eax) SWAP_Y(1) FIRST(eax));
THREAD(lb_locked_1, ADD_Y(eax) SWAP_X(1) FIRST(eax));
// Message passing.
THREAD(mp_0, STORE_X(1) STORE_Y(1));
THREAD(mp_1, LOAD_Y(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
THREAD(mp_mfence_0, STORE_X(1) FENCE STORE_Y(1));
THREAD(mp_mfence_1, LOAD_Y(eax) "lfence\n" LOAD_X(edx) FIRST(eax) SECOND(edx));
THREAD(mp_locked_0, STORE_X(1) SWAP_Y(1));
THREAD(mp_locked_1, ADD_Y(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
// A load and a store; final value of x in the outcome.
THREAD(s_0, STORE_X(2) STORE_Y(1));
THREAD(s_1, LOAD_Y(eax) STORE_X(1) FIRST(eax));
// Stores only.
THREAD(ww_0, STORE_X(1) STORE_Y(2));
THREAD(ww_1, STORE_Y(1) STORE_X(2));
// A store, then a load of what the other stores first.
THREAD(r_0, STORE_X(1) FENCE STORE_Y(1));
THREAD(r_1, STORE_Y(2) FENCE LOAD_X(eax) FIRST(eax));
// Coherence: one word never goes back.
THREAD(co_0, STORE_X(1));
THREAD(co_1, LOAD_X(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
// Causality.
THREAD(wrc_1, LOAD_X(eax) STORE_Y(1) FIRST(eax));
THREAD(wrc_2, LOAD_Y(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
// Independent reads of independent writes.
THREAD(iriw_x, STORE_X(1));
THREAD(iriw_y, STORE_Y(1));
THREAD(iriw_xy, LOAD_X(eax) LOAD_Y(edx) FIRST(eax) SECOND(edx));
THREAD(iriw_yx, LOAD_Y(eax) LOAD_X(edx) FIRST(eax) SECOND(edx));
THREAD(iriw_mfence_xy, LOAD_X(eax) FENCE LOAD_Y(edx) FIRST(eax) SECOND(edx));
THREAD(iriw_mfence_yx, LOAD_Y(eax) FENCE LOAD_X(edx) FIRST(eax) SECOND(edx));
THREAD(iriw_locked_x, SWAP_X(1));
THREAD(iriw_locked_y, SWAP_Y(1));
THREAD(iriw_locked_xy, ADD_X(eax) ADD_Y(edx) FIRST(eax) SECOND(edx));
THREAD(iriw_locked_yx, ADD_Y(eax) ADD_X(edx) FIRST(eax) SECOND(edx));

/// What makes up the four bits of an outcome, bit 0 first: the first (P) or second (Q) result of a
/// thread is 1, the final x or y is 2.
enum { P0, Q0, P1, Q1, P2, Q2, P3, Q3, X2, Y2, NONE };
struct litmus {
    const char *name;
    u32 threads;
    void (*code[4])(struct cell *, volatile u32 *, u64);
    u8 bits[4];
    u32 forbidden;    // a set of outcomes
    u32 wanted;       // the same: one of these has to be seen; 0 for none
    u32 share;        // of `tries`: one of so many, where a try takes long
};
#define OUTCOME(a, b, c, d) (1u << ((a) | (b) << 1 | (c) << 2 | (d) << 3))
#define TWO(name) 2, {name##_0, name##_1}
#define NO_SB {P0, P1, NONE, NONE}, OUTCOME(0, 0, 0, 0), 0
static const struct litmus tests[] = {
    {"SB", TWO(sb), {P0, P1, NONE, NONE}, 0, OUTCOME(0, 0, 0, 0), 1},
    {"SB+mfence", TWO(sb_mfence), NO_SB, 1},
    {"SB+lock", TWO(sb_locked), NO_SB, 1},
    {"SB+xchg", TWO(sb_xchg), NO_SB, 1},
    // What serialises waits for the stores (SDM volume 3, 9.3).
    {"SB+cpuid", TWO(sb_cpuid), NO_SB, 1},
    {"SB+iret", TWO(sb_iret), NO_SB, 4},
    {"SB+cr3", TWO(sb_cr3), NO_SB, 8},
    {"SB+invlpg", TWO(sb_invlpg), NO_SB, 8},
    // Own stores are seen at once, before the other processor sees them.
    {"SB+own", TWO(sb_own), {P0, Q0, P1, Q1}, 0xffff & ~0xa0a0u, OUTCOME(1, 0, 1, 0), 1},
    {"LB", TWO(lb), {P0, P1, NONE, NONE}, OUTCOME(1, 1, 0, 0), 0, 1},
    {"LB+lock", TWO(lb_locked), {P0, P1, NONE, NONE}, OUTCOME(1, 1, 0, 0), 0, 1},
    {"MP", TWO(mp), {P1, Q1, NONE, NONE}, OUTCOME(1, 0, 0, 0), 0, 1},
    {"MP+mfence", TWO(mp_mfence), {P1, Q1, NONE, NONE}, OUTCOME(1, 0, 0, 0), 0, 1},
    {"MP+lock", TWO(mp_locked), {P1, Q1, NONE, NONE}, OUTCOME(1, 0, 0, 0), 0, 1},
    {"S", TWO(s), {P1, X2, NONE, NONE}, OUTCOME(1, 1, 0, 0), 0, 1},
    {"2+2W", TWO(ww), {X2, Y2, NONE, NONE}, OUTCOME(0, 0, 0, 0), 0, 1},
    {"R+mfence", TWO(r), {P1, Y2, NONE, NONE}, OUTCOME(0, 1, 0, 0), 0, 1},
    {"CoRR", TWO(co), {P1, Q1, NONE, NONE}, OUTCOME(1, 0, 0, 0), 0, 1},
    {"WRC", 3, {iriw_x, wrc_1, wrc_2}, {P1, P2, Q2, NONE}, OUTCOME(1, 1, 0, 0), 0, 1},
    {"IRIW", 4, {iriw_x, iriw_y, iriw_xy, iriw_yx}, {P2, Q2, P3, Q3}, OUTCOME(1, 0, 1, 0), 0, 1},
    {"IRIW+mfence", 4, {iriw_x, iriw_y, iriw_mfence_xy, iriw_mfence_yx}, {P2, Q2, P3, Q3},
     OUTCOME(1, 0, 1, 0), 0, 1},
    {"IRIW+lock", 4, {iriw_locked_x, iriw_locked_y, iriw_locked_xy, iriw_locked_yx},
     {P2, Q2, P3, Q3}, OUTCOME(1, 0, 1, 0), 0, 1},
};

static const struct litmus *test;
static u64 batches;

/// A 32-bit word of the first cell, how many words on the next one's is, and what counts as 1.
struct source { volatile u32 *word; u32 step, one; };
static struct source source(u8 bit) {
    static u32 zero;
    if (bit == X2) return (struct source){&cells[0].x, sizeof cells[0] / 4, 2};
    if (bit == Y2) return (struct source){&cells[0].y, sizeof cells[0] / 4, 2};
    if (bit == NONE) return (struct source){&zero, 0, 1};
    return (struct source){&seen[bit / 2][0][bit & 1], 2, 1};
}

/// All threads go on at the same moment, as far as that can be: by the time-stamp counter.
static void start_together(u32 threads, u32 delay) {
    u32 round = barrier.round;
    if (__atomic_add_fetch(&barrier.count, 1, __ATOMIC_SEQ_CST) == threads) {
        barrier.count = 0;
        start_time = rdtsc() + LEAD;
        __atomic_store_n(&barrier.round, round + 1, __ATOMIC_RELEASE);
    } else {
        while (barrier.round == round) relax();
    }
    u64 at = start_time + delay;
    while (rdtsc() < at);
}

/// The same for threads that would take the host's processors from those they wait for.
static void meet_asleep(u32 threads) {
    u32 round = barrier.round;
    if (__atomic_add_fetch(&barrier.count, 1, __ATOMIC_SEQ_CST) == threads) {
        barrier.count = 0;
        __atomic_store_n(&barrier.round, round + 1, __ATOMIC_RELEASE);
        for (u32 n = 0; n < threads; n++)
            if (n != me()) send(n, FIXED | WAKE);
        return;
    }
    for (;;) {
        cli();
        if (barrier.round != round) break;
        asm volatile("sti; hlt" : : : "memory");
    }
    sti();
}

static void work(u32 n) {
    u32 threads = test->threads, random = n + 1, together = threads <= cores;
    u32 from = n * CELLS / threads, to = (n + 1) * CELLS / threads;
    struct source s[4];
    for (u32 b = 0; b < 4; b++) s[b] = source(test->bits[b]);
    for (u64 batch = 0; batch < batches; batch++) {
        if (together) {
            for (u32 first = 0; first < CELLS; first += AT_ONCE) {
                random = random * 1664525 + 1013904223;
                start_together(threads, random >> 24);
                test->code[n](cells + first, &seen[n][first][0], AT_ONCE);
            }
            meet(&barrier, threads);
        } else {
            meet_asleep(threads);
            test->code[n](cells, &seen[n][0][0], CELLS);
            meet_asleep(threads);
        }
        for (u32 c = from; c < to; c++) {
            u32 code = 0;
            for (u32 b = 0; b < 4; b++) code |= (u32)(s[b].word[c * s[b].step] == s[b].one) << b;
            outcomes[n][code]++;
            cells[c].x = cells[c].y = 0;
        }
    }
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    cores = (u32)parameter("cores", 2);
    u64 first = parameter("first", 0), last = parameter("last", sizeof tests / sizeof *tests - 1);
    for (u32 t = 0; t < sizeof tests / sizeof *tests; t++) {
        if (t < first || t > last) continue;
        test = &tests[t];
        if (test->threads > cpus) continue;
        for (u32 n = 0; n < 4; n++)
            for (u32 o = 0; o < 16; o++) outcomes[n][o] = 0;
        for (u32 c = 0; c < CELLS; c++) cells[c].x = cells[c].y = 0;
        batches = tries / test->share / CELLS + 1;
        u64 start = rdtsc();
        u64 forbidden = 0, wanted = 0, rounds = 0;
        // What has to be seen is a matter of chance where processors share a core.
        do {
            run_on(test->threads, work);
            for (u32 o = 0; o < 16; o++)
                for (u32 n = 0; n < 4; n++)
                    if (test->wanted >> o & 1) wanted += outcomes[n][o];
        } while (++rounds < 30 && test->wanted && !wanted);
        u64 cycles = rdtsc() - start;
        print("outcomes ");
        print(test->name);
        for (u32 o = 0; o < 16; o++) {
            u64 count = 0;
            for (u32 n = 0; n < 4; n++) count += outcomes[n][o];
            if (test->forbidden >> o & 1) forbidden += count;
            if (!count) continue;
            print_count(" ", o);
            print_count(":", count);
        }
        print_count(" tries ", rounds * batches * CELLS);
        print_count(" cycles ", cycles / (rounds * batches * CELLS));
        print("\n");
        check(test->name, forbidden, 0);
        if (test->wanted) check("seen", wanted != 0, 1);
    }
    return 0;
}
