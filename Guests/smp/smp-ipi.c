// Interrupts between processors: every delivery mode, destination and shorthand, in xAPIC and
// x2APIC mode, INIT and start-up included (SDM volume 3, 9.4 and 11.6).
#include "smp.h"

enum { V = 0x50, ALONE = 0x51, LOW = 0x52, FENCE = 0x60 };

static u32 sum(u32 vector) {
    u32 total = 0;
    for (u32 n = 0; n < cpus; n++) total += hits[n][vector];
    return total;
}

static void forget(void) {
    for (u32 n = 0; n < MOST; n++) {
        nmis[n] = 0;
        for (u32 v = 0; v < 256; v++) hits[n][v] = 0;
    }
}

/// What was sent before has been taken: an interrupt of low priority to each processor comes last.
static int settled(void) {
    for (u32 n = 0; n < cpus; n++) {
        u32 before = hits[n][0x21];
        send(n, FIXED | 0x21);
        if (!WAIT(hits[n][0x21] != before)) return 0;
    }
    return 1;
}

/// Which processors had interrupts of the vector: a bit for each; bit 31 if one had several.
static u32 takers(u32 vector) {
    u32 set = 0;
    for (u32 n = 0; n < cpus; n++) {
        if (hits[n][vector]) set |= 1u << n;
        if (hits[n][vector] > 1) set |= 1u << 31;
    }
    return set;
}

static u32 nmi_takers(void) {
    u32 set = 0;
    for (u32 n = 0; n < cpus; n++) {
        if (nmis[n]) set |= 1u << n;
        if (nmis[n] > 1) set |= 1u << 31;
    }
    return set;
}

static const char *mode;
static void expect(const char *name, u32 destination, u32 command, u32 set) {
    forget();
    send(destination, command);
    int done = settled();
    print(mode);
    u32 vector = command & 0xff;
    check(name, (command & 0x700) == NMI ? nmi_takers() : takers(vector), set);
    if (!done) check(name, 0, 1);
}

static u32 everybody(void) { return (1u << cpus) - 1; }

/// What is alike in both modes.
static void shared_checks(u32 all_of_them) {
    u32 all = everybody();
    for (u32 n = 0; n < cpus; n++) {
        expect("fixed, physical", n, FIXED | V, 1u << n);
        expect("NMI, physical", n, NMI, 1u << n);
    }
    expect("self", 0, FIXED | SELF | V, 1);
    expect("all", 0, FIXED | ALL | V, all);
    expect("others", 0, FIXED | OTHERS | V, all & ~1u);
    expect("NMI, all", 0, NMI | ALL, all);
    expect("NMI, others", 0, NMI | OTHERS, all & ~1u);
    expect("broadcast", all_of_them, FIXED | V, all);
    expect("broadcast, logical", all_of_them, FIXED | LOGICAL | V, all);
    expect("NMI, broadcast", all_of_them, NMI, all);
    // The level and trigger bits of other modes than INIT do not count.
    expect("level, asserted", cpus - 1, FIXED | LEVEL | ASSERT | V, 1u << (cpus - 1));
    expect("absent", cpus, FIXED | V, 0);
    expect("absent", 200, FIXED | V, 0);
    expect("NMI, absent", 200, NMI, 0);
    expect("absent, lowest priority", 200, LOWEST | V, 0);
    // There is no system management mode, and no 8259 behind the ExtINT.
    expect("SMI", cpus - 1, SMI | ASSERT, 0);
    expect("ExtINT", cpus - 1, EXTINT | V, 0);
    expect("delivery mode 3", cpus - 1, 3 << 8 | V, 0);
    // A start-up IPI finds a processor that runs.
    u32 before = arrivals[cpus - 1].count;
    expect("start-up while running", cpus - 1, STARTUP | TRAMPOLINE >> 12, 0);
    check("start-up while running: nothing", arrivals[cpus - 1].count, before);
    expect("INIT level de-assert", all_of_them, INIT | LEVEL | ALL, 0);
    check("INIT level de-assert: nothing", arrivals[cpus - 1].count, before);
    // Vectors below 16 are errors of the sender.
    apic_write(ESR, 0);
    forget();
    send(cpus - 1, FIXED | 5);
    apic_write(ESR, 0);
    check("vector 5: send illegal vector", apic_read(ESR), 0x20);
    check("vector 5: error interrupt", hits[0][APIC_ERROR], 1);
    apic_write(ESR, 0);
    check("error status is gone", apic_read(ESR), 0);
}

// Priorities.
static u32 order[8];
static volatile u32 taken;
static void note(struct frame *f) { if (taken < 8) order[taken++] = (u32)f->vector; }
static void check_priorities(void) {
    static const u8 sent[] = {0x41, 0x95, 0x31, 0x92, 0xd0};
    static const u8 want[] = {0xd0, 0x95, 0x92, 0x41, 0x31};
    taken = 0;
    cli();
    for (u32 i = 0; i < 5; i++) {
        hooks[sent[i]] = note;
        send(0, FIXED | SELF | sent[i]);
    }
    check("requests wait", apic_read(IRR + 0x10 * (0x95 / 32)) >> (0x95 & 31) & 1, 1);
    sti();
    check("all taken", (u64)WAIT(taken == 5), 1);
    for (u32 i = 0; i < 5; i++) check("highest first", order[i], want[i]);
    // The task priority holds back its class and those below.
    forget();
    apic_write(TPR, 0x50);
    send(0, FIXED | SELF | 0x5f);
    send(0, FIXED | SELF | 0x60);
    check("above the priority", (u64)WAIT(hits[0][0x60]), 1);
    check("not above the priority", hits[0][0x5f], 0);
    apic_write(TPR, 0x4f);
    check("after the priority", (u64)WAIT(hits[0][0x5f]), 1);
    apic_write(TPR, 0);
    for (u32 i = 0; i < 5; i++) hooks[sent[i]] = 0;
}

/// Lowest priority: one of the addressed takes it, the one with the lowest processor priority.
static volatile u32 priority_set;
static u32 spared;
static void set_priority(u32 n) {
    apic_write(TPR, n == spared ? 0 : 0x70);
    __atomic_fetch_add(&priority_set, 1, __ATOMIC_SEQ_CST);
}
static void clear_priority(u32 n) { apic_write(TPR, 0); }
static void check_lowest(u32 destination) {
    for (u32 round = 0; round < 8; round++) {
        forget();
        send(destination, LOWEST | LOGICAL | V);
        check("lowest priority settles", (u64)settled(), 1);
        check("lowest priority: one", sum(V), 1);
    }
    for (spared = 0; spared < cpus; spared++) {
        run_on(cpus, set_priority);
        forget();
        send(destination, LOWEST | LOGICAL | V);
        check("lowest priority: somebody", (u64)WAIT(sum(V)), 1);
        check("lowest priority: the lowest", takers(V), 1u << spared);
        run_on(cpus, clear_priority);
    }
}

// NMIs: one waits while the handler runs, and no more than one.
static volatile u32 depth, deepest;
static void slow_nmi(struct frame *f) {
    if (++depth > deepest) deepest = depth;
    if (nmis[0] == 1) for (u32 i = 0; i < 5; i++) send(0, NMI);
    depth--;
}
static void check_nmi(void) {
    forget();
    hooks[2] = slow_nmi;
    cli();
    send(0, NMI);
    check("NMI with interrupts off", (u64)WAIT(nmis[0] == 2), 1);
    sti();
    check("NMIs do not nest", deepest, 1);
    check("NMIs are settled", (u64)settled(), 1);
    check("one NMI waits", nmis[0], 2);
    hooks[2] = 0;
}

/// Spins with interrupts off for ever.
static volatile u32 spins;
static void spin(struct frame *f) {
    spins = 1;
    for (;;) relax();
}

static void check_start(void) {
    u32 last = cpus - 1;
    check("start-up: CS", arrivals[last].cs, TRAMPOLINE >> 4);
    // CR0: ET, CD and NW as they were.
    check("start-up: CR0", arrivals[last].cr0 & 0x1fffffff, 0x10);
    for (u32 n = 1; n < cpus; n++) check("start-up: once", arrivals[n].count, 1);
    // INIT stops a processor wherever it is; the next start-up IPI sets it going.
    forget();
    send(last, INIT | ASSERT);
    send(last, FIXED | V);
    for (u32 n = 0; n < last; n++) {
        send(n, FIXED | 0x21);
        check("INIT of another", (u64)WAIT(hits[n][0x21]), 1);
    }
    check("waits for start-up", hits[last][V], 0);
    u32 before = arrivals[last].count;
    send(last, STARTUP | TRAMPOLINE2 >> 12);
    send(last, STARTUP | TRAMPOLINE >> 12);
    check("starts again", (u64)WAIT(arrivals[last].count == before + 1), 1);
    check("start-up: CS of the first", arrivals[last].cs, TRAMPOLINE2 >> 4);
    check("start-up: settled", (u64)settled(), 1);
    check("INIT clears requests", hits[last][V], 0);
    check("start-up: once", arrivals[last].count, before + 1);
    for (u32 round = 0; round < 50; round++) {
        before = arrivals[last].count;
        send(last, INIT | ASSERT);
        send(last, INIT | LEVEL);
        send(last, STARTUP | (round & 1 ? TRAMPOLINE : TRAMPOLINE2) >> 12);
        if (!WAIT(arrivals[last].count == before + 1)) check("starts over and over", round, 50);
    }
    check("started over and over", arrivals[last].count, before + 1);
    // NMI and INIT reach a processor that takes no interrupts.
    forget();
    hooks[ALONE] = spin;
    send(last, FIXED | ALONE);
    check("spins with interrupts off", (u64)WAIT(spins), 1);
    send(last, FIXED | V);
    send(last, NMI);
    check("NMI comes through", (u64)WAIT(nmis[last]), 1);
    check("a fixed interrupt does not", hits[last][V], 0);
    before = arrivals[last].count;
    send(last, INIT | ASSERT);
    send(last, STARTUP | TRAMPOLINE >> 12);
    check("INIT comes through", (u64)WAIT(arrivals[last].count == before + 1), 1);
    hooks[ALONE] = 0;
}

/// Everybody to everybody, at once: nothing is lost.
static volatile u64 pings[MOST];
static void answer(struct frame *f) { pings[me()]++; }
static u32 flood_rounds;
static void flood(u32 n) {
    for (u32 i = 0; i < flood_rounds; i++) {
        u32 to = (n + 1 + i % (cpus - 1)) % cpus;
        u64 before = pings[to];
        send(to, FIXED | FENCE);
        // Interrupts of one vector merge: wait until this or a later one has come.
        while (pings[to] == before) relax();
    }
}

static void go_x2apic(u32 n) { enter_x2apic(); }
/// The #GP of a WRMSR, which is left out.
static volatile u32 refused;
static int skip_wrmsr(struct frame *f) {
    if (f->vector != 13) return 0;
    refused++;
    f->rip += 2;
    return 1;
}
static u32 write_refused(u32 index, u64 value) {
    refused = 0;
    exception_hook = skip_wrmsr;
    wrmsr(index, value);
    exception_hook = 0;
    return refused;
}

static void set_cluster(u32 n) {
    apic_write(DFR, 0x0fffffff);
    apic_write(LDR, ((n >> 2) << 4 | 1u << (n & 3)) << 24);
}

int main(void) {
    check("processors", (u64)start_processors(), 1);
    u32 all = everybody();
    flood_rounds = (u32)parameter("rounds", 500);
    check_start();
    check_nmi();
    check_priorities();
    mode = "xAPIC ";
    shared_checks(0xff);
    check("ICR reads back", (send(1, NMI | LOGICAL | 0x77), apic_read(ICR)), NMI | LOGICAL | 0x77);
    check("settled", (u64)settled(), 1);
    // Flat: a bit for each of eight processors.
    expect("flat: one", 2, FIXED | LOGICAL | V, 2 & all);
    expect("flat: several", 0x83 & all, FIXED | LOGICAL | V, 0x83 & all);
    expect("flat: NMI", 0x82 & all, NMI | LOGICAL, 0x82 & all);
    expect("flat: nobody's", ~all & 0xfe, FIXED | LOGICAL | V, 0);
    if (cpus < 9) check_lowest(all);
    hooks[FENCE] = answer;
    run_on(cpus, flood);
    check("flood is over", 1, 1);
    run_on(cpus, set_cluster);
    expect("cluster: one", 0x01, FIXED | LOGICAL | V, 1);
    expect("cluster: several", 0x0f, FIXED | LOGICAL | V, all & 0xf);
    expect("cluster: the second", 0x1f, FIXED | LOGICAL | V, all & 0xf0);
    expect("cluster: nobody's", 0x4f, FIXED | LOGICAL | V, 0);
    expect("cluster: in all of them", 0xf1, FIXED | LOGICAL | V, all & 0x11);
    check_lowest(0xff);
    // x2APIC.
    run_on(cpus, go_x2apic);
    mode = "x2APIC ";
    check("x2APIC identifier", apic_read(APIC_ID), 0);
    check("x2APIC LDR", apic_read(LDR), 1);
    shared_checks(0xffffffff);
    expect("x2APIC 0xff is one", 0xff, FIXED | V, 0);
    expect("x2APIC cluster: one", 2, FIXED | LOGICAL | V, 2 & all);
    expect("x2APIC cluster: several", all, FIXED | LOGICAL | V, all);
    expect("x2APIC cluster: NMI", all, NMI | LOGICAL, all);
    expect("x2APIC cluster: another", 0x10000 | all, FIXED | LOGICAL | V, 0);
    check_lowest(0xffff);
    forget();
    wrmsr(0x83f, V);
    check("x2APIC self IPI", (u64)WAIT(hits[0][V]), 1);
    check("x2APIC self IPI: one", takers(V), 1);
    check("x2APIC reserved bit of ICR", write_refused(0x830, 1 << 20 | V), 1);
    check("x2APIC reserved bit of self IPI", write_refused(0x83f, 0x100), 1);
    check("x2APIC LDR is read-only", write_refused(0x80d, 1), 1);
    check("x2APIC EOI is 0", write_refused(0x80b, 1), 1);
    check("back to xAPIC at once", write_refused(0x1b, rdmsr(0x1b) & ~0x400ull), 1);
    check("x2APIC ICR reads back", (wrmsr(0x830, 1ull << 32 | NMI | LOGICAL | 0x77), rdmsr(0x830)),
          1ull << 32 | NMI | LOGICAL | 0x77);
    check("settled", (u64)settled(), 1);
    pings[0] = 0;
    run_on(cpus, flood);
    check("flood is over", 1, 1);
    // INIT in x2APIC mode leaves the mode and its LDR.
    u32 before = arrivals[cpus - 1].count;
    send(cpus - 1, INIT | ASSERT);
    send(cpus - 1, STARTUP | TRAMPOLINE >> 12);
    check("starts in x2APIC mode", (u64)WAIT(arrivals[cpus - 1].count == before + 1), 1);
    expect("x2APIC after INIT", 1u << (cpus - 1), FIXED | LOGICAL | V, 1u << (cpus - 1));
    return 0;
}
