// Processors, interrupts and work.
#include "smp.h"

u32 cpus = 2;
u64 tries = 100000;
volatile struct arrival arrivals[MOST];
volatile u32 hits[MOST][256], nmis[MOST];
void (*volatile hooks[256])(struct frame *);
int (*volatile exception_hook)(struct frame *);
static u64 vectors[512] __attribute__((aligned(16)));
/// Each on a line of its own: the number is at GS:0.
static struct { u32 number, x2; void (*volatile work)(u32); u64 space[6]; } per[MOST]
    __attribute__((aligned(64)));
static volatile u32 unfinished;
static u64 high_pages[512] __attribute__((aligned(4096)));

extern u64 pdpt[512];
extern word start_info;
extern u8 trampoline[], trampoline_end[], vector_stubs[];

void copy(void *to, const void *from, u64 count) {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

void print_count(const char *text, u64 number) {
    char digits[21];
    int at = 20;
    digits[at] = 0;
    do digits[--at] = (char)('0' + number % 10); while (number /= 10);
    print(text);
    print(digits + at);
}

u64 parameter(const char *name, u64 otherwise) {
    // hvm_start_info: magic, version, flags, nr_modules, modlist, cmdline.
    const char *line = (const char *)*(u64 *)(start_info + 24);
    for (; line && *line; line++) {
        const char *a = line, *b = name;
        while (*b && *a == *b) a++, b++;
        if (*b || *a++ != '=') continue;
        u64 value = 0;
        while (*a >= '0' && *a <= '9') value = value * 10 + (u64)(*a++ - '0');
        return value;
    }
    return otherwise;
}

u32 apic_read(u32 offset) {
    if (per[me()].x2) return (u32)rdmsr(0x800 + offset / 16);
    return *(volatile u32 *)(word)(APIC_BASE + offset);
}

void apic_write(u32 offset, u32 value) {
    if (per[me()].x2) wrmsr(0x800 + offset / 16, value);
    else *(volatile u32 *)(word)(APIC_BASE + offset) = value;
}

void send(u32 destination, u32 command) {
    if (per[me()].x2) {
        // WRMSR to the APIC orders nothing (SDM volume 3, 11.12.3).
        asm volatile("mfence; lfence" : : : "memory");
        wrmsr(0x830, (u64)destination << 32 | command);
        return;
    }
    apic_write(ICR_HIGH, destination << 24);
    apic_write(ICR, command);
    while (apic_read(ICR) & 1 << 12) relax();
}

/// An interrupt between the two would be ended where the APIC no longer is.
void enter_x2apic(void) {
    cli();
    wrmsr(0x1b, rdmsr(0x1b) | 0x400);
    per[me()].x2 = 1;
    sti();
}

void vector_taken(struct frame *f) {
    u32 cpu = me();
    if (f->vector == 2) {
        nmis[cpu]++;
        if (hooks[2]) hooks[2](f);
        return;
    }
    if (f->vector < 32) {
        if (exception_hook && exception_hook(f)) return;
        print_count("FAIL exception ", f->vector);
        check(" at", f->rip, 0);
        end();
    }
    hits[cpu][f->vector]++;
    if (hooks[f->vector]) hooks[f->vector](f);
    if (f->vector != SPURIOUS) apic_write(EOI, 0);
}

/// Descriptor tables, the processor's number at GS:0 and its local APIC.
static void set_up(u32 number) {
    struct table i = {sizeof vectors - 1, (word)vectors};
    load_tables();
    asm volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
                 "mov %1, %%ds; mov %1, %%es; mov %1, %%ss; mov %1, %%fs; mov %1, %%gs; lidt %2"
                 : : "i"(CODE), "r"((u32)DATA), "m"(i) : "rax", "memory");
    set_cr4(get_cr4() | 0x600);
    per[number].number = number;
    wrmsr(0xc0000101, (u64)&per[number]);
    apic_write(SVR, 0x100 | SPURIOUS);
    apic_write(LVT_ERROR, APIC_ERROR);
    // Not to be written in x2APIC mode (SDM volume 3, table 11-6).
    if (!per[number].x2) {
        apic_write(DFR, 0xffffffff);
        apic_write(LDR, 1u << (24 + (number & 7)));
    }
    apic_write(TPR, 0);
}

void processor_start(u32 number, u32 cs, u32 cr0) {
    if (number >= MOST) for (;;) asm volatile("cli; hlt");
    per[number].x2 = (rdmsr(0x1b) & 0x400) != 0;
    set_up(number);
    arrivals[number].cs = cs;
    arrivals[number].cr0 = cr0;
    __atomic_fetch_add(&arrivals[number].count, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        cli();
        void (*work)(u32) = per[number].work;
        if (!work) {
            asm volatile("sti; hlt" : : : "memory");
            continue;
        }
        sti();
        work(number);
        per[number].work = 0;
        if (__atomic_sub_fetch(&unfinished, 1, __ATOMIC_SEQ_CST) == 0) send(0, FIXED | WAKE);
    }
}

void run_on(u32 count, void (*work)(u32)) {
    unfinished = count - 1;
    for (u32 n = 1; n < count; n++) {
        per[n].work = work;
        send(n, FIXED | WAKE);
    }
    work(0);
    for (;;) {
        cli();
        if (!unfinished) break;
        asm volatile("sti; hlt" : : : "memory");
    }
    sti();
}

void meet(struct barrier *b, u32 count) {
    u32 round = b->round;
    if (__atomic_add_fetch(&b->count, 1, __ATOMIC_SEQ_CST) == count) {
        b->count = 0;
        __atomic_store_n(&b->round, round + 1, __ATOMIC_RELEASE);
    } else {
        while (b->round == round) relax();
    }
}

int start_processors(void) {
    cpus = (u32)parameter("cpus", 2);
    if (cpus > MOST) cpus = MOST;
    tries = parameter("tries", tries);
    // The local APIC's page; the rest of the fourth GiB is not mapped.
    pdpt[3] = (u64)high_pages | 7;
    high_pages[APIC_BASE >> 21 & 511] = (APIC_BASE & ~0x1fffffull) | 0x93;
    for (u32 v = 0; v < 256; v++) {
        word to = (word)(vector_stubs + 16 * v);
        vectors[2 * v] = (to & 0xffff) | (u64)CODE << 16 | 0x8eull << 40 | (u64)(to >> 16 & 0xffff) << 48;
        vectors[2 * v + 1] = to >> 32;
    }
    set_up(0);
    sti();
    copy((void *)TRAMPOLINE, trampoline, (u64)(trampoline_end - trampoline));
    copy((void *)TRAMPOLINE2, trampoline, (u64)(trampoline_end - trampoline));
    for (u32 n = 1; n < cpus; n++) {
        send(n, INIT | ASSERT);
        send(n, INIT | LEVEL);
        send(n, STARTUP | TRAMPOLINE >> 12);
        send(n, STARTUP | TRAMPOLINE >> 12);
        if (!WAIT(arrivals[n].count)) return 0;
    }
    return 1;
}
