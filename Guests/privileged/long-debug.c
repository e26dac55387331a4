// Debug exceptions (SDM volume 3, chapter 17): the trap flag, breakpoints on instructions, data and
// ports, DR6, RF, general detect.
//
// QEMU matches data breakpoints, but pushes no RF and differs where comments say so.
#include "guest.h"

extern u8 trap_stubs[];
#define PIECE(name, code) CODE_PIECE(name, AT(name) code)
enum { BS = 1 << 14, BD = 1 << 13, TF = 0x100, RF = 0x10000 };

// Every #DB goes on; where and why is noted.
enum { MOST = 64 };
u64 hits, hit_rip[MOST], hit_dr6[MOST], hit_flags[MOST], hit_rcx[MOST], hit_dr7[MOST];
static u64 set_rf, stop_after, keep_dr6;
static int note(struct frame *f) {
    if (f->vector != 1) return 0;
    if (hits < MOST) {
        hit_rip[hits] = f->rip;
        hit_dr6[hits] = get_dr6() & 0xe00f;
        hit_flags[hits] = f->rflags;
        hit_rcx[hits] = f->rcx;
        hit_dr7[hits] = get_dr7();
    }
    hits++;
    set_dr6(0);
    if (set_rf) f->rflags |= RF;
    if (hits >= stop_after) f->rflags &= ~(word)TF;
    return 1;
}

static void run(void (*code)(void), void *argument) {
    hits = 0;
    for (int i = 0; i < MOST; i++) hit_rip[i] = hit_dr6[i] = hit_flags[i] = 0;
    set_dr6(keep_dr6);
    user_argument = (word)argument;
    check("the piece ends", (u64)attempt(code), -1ull);
}
static void run_user(void (*code)(void), void *argument) {
    hits = 0;
    for (int i = 0; i < MOST; i++) hit_rip[i] = hit_dr6[i] = hit_flags[i] = 0;
    set_dr6(0);
    user_argument = (word)argument;
    check("the piece ends", (u64)user(code), -1ull);
}
#define LABEL(name) (extern_##name)
#define PLACE(symbol) ({ extern u8 symbol[]; (word)symbol; })

// TF.
CODE_PIECE(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\nstep_1: nop\nstep_2: pushf\nstep_3: andl $~0x100, (%rsp)\n"
    "step_4: popf\nstep_5: nop\n nop");
CODE_PIECE(step_rep, "mov $3, %ecx\n mov %rdi, %rsi\n pushf\n orl $0x100, (%rsp)\n popf\nstep_rep_0: rep movsb\n"
    "step_rep_1: nop\nstep_rep_2: nop");
CODE_PIECE(step_ss, "mov %ss, %eax\n pushf\n orl $0x100, (%rsp)\n popf\n mov %eax, %ss\n nop\nstep_ss_1: nop\n");
CODE_PIECE(step_sti, "pushf\n orl $0x100, (%rsp)\n popf\n sti\nstep_sti_1: nop\nstep_sti_2: cli\n");
CODE_PIECE(step_int, "pushf\n orl $0x100, (%rsp)\n popf\n int $0x31\nstep_int_1: nop\nstep_int_2: nop\n");
CODE_PIECE(step_fault, "pushf\n orl $0x100, (%rsp)\n popf\n ud2\n nop\n");
CODE_PIECE(step_in, "mov $0x3fd, %edx\n pushf\n orl $0x100, (%rsp)\n popf\n inb %dx, %al\nstep_in_1: nop\n");
CODE_PIECE(step_msr, "mov $0x1b, %ecx\n pushf\n orl $0x100, (%rsp)\n popf\n rdmsr\nstep_msr_1: nop\n");
CODE_PIECE(step_cpuid, "xor %eax, %eax\n pushf\n orl $0x100, (%rsp)\n popf\n cpuid\nstep_cpuid_1: nop\n");
CODE_PIECE(step_iret, "mov %rsp, %rax\n mov %ss, %ecx\n push %rcx\n push %rax\n push $0x102\n push $8\n push $1f\n iretq\n1: nop\nstep_iret_1: nop\n");
CODE_PIECE(step_jump, "pushf\n orl $0x100, (%rsp)\n popf\n jmp 1f\n nop\n1: .globl step_jump_1\nstep_jump_1: call 2f\n nop\n2:\n.globl step_jump_2\nstep_jump_2: nop\n");

static int int3(struct frame *f) {
    if (f->vector == 3) return 1;
    return note(f);
}
static int int31(struct frame *f) {
    if (f->vector == 0x31) return 1;
    return note(f);
}

static void single_step(void) {
    static u8 bytes[16];
    trap_hook = note;
    stop_after = 100;
    run(step, 0);
    check("TF: traps", hits, 5);
    check("TF: first after the instruction behind POPF", hit_rip[0], PLACE(step_1));
    check("TF: DR6.BS", hit_dr6[0], BS);
    check("TF: saved TF", hit_flags[0] & TF, TF);
    check("TF: no RF", hit_flags[0] & RF, 0);
    check("TF: POPF that clears it still traps", hit_rip[4], PLACE(step_5));
    check("TF: its saved TF", hit_flags[4] & TF, 0);
    stop_after = 4;
    run(step_rep, bytes);
    check("TF: each iteration of REP traps", hit_rip[0], PLACE(step_rep_0));
    check("TF: REP count", hit_rcx[0], 2);
    check("TF: REP: RF between iterations", hit_flags[0] & RF, RF);
    check("TF: REP's last", hit_rip[2], PLACE(step_rep_1));
    check("TF: REP's last has no RF", hit_flags[2] & RF, 0);
    check("TF: behind REP", hit_rip[3], PLACE(step_rep_2));
    stop_after = 1;
    run(step_ss, 0);
    check("TF: no trap after MOV SS", hit_rip[0], PLACE(step_ss_1));
    stop_after = 2;
    run(step_sti, 0);
    check("TF: STI traps", hit_rip[0], PLACE(step_sti_1));
    check("TF: and what follows", hit_rip[1], PLACE(step_sti_2));
    asm volatile("cli");
    trap_hook = int31;
    stop_after = 1;
    run(step_int, 0);
    check("TF: INT n does not trap, the next does", hit_rip[0], PLACE(step_int_2));
    trap_hook = note;
    hits = 0;
    user_argument = 0;
    check("TF: a fault has no trap", (u64)attempt(step_fault), 6);
    check("TF: the fault saves TF", trap.rflags & TF, TF);
    check("TF: no trap before it", hits, 0);
    run(step_in, 0);
    check("TF: IN traps once", hit_rip[0], PLACE(step_in_1));
    run(step_msr, 0);
    check("TF: RDMSR outside the processor traps", hit_rip[0], PLACE(step_msr_1));
    run(step_cpuid, 0);
    check("TF: CPUID traps", hit_rip[0], PLACE(step_cpuid_1));
    run(step_iret, 0);
    check("TF by IRET: after the next instruction", hit_rip[0], PLACE(step_iret_1));
    stop_after = 2;
    run(step_jump, 0);
    check("TF: JMP", hit_rip[0], PLACE(step_jump_1));
    check("TF: CALL", hit_rip[1], PLACE(step_jump_2));
}

// System calls with TF.
extern u8 entry_keeps_tf[];
asm(".pushsection .text.pieces, \"ax\"\nentry_keeps_tf: nop\nentry_1: nop\n int $0x30\n.popsection");
CODE_PIECE(call_system, "syscall\n nop");
CODE_PIECE(call_enter, "sysenter\n nop");
static void system_calls(void) {
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
    wrmsr(0xc0000081, (u64)CODE << 32);
    wrmsr(0xc0000082, (word)entry_keeps_tf);
    wrmsr(0xc0000084, 0);
    user_flags = 2 | TF;
    stop_after = 1;
    run_user(call_system, 0);
    check("TF: SYSCALL that keeps it traps at the entry", hit_rip[0], PLACE(entry_keeps_tf));
    check("TF: SYSCALL: R11 has it", hits, 1);
    wrmsr(0xc0000084, TF);
    run_user(call_system, 0);
    check("TF: SYSCALL that masks it does not trap", hits, 0);
    wrmsr(0x174, CODE);
    wrmsr(0x175, (word)kernel_stack + 4096);
    wrmsr(0x176, (word)entry_keeps_tf);
    run_user(call_enter, 0);
    check("TF: SYSENTER traps at the entry", hit_rip[0], PLACE(entry_keeps_tf));
    user_flags = 2;
}

// Breakpoints on instructions.
CODE_PIECE(three, "nop\n.globl three_1, three_2\nthree_1: inc %eax\nthree_2: inc %ecx\n");
CODE_PIECE(looped, "mov $5, %ecx\n.globl looped_1\nlooped_1: dec %ecx\n jnz looped_1\n");
CODE_PIECE(faults_there, "mov $3, %eax\n.globl faults_there_1\nfaults_there_1: ud2\n");
CODE_PIECE(ss_before, "mov %ss, %eax\n mov %eax, %ss\n.globl ss_before_1\nss_before_1: nop\n nop\n");

static void instruction_breakpoints(void) {
    trap_hook = note;
    stop_after = 100;
    set_rf = 1;
    set_dr0(PLACE(three_1));
    set_dr7(2);
    run(three, 0);
    check("instruction: once", hits, 1);
    check("instruction: a fault at it", hit_rip[0], PLACE(three_1));
    check("instruction: DR6.B0", hit_dr6[0], 1);
    check("instruction: no RF saved", hit_flags[0] & RF, 0);
    check("instruction: G0 stays", hit_dr7[0], 0x402);
    set_dr3(PLACE(three_2));
    set_dr7(0x81);
    run(three, 0);
    check("two instructions", hits, 2);
    check("second: DR6.B3", hit_dr6[1], 8);
    check("RF lasts for one instruction", hit_rip[1], PLACE(three_2));
    run(looped, 0);
    check("elsewhere: none", hits, 0);
    set_dr1(PLACE(looped_1));
    set_dr7(0xc);
    run(looped, 0);
    check("in a loop: each time", hits, 5);
    set_dr7(0);
    run(looped, 0);
    check("DR7 clear: none", hits, 0);
    set_dr2(PLACE(looped_1));
    set_dr7(0x20 | 3 << 24); // on writes: an instruction is none
    run(looped, 0);
    check("a write breakpoint at an instruction", hits, 0);
    // RF in the image makes the instruction go; a fault of it saves RF.
    set_dr0(PLACE(faults_there_1));
    set_dr7(2);
    hits = 0;
    check("fault at a breakpoint", (u64)attempt(faults_there), 6);
    check("fault at a breakpoint: breakpoint first", hits, 1);
    check("fault at a breakpoint: RF saved", trap.rflags & RF, RF);
    set_dr0(PLACE(ss_before_1));
    run(ss_before, 0);
    check("MOV SS hides a breakpoint", hits, 0);
    // In ring 3, at its user address.
    set_dr0(PLACE(three_1) + USER_BASE);
    run_user(three, 0);
    check("instruction in ring 3", hits, 1);
    check("instruction in ring 3: where", hit_rip[0], PLACE(three_1) + USER_BASE);
    run(three, 0);
    check("another linear address of the same bytes", hits, 0);
    set_dr7(0);
    set_rf = 0;
}

// Breakpoints on data.
// The stack is put here too, so there is room below.
static u64 space[1024] __attribute__((aligned(64)));
#define cells (space + 1008)
CODE_PIECE(data_load, "movq (%rdi), %rax\n.globl data_load_1\ndata_load_1: nop\n");
CODE_PIECE(data_store, "movq %rax, (%rdi)\n.globl data_store_1\ndata_store_1: nop\n");
CODE_PIECE(data_byte, "movb %al, (%rdi)\n.globl data_byte_1\ndata_byte_1: nop\n");
CODE_PIECE(data_modify, "incl (%rdi)\n.globl data_modify_1\ndata_modify_1: nop\n");
CODE_PIECE(data_push, "mov %rsp, %rsi\n lea 8(%rdi), %rsp\n push %rax\n.globl data_push_1\ndata_push_1: mov %rsi, %rsp\n");
CODE_PIECE(data_call, "mov %rsp, %rsi\n lea 8(%rdi), %rsp\n call 1f\n nop\n.globl data_call_1\n1: data_call_1: mov %rsi, %rsp\n");
CODE_PIECE(data_rep, "mov $4, %ecx\n xor %eax, %eax\n.globl data_rep_0\ndata_rep_0: rep stosq\n.globl data_rep_1\ndata_rep_1: nop\n");
CODE_PIECE(data_block, "mov $20, %ecx\n1: movq %rax, (%rdi)\n.globl data_block_1\ndata_block_1: dec %ecx\n jnz 1b\n");
CODE_PIECE(data_exchange, "xchg %rax, (%rdi)\n.globl data_exchange_1\ndata_exchange_1: nop\n");
CODE_PIECE(data_ss, "mov %ss, 8(%rdi)\n mov 8(%rdi), %ss\n nop\n.globl data_ss_1\ndata_ss_1: nop\n");
CODE_PIECE(data_ss_int, "mov %ss, (%rdi)\n mov (%rdi), %ss\n int $0x31\n");
CODE_PIECE(data_ss_int3, "mov %ss, (%rdi)\n mov (%rdi), %ss\n int3\n");
CODE_PIECE(data_fault, "movq (%rdi), %rax\n ud2\n");
CODE_PIECE(data_both, "mov %rdi, %rsi\n lea 8(%rdi), %rdi\n movsq\n.globl data_both_1\ndata_both_1: nop\n");

static void data_breakpoints(void) {
    trap_hook = note;
    stop_after = 100;
    enum { L8 = 2, L4 = 3, L2 = 1, WRITE = 1, ACCESS = 3 };
#define DR7_FOR(n, kind, length) (2u << 2 * (n) | (kind) << (16 + 4 * (n)) | (unsigned)(length) << (18 + 4 * (n)))
    set_dr0((word)cells);
    set_dr7(DR7_FOR(0, WRITE, L8));
    run(data_store, cells);
    check("write: a trap after it", hit_rip[0], PLACE(data_store_1));
    check("write: DR6.B0", hit_dr6[0], 1);
    check("write: once", hits, 1);
    cells[0] = 0;
    hits = 0;
    run(data_load, cells);
    check("write breakpoint, read", hits, 0);
    run(data_byte, (u8 *)cells + 7);
    check("byte at its end", hit_rip[0], PLACE(data_byte_1));
    run(data_byte, (u8 *)cells + 8);
    check("byte behind it", hits, 0);
    run(data_store, (u8 *)cells - 4);
    check("store that overlaps its start", hits, 1);
    run(data_modify, cells);
    check("read and write", hit_rip[0], PLACE(data_modify_1));
    run(data_exchange, cells);
    check("XCHG", hit_rip[0], PLACE(data_exchange_1));
    run(data_push, cells);
    check("PUSH", hit_rip[0], PLACE(data_push_1));
    run(data_call, cells);
    check("CALL", hit_rip[0], PLACE(data_call_1));
    run(data_block, cells);
    check("in a loop: each time", hits, 20);
    check("in a loop: where", hit_rip[19], PLACE(data_block_1));
    run(data_rep, cells - 1);
    check("REP STOS: after the iteration", hit_rip[0], PLACE(data_rep_0));
    check("REP STOS: count", hit_rcx[0], 2);
    check("REP STOS: once", hits, 1);
    set_dr7(DR7_FOR(0, ACCESS, L4));
    run(data_load, cells);
    check("access: read", hit_rip[0], PLACE(data_load_1));
    run(data_byte, (u8 *)cells + 4);
    check("length 4: byte behind it", hits, 0);
    hits = 0;
    user_argument = (word)cells;
    check("trap, then fault of the next", (u64)attempt(data_fault), 6);
    check("trap came first", hits, 1);
    set_dr1((word)cells + 8);
    set_dr7(DR7_FOR(0, ACCESS, L8) | DR7_FOR(1, WRITE, L8));
    run(data_both, cells);
    check("two in one instruction: one trap", hits, 1);
    check("two in one instruction: DR6", hit_dr6[0], 3);
    set_dr0((word)cells + 8);
    set_dr7(DR7_FOR(0, ACCESS, L2));
    // The store before traps too: only the last counts.
    run(data_ss, cells);
    check("MOV SS from a watched word: the trap waits for one instruction", hit_rip[hits - 1], PLACE(data_ss_1));
    // INT n in its place: the trap comes before the first instruction of the handler.
    trap_hook = int31;
    set_dr0((word)cells);
    run(data_ss_int, cells);
    check("MOV SS, INT n: the trap at the handler", hit_rip[hits - 1], (word)(trap_stubs + 16 * 0x31));
    check("MOV SS, INT n: DR6", hit_dr6[hits - 1], 1);
    trap_hook = int3;
    run(data_ss_int3, cells);
    check("MOV SS, INT3: the trap at the handler", hit_rip[hits - 1], (word)(trap_stubs + 16 * 3));
    trap_hook = note;
    // B0 to B3 are those of the last debug exception, BS stays.
    set_dr7(DR7_FOR(0, WRITE, L8));
    keep_dr6 = BS | 2;
    run(data_store, cells);
    check("a debug exception clears B1 of the one before", hit_dr6[0], BS | 1);
    keep_dr6 = 0;
    // With TF in the same instruction: one trap, both bits.
    set_dr0((word)cells);
    set_dr7(DR7_FOR(0, WRITE, L8));
    CODE_PIECE(data_step, "pushf\n orl $0x100, (%rsp)\n popf\n movq %rax, (%rdi)\n nop");
    stop_after = 1;
    run(data_step, cells);
    check("data and TF", hit_dr6[0], BS | 1);
    stop_after = 100;
    set_dr0((word)AS_USER(cells));
    run_user(data_store, AS_USER(cells));
    check("data in ring 3", hits, 1);
    run(data_store, cells);
    check("another linear address of the same data", hits, 0);
    set_dr7(0);
    run_user(data_store, AS_USER(cells));
    check("DR7 clear: none", hits, 0);
}

// Breakpoints on ports need CR4.DE.
CODE_PIECE(port_in, "mov $0x3fd, %edx\n inb %dx, %al\n.globl port_in_1\nport_in_1: nop\n");
CODE_PIECE(port_out, "mov $0x3ff, %edx\n xor %eax, %eax\n outb %al, %dx\n.globl port_out_1\nport_out_1: nop\n");
static void port_breakpoints(void) {
    trap_hook = note;
    stop_after = 100;
    set_cr4(get_cr4() | 8);
    set_dr0(0x3fd);
    set_dr7(2 | 2 << 16);
    run(port_in, 0);
    check("port: a trap after it", hit_rip[0], PLACE(port_in_1));
    check("port: DR6.B0", hit_dr6[0], 1);
    run(port_out, 0);
    check("another port", hits, 0);
    set_dr0(0x3fc);
    set_dr7(2 | 2 << 16 | 3 << 18);
    run(port_out, 0);
    check("port in a range of 4", hit_rip[0], PLACE(port_out_1));
    check("port in a range of 4: once", hits, 1);
    set_dr7(0);
    set_cr4(get_cr4() & ~8ul);
}

// General detect: a fault at the access, DR7.GD cleared for the handler.
static u64 detect_dr7, detect_rip, detect_dr6, detect_flags;
static int detect(struct frame *f) {
    if (f->vector != 1) return 0;
    detect_dr7 = get_dr7();
    detect_dr6 = get_dr6() & 0xe00f;
    detect_rip = f->rip;
    detect_flags = f->rflags;
    set_dr6(0);
    return 1; // GD is clear: the access works now
}
PIECE(read_dr0, "mov %dr0, %rax");
static void general_detect(void) {
    trap_hook = detect;
    set_dr6(0);
    set_dr7(1 << 13);
    attempt(read_dr0);
    check("GD: fault at MOV DR", detect_rip, (word)read_dr0_at);
    check("GD: DR6.BD", detect_dr6, BD);
    check("GD: cleared for the handler", detect_dr7, 0x400);
    check("GD: RF saved", detect_flags & RF, RF);
    set_dr7(0);
    trap_hook = 0;
}

int main(void) {
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 0);
    single_step();
    system_calls();
    instruction_breakpoints();
    data_breakpoints();
    port_breakpoints();
    general_detect();
    return 0;
}
