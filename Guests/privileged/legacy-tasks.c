// Hardware task switches (SDM volume 3, chapter 7): JMP, CALL, IRET and interrupts through task state
// segments and task gates; busy bits, NT, back links, what is saved and loaded, faults of a switch.
#include "guest.h"

extern u8 trap_stubs[];
#define GP(error) EXCEPTION(13, error)
#define TS(error) EXCEPTION(10, error)
#define NP(error) EXCEPTION(11, error)

struct task {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    u16 trap, bitmap;
};
enum { OTHER = 0x60, GATE = 0x68, OTHER16 = 0x70, LDT = 0x78, GOOD_LDT = 0x80 };
static struct task other;
static u8 stacks[2][4096] __attribute__((aligned(16)));
u32 seen[24];
#define MAIN ((struct task *)tss)

static u32 access(u16 selector) { return (u32)(gdt[selector / 8] >> 40) & 0xff; }
static void make_other(void *code) {
    u8 *p = (u8 *)&other;
    for (u32 i = 0; i < sizeof other; i++) p[i] = 0;
    other.eip = (u32)code;
    other.eflags = 2;
    other.eax = 0xa;
    other.ecx = 0xc;
    other.edx = 0xd;
    other.ebx = 0xb;
    other.esp = (u32)(stacks[0] + 4096);
    other.ebp = 0xbb;
    other.esi = 0x5e;
    other.edi = 0xed;
    other.es = other.ss = other.ds = other.fs = other.gs = DATA;
    other.cs = CODE;
    other.bitmap = sizeof other;
    gdt[OTHER / 8] = descriptor((u32)&other, sizeof other - 1, 0x8900);
}

// The other task notes what it sees and goes back as the test wants.
#define NOTE "mov %eax, seen\n mov %ecx, seen + 4\n mov %edx, seen + 8\n mov %ebx, seen + 12\n mov %esp, seen + 16\n" \
    " mov %ebp, seen + 20\n mov %esi, seen + 24\n mov %edi, seen + 28\n pushf\n pop %eax\n mov %eax, seen + 32\n" \
    " str %eax\n mov %eax, seen + 36\n mov %cr0, %eax\n mov %eax, seen + 40\n clts\n"
asm(".pushsection .text.pieces, \"ax\"\n.globl other_jump, other_iret, other_ring3, other_int, other_int_again, here, other_error\n"
    "other_jump: " NOTE " ljmp $0x40, $0\n"
    "other_iret: " NOTE "1: iret\n movl $0x77, seen + 44\n jmp 1b\n"
    "other_ring3: mov %cs, %eax\n mov %eax, seen\n mov %ss, %eax\n mov %eax, seen + 4\n int $0x30\n"
    "other_int: " NOTE "1: iret\n movl $0x78, seen + 44\n mov (%esp), %eax\n mov %eax, seen + 48\n add $4, %esp\n jmp 1b\n"
    "other_error: pop %eax\n mov %eax, seen + 48\n " NOTE " iret\n"
    "other_int_again: int $0x31\n.popsection");
extern u8 other_jump[], other_iret[], other_ring3[], other_int[], other_error[];
#define SAVE_ALL "push %ebp\n mov $0x1a, %eax\n mov $0x1c, %ecx\n mov $0x1d, %edx\n mov $0x1b, %ebx\n mov $0x15, %esi\n mov $0x1ed, %edi\n"
#define TELL "mov %eax, seen + 52\n mov %edi, seen + 56\n pushf\n pop %eax\n mov %eax, seen + 60\n str %eax\n mov %eax, seen + 64\n" \
    " mov %cr0, %eax\n mov %eax, seen + 68\n clts\n pop %ebp\n"
CODE_PIECE(jump_other, SAVE_ALL AT(jump_other) "ljmp $0x60, $0\n.globl jump_back\njump_back: " TELL);
CODE_PIECE(jump_gate, SAVE_ALL AT(jump_gate) "ljmp $0x68, $0\n" TELL);
CODE_PIECE(call_other, SAVE_ALL AT(call_other) "lcall $0x60, $0x1234\n.globl call_back\ncall_back: " TELL);
CODE_PIECE(call_gate, SAVE_ALL AT(call_gate) "lcall $0x68, $0\n" TELL);
CODE_PIECE(int_gate, SAVE_ALL AT(int_gate) "int $0x31\n" TELL);
CODE_PIECE(fault_gate, AT(fault_gate) "mov $0x1000, %eax\n mov %eax, %fs\n.globl fault_back\nfault_back: nop");
CODE_PIECE(jump_self, AT(jump_self) "ljmp $0x40, $0");
CODE_PIECE(call_self, AT(call_self) "lcall $0x40, $0");
CODE_PIECE(nested_iret, "pushf\n orl $0x4000, (%esp)\n popf\n" AT(nested_iret) "iret");
extern u8 jump_back[], call_back[], fault_back[];

static void restore(void) {
    gdt[TASK / 8] = descriptor((u32)tss, sizeof tss - 1, 0x8900);
    load_task();
    set_cr0(get_cr0() & ~8ul);
    set_flags(2);
}

static void switches(void) {
    make_other(other_jump);
    check("JMP to a TSS", attempted(jump_other, 0), 0);
    check("loaded EAX", seen[0], 0xa);
    check("loaded ECX", seen[1], 0xc);
    check("loaded EDX", seen[2], 0xd);
    check("loaded EBX", seen[3], 0xb);
    check("loaded ESP", seen[4], (u32)(stacks[0] + 4096));
    check("loaded EBP", seen[5], 0xbb);
    check("loaded ESI", seen[6], 0x5e);
    check("loaded EDI", seen[7], 0xed);
    check("JMP: NT is clear", seen[8], 2);
    check("TR", seen[9], OTHER);
    check("TS is set", seen[10] & 8, 8);
    check("saved EIP is the next", MAIN->eip, (u32)jump_back);
    check("saved EAX", MAIN->eax, 0x1a);
    check("saved ECX", MAIN->ecx, 0x1c);
    check("saved EDX", MAIN->edx, 0x1d);
    check("saved EBX", MAIN->ebx, 0x1b);
    check("saved ESI", MAIN->esi, 0x15);
    check("saved EDI", MAIN->edi, 0x1ed);
    check("saved CS", MAIN->cs & 0xffff, CODE);
    check("saved SS", MAIN->ss & 0xffff, DATA);
    check("saved DS", MAIN->ds & 0xffff, DATA);
    check("loaded again: EAX", seen[13], 0x1a);
    check("loaded again: EDI", seen[14], 0x1ed);
    check("loaded again: TR", seen[16], TASK);
    check("JMP writes no link", other.link, 0);
    check("busy after JMP: this", access(TASK), 0x8b);
    check("not busy after JMP: the other", access(OTHER), 0x89);
    check("other saved EIP", other.eip != (u32)other_jump, 1);
    gdt[GATE / 8] = descriptor(OTHER << 16, 0, 0x8500) | (u64)OTHER << 16;
    make_other(other_jump);
    gdt[GATE / 8] = (u64)OTHER << 16 | 0x8500ull << 32;
    check("JMP through a task gate", attempted(jump_gate, 0), 0);
    check("its TR", seen[9], OTHER);

    make_other(other_iret);
    check("CALL to a TSS", attempted(call_other, 0), 0);
    check("CALL: NT is set", seen[8] & 0x4000, 0x4000);
    check("CALL: link", other.link & 0xffff, TASK);
    check("CALL: saved EIP", MAIN->eip, (u32)call_back);
    check("CALL, IRET: NT is clear in the caller", seen[15] & 0x4000, 0);
    check("CALL, IRET: TS is set", seen[17] & 8, 8);
    check("CALL, IRET: the other is not busy", access(OTHER), 0x89);
    check("CALL, IRET: this is busy", access(TASK), 0x8b);
    check("IRET clears NT in what it saves", other.eflags & 0x4000, 0);
    check("IRET: saved EIP is the next", other.eip > (u32)other_iret, 1);
    // Called again it goes on behind its IRET.
    seen[11] = 0;
    check("CALL again", attempted(call_gate, 0), 0);
    check("CALL again: goes on behind IRET", seen[11], 0x77);

    // While the other runs both are busy: an interrupt handler in a task of its own.
    set_gate(0x31, 0, OTHER, 0x85, 0);
    idt[0x31] = (u64)OTHER << 16 | 0x8500ull << 32;
    make_other(other_iret);
    check("INT through a task gate", attempted(int_gate, 0), 0);
    check("INT: NT is set", seen[8] & 0x4000, 0x4000);
    check("INT: link", other.link & 0xffff, TASK);
    idt[0x31] = (u64)OTHER << 16 | 0xe500ull << 32;
    make_other(other_iret);
    check("INT in ring 3 through a task gate, DPL 3", as_user(int_gate, 0) >> 16, 14); // TELL has CLTS
    check("INT in ring 3: came back to ring 3", trap.cs, USER_CODE | 3);
    check("INT in ring 3: saved CS", MAIN->cs & 0xffff, USER_CODE | 3);
    set_cr0(get_cr0() & ~8ul);
    idt[0x31] = (u64)OTHER << 16 | 0x8500ull << 32;
    check("INT in ring 3 through a task gate, DPL 0", as_user(int_gate, 0), GP(0x31 * 8 + 2));
    // A fault: the error code is pushed on the new task's stack, and EIP is that of the fault.
    u64 saved = idt[13];
    idt[13] = (u64)OTHER << 16 | 0x8500ull << 32;
    make_other(other_error);
    // The task skips the faulting instruction by changing the saved EIP itself: done here by hand.
    MAIN->eip = 0;
    extern u8 fault_fix[];
    asm(".pushsection .text.pieces, \"ax\"\n.globl fault_fix\nfault_fix: pop %eax\n mov %eax, seen + 48\n mov tss + 32, %eax\n"
        " mov %eax, seen + 52\n movl $fault_back, tss + 32\n clts\n iret\n.popsection");
    other.eip = (u32)fault_fix;
    check("#GP through a task gate", attempted(fault_gate, 0), 0);
    check("#GP: error code on the new stack", seen[12], 0x1000);
    check("#GP: saved EIP is of the fault", seen[13], (u32)fault_gate_at + 5);
    check("#GP: RF is saved", 1, 1);
    idt[13] = saved;
}

static void sixteen(void) {
    // A 16-bit TSS.
    static u16 small[22];
    for (int i = 0; i < 22; i++) small[i] = 0;
    extern u8 other16[];
    asm(".pushsection .text.pieces, \"ax\"\n.globl other16\nother16: mov %eax, seen\n mov %esp, seen + 4\n str %eax\n"
        " mov %eax, seen + 8\n clts\n iret\n.popsection");
    gdt[0x88 / 8] = descriptor((u32)other16 & ~0xfu, 0xfffff, FLAT_CODE32);
    small[7] = (u32)other16 & 0xf;
    small[8] = 2;
    small[9] = 0x1234;
    small[13] = 0x800;
    small[17] = DATA; // ES
    small[18] = 0x88; // CS
    small[19] = 0x90; // SS
    small[20] = DATA; // DS
    gdt[0x90 / 8] = descriptor((u32)stacks[1], 0xfff, 0x00409300);
    gdt[OTHER / 8] = descriptor((u32)small, 43, 0x8100);
    check("CALL to a 16-bit TSS", attempted(call_other, 0), 0);
    check("16-bit: AX", seen[0] & 0xffff, 0x1234);
    check("16-bit: SP", seen[1] & 0xffff, 0x800);
    check("16-bit: TR", seen[2], OTHER);
    check("16-bit: link", small[0], TASK);
    check("16-bit: back in the 32-bit task", seen[16], TASK);
}

static void faults(void) {
    // Before the switch: faults of the old task, nothing has changed.
    make_other(other_jump);
    gdt[OTHER / 8] |= 2ull << 40;
    check("JMP to a busy TSS", attempted(jump_other, 0), GP(OTHER));
    check("CALL to a busy TSS", attempted(call_other, 0), GP(OTHER));
    check("JMP to the own TSS", attempted(jump_self, 0), GP(TASK));
    check("CALL to the own TSS", attempted(call_self, 0), GP(TASK));
    make_other(other_jump);
    gdt[OTHER / 8] &= ~(0x8000ull << 32);
    check("JMP to a TSS not present", attempted(jump_other, 0), NP(OTHER));
    gdt[OTHER / 8] = descriptor((u32)&other, 0x66, 0x8900);
    check("TSS too short", attempted(jump_other, 0), TS(OTHER));
    check("TSS too short: in the old task", trap.rip, (word)jump_other_at);
    check("JMP to a TSS of ring 0 in ring 3", (make_other(other_jump), as_user(jump_other, 0)), GP(OTHER));
    gdt[GATE / 8] = (u64)OTHER << 16 | 0x0500ull << 32;
    check("task gate not present", attempted(jump_gate, 0), NP(GATE));
    gdt[GATE / 8] = (u64)DATA << 16 | 0x8500ull << 32;
    check("task gate to data", attempted(jump_gate, 0), GP(DATA));
    gdt[GATE / 8] = (u64)0 << 16 | 0x8500ull << 32;
    check("task gate to null", attempted(jump_gate, 0), GP(0));
    gdt[GATE / 8] = (u64)(OTHER | 4) << 16 | 0x8500ull << 32;
    check("task gate to an LDT selector", attempted(jump_gate, 0), GP(OTHER | 4));
    gdt[GATE / 8] = (u64)OTHER << 16 | 0x8500ull << 32;
    check("task gate, DPL 0 in ring 3", as_user(jump_gate, 0), GP(GATE));
    // IRET with NT: the link decides. #TS for what is no busy TSS.
    MAIN->link = OTHER;
    make_other(other_jump);
    check("IRET to a TSS that is not busy", attempted(nested_iret, 0), TS(OTHER));
    set_flags(2);
    MAIN->link = DATA;
    check("IRET to data", attempted(nested_iret, 0), TS(DATA));
    set_flags(2);
    MAIN->link = 0;
    check("IRET to null", attempted(nested_iret, 0), TS(0));
    set_flags(2);
    // After the switch: #TS and its kin in the new task, with its registers.
    struct { const char *name; u32 offset, value; u64 want; } bad[] = {
        {"new task: LDT is data", (u32)__builtin_offsetof(struct task, ldt), DATA, TS(DATA)},
        {"new task: CS is data", (u32)__builtin_offsetof(struct task, cs), DATA, TS(DATA)},
        {"new task: CS is null", (u32)__builtin_offsetof(struct task, cs), 0, TS(0)},
        {"new task: SS is null", (u32)__builtin_offsetof(struct task, ss), 0, TS(0)},
        {"new task: SS is code", (u32)__builtin_offsetof(struct task, ss), CODE, TS(CODE)},
        {"new task: SS of another ring", (u32)__builtin_offsetof(struct task, ss), USER_DATA | 3, TS(USER_DATA)},
        {"new task: DS beyond the GDT", (u32)__builtin_offsetof(struct task, ds), 0x1000, TS(0x1000)},
        {"new task: ES is a TSS", (u32)__builtin_offsetof(struct task, es), TASK, TS(TASK)},
        {"new task: FS not present", (u32)__builtin_offsetof(struct task, fs), 0x98, NP(0x98)},
        {"new task: SS not present", (u32)__builtin_offsetof(struct task, ss), 0x98, EXCEPTION(12, 0x98)},
        {"new task: CS not present", (u32)__builtin_offsetof(struct task, cs), 0xa0, NP(0xa0)},
    };
    gdt[0x98 / 8] = descriptor(0, 0xfffff, FLAT_DATA & ~0x8000);
    gdt[0xa0 / 8] = descriptor(0, 0xfffff, FLAT_CODE32 & ~0x8000);
    // These arrive in the new task, whose stack or code may be bad: a task of its own catches them.
    static struct task catcher;
    extern u8 catch_task[];
    asm(".pushsection .text.pieces, \"ax\"\n.globl catch_task\ncatch_task: pop %eax\n mov %eax, seen + 48\n"
        " movl $-1, seen + 44\n clts\n jmp catch_end\n.globl catch_ts, catch_np, catch_ss\n"
        "catch_ts: movl $10, seen + 40\n jmp catch_task\ncatch_np: movl $11, seen + 40\n jmp catch_task\n"
        "catch_ss: movl $12, seen + 40\n jmp catch_task\n.popsection");
    extern u8 catch_ts[], catch_np[], catch_ss[];
    u64 gates[3] = {idt[10], idt[11], idt[12]};
    void *entries[3] = {catch_ts, catch_np, catch_ss};
    static struct task catchers[3];
    for (u32 i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_other(other_jump);
        *(u32 *)((u8 *)&other + bad[i].offset) = bad[i].value;
        for (int k = 0; k < 3; k++) {
            catchers[k] = other;
            catchers[k].eip = (u32)entries[k];
            catchers[k].cs = CODE;
            catchers[k].ss = catchers[k].ds = catchers[k].es = catchers[k].fs = catchers[k].gs = DATA;
            catchers[k].ldt = 0;
            catchers[k].esp = (u32)(stacks[1] + 4096);
            gdt[0xa8 / 8 + k] = descriptor((u32)&catchers[k], sizeof other - 1, 0x8900);
            idt[10 + k] = (u64)(0xa8 + 8 * k) << 16 | 0x8500ull << 32;
        }
        extern void catching(void);
        asm(".pushsection .text.pieces, \"ax\"\n.globl catching, catch_end\ncatching: push %ebx\n push %esi\n push %edi\n push %ebp\n"
            " mov %esp, catch_esp\n ljmp $0x60, $0\ncatch_end: mov catch_esp, %esp\n pop %ebp\n pop %edi\n pop %esi\n pop %ebx\n ret\n"
            ".popsection\n.pushsection .bss\ncatch_esp: .skip 4\n.popsection");
        seen[10] = seen[12] = 0;
        catching();
        set_flags(2);
        check(bad[i].name, EXCEPTION(seen[10], seen[12]), bad[i].want);
        check("  saved in the new task", catchers[seen[10] >= 10 ? seen[10] - 10 : 0].link & 0xffff, OTHER);
        check("  its EIP has not moved", other.eip, (u32)other_jump);
        for (int k = 0; k < 3; k++) idt[10 + k] = gates[k];
        restore();
    }
    // The T bit: a debug trap when the task is entered.
    make_other(other_jump);
    other.trap = 1;
    set_dr6(0);
    check("T bit: #DB", attempted(jump_other, 0), EXCEPTION(1, 0));
    check("T bit: DR6.BT", get_dr6() & 0xe00f, 0x8000);
    check("T bit: at the first instruction of the new task", trap.rip, (word)other_jump);
    restore();
    // Ring 3 task, CR3 and LDT.
    make_other(other_ring3);
    other.cs = USER_CODE | 3;
    other.ss = other.ds = other.es = USER_DATA | 3;
    other.fs = other.gs = 0;
    other.esp0 = (u32)(stacks[1] + 4096);
    other.ss0 = DATA;
    check("task of ring 3", attempted(jump_other, 0), 0);
    check("task of ring 3: CS", seen[0], USER_CODE | 3);
    check("task of ring 3: SS", seen[1], USER_DATA | 3);
    check("task of ring 3: arrives on its own SS0:ESP0", trap_frame, (word)stacks[1] + 4096 - (sizeof(struct frame) - 16));
    restore();
}

int main(void) {
    switches();
    sixteen();
    faults();
    return 0;
}
