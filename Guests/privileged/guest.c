// Reports, descriptor tables and caught exceptions.
#include "guest.h"

void print(const char *text) {
    while (*text) outb(0x3f8, (u8)*text++);
}

static void print_number(u64 value) {
    char text[19] = "0x";
    int at = 2, started = 0;
    for (int shift = 60; shift >= 0; shift -= 4) {
        int digit = (int)(value >> shift & 15);
        if (digit || shift == 0) started = 1;
        if (started) text[at++] = "0123456789abcdef"[digit];
    }
    text[at] = 0;
    print(text);
}

void check(const char *name, u64 got, u64 want) {
    if (got == want) {
        print("ok ");
        print(name);
    } else {
        print("FAIL ");
        print(name);
        print(" got ");
        print_number(got);
        print(" want ");
        print_number(want);
    }
    print("\n");
}

void end(void) {
    print("end\n");
    // ACPI S5: type 0 with QEMU's PIIX4, type 5 with Martlet; both have the register here.
    outw(0x604, 0x2000);
    outw(0x604, 0x3400);
    for (;;) asm volatile("cli; hlt");
}

u64 gdt[64] __attribute__((aligned(16)));
u64 idt[128] __attribute__((aligned(16)));
u8 tss[104 + 8192 + 1] __attribute__((aligned(16)));
u8 kernel_stack[16384] __attribute__((aligned(16)));
u8 user_stack[16384] __attribute__((aligned(16)));
struct frame trap;
word trap_cr2, trap_frame;
int (*trap_hook)(struct frame *);
word user_flags, user_code, user_argument;
void *user_stack_top;

u64 descriptor(u32 base, u32 limit, u32 flags) {
    u64 high = (base & 0xff000000) | (base >> 16 & 0xff) | (limit & 0xf0000) | flags;
    return high << 32 | (u64)(base & 0xffff) << 16 | (limit & 0xffff);
}

void set_gate(int vector, void *target, u16 selector, u8 type, u8 ist) {
    word offset = (word)target;
    u64 low = (offset & 0xffff) | (u64)selector << 16 | (u64)ist << 32 | (u64)type << 40
        | (u64)(offset >> 16 & 0xffff) << 48;
#ifdef __x86_64__
    idt[2 * vector] = low;
    idt[2 * vector + 1] = offset >> 32;
#else
    idt[vector] = low;
#endif
}

void load_tables(void) {
    struct table g = {sizeof gdt - 1, (word)gdt}, i = {sizeof(word) == 8 ? 64 * 16 - 1 : 64 * 8 - 1, (word)idt};
    asm volatile("lgdt %0; lidt %1" : : "m"(g), "m"(i) : "memory");
}

extern u8 trap_stubs[];
extern u8 attempt_trapped[];
extern word attempt_rsp;

/// Called by the stubs. Returns to where the exception came from, or to the caller of `attempt`.
void trap_handler(struct frame *f) {
    if (trap_hook && trap_hook(f)) return;
    trap_cr2 = get_cr2();
    trap_frame = (word)f;
    u8 *to = (u8 *)&trap, *from = (u8 *)f;
    for (u32 i = 0; i < sizeof trap; i++) to[i] = from[i];
    if (!attempt_rsp) {
        print("FAIL unexpected exception ");
        print_number(f->vector);
        print(" error ");
        print_number(f->error);
        print(" at ");
        print_number(f->rip);
        print("\n");
        end();
    }
    asm volatile("jmp *%0" : : "r"(attempt_trapped));
}

static u64 outcome(int ended) {
    return ended == -1 ? 0 : EXCEPTION((u32)ended, (u32)trap.error);
}

u64 attempted(void (*code)(void), void *argument) {
    user_argument = (word)argument;
    return outcome(attempt(code));
}

u64 as_user(void (*code)(void), void *argument) {
    user_argument = (word)argument;
    return outcome(user(code));
}

void check_trap(const char *name, int ended, int vector, word error, void *rip) {
    if (ended != vector) check(name, (u64)(long long)ended, (u64)(long long)vector);
    else if (vector == -1) check(name, 0, 0);
    else if (trap.error != error) check(name, trap.error | 0xee00000000, error);
    else if (trap.rip != (word)rip) check(name, trap.rip, (word)rip);
    else check(name, 0, 0);
}

int main(void);

void guest_start(void) {
#ifdef __x86_64__
    gdt[CODE / 8] = descriptor(0, 0xfffff, FLAT_CODE64);
    gdt[USER_CODE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 | DPL(3));
    gdt[TASK / 8] = descriptor((u32)(word)tss, sizeof tss - 1, 0x8900);
    *(u64 *)(tss + 4) = (word)(kernel_stack + sizeof kernel_stack);
#else
    gdt[CODE / 8] = descriptor(0, 0xfffff, FLAT_CODE32);
    gdt[USER_CODE / 8] = descriptor(0, 0xfffff, FLAT_CODE32 | DPL(3));
    gdt[TASK / 8] = descriptor((u32)tss, sizeof tss - 1, 0x8900);
    *(u32 *)(tss + 4) = (u32)(kernel_stack + sizeof kernel_stack);
    *(u32 *)(tss + 8) = DATA;
#endif
    gdt[DATA / 8] = descriptor(0, 0xfffff, FLAT_DATA);
    gdt[USER_CODE32 / 8] = descriptor(0, 0xfffff, FLAT_CODE32 | DPL(3));
    gdt[USER_DATA / 8] = descriptor(0, 0xfffff, FLAT_DATA | DPL(3));
    gdt[CODE32 / 8] = descriptor(0, 0xfffff, FLAT_CODE32);
    *(u16 *)(tss + 102) = sizeof tss; // no bitmap
    for (int vector = 0; vector < 64; vector++)
        set_gate(vector, trap_stubs + 16 * vector, CODE, vector >= 0x30 || vector == 3 || vector == 4 ? 0xee : 0x8e, 0);
    load_tables();
    asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %0, %%fs; mov %0, %%gs" : : "r"((u32)DATA) : "memory");
    load_task();
    user_flags = 2;
    user_code = USER_CODE | 3;
    user_stack_top = AS_USER(user_stack + sizeof user_stack);
    main();
    end();
}
