// Exceptions in 64-bit mode (SDM volume 3, chapter 6): error codes, saved RIP and RFLAGS, gates, the
// interrupt stack table, double faults.
#include "guest.h"

extern u64 pml4[512], pdpt[512], pd[512];
extern u8 trap_stubs[];
static u8 ist_stack[4096] __attribute__((aligned(16)));
static u64 handler_flags, handler_rsp, handler_ss, handler_count;

static int note(struct frame *f) {
    handler_flags = flags();
    handler_rsp = (word)f;
    u16 ss;
    asm volatile("mov %%ss, %0" : "=r"(ss));
    handler_ss = ss;
    handler_count++;
    return 0;
}

CODE_PIECE(divide, "xor %ecx, %ecx\n xor %edx, %edx\n mov $5, %eax\n" AT(divide) "div %ecx");
CODE_PIECE(divide_overflow, "mov $1, %ecx\n mov $-1, %edx\n" AT(divide_overflow) "div %ecx");
CODE_PIECE(breakpoint, "nop\n int3\n" AT(breakpoint) "nop");
CODE_PIECE(int_3, "nop\n int $3\n" AT(int_3) "nop");
CODE_PIECE(icebp, ".byte 0xf1\n" AT(icebp) "nop");
CODE_PIECE(undefined, AT(undefined) "ud2");
CODE_PIECE(into64, AT(into64) ".byte 0xce");
CODE_PIECE(bound64, AT(bound64) ".byte 0x62, 0x07, 0xc0, 0xc0, 0xc0, 0xc0");
CODE_PIECE(int_20, AT(int_20) "int $0x20");
CODE_PIECE(int_22, "int $0x22\n" AT(int_22) "nop");
CODE_PIECE(int_absent, AT(int_absent) "int $0x21");
CODE_PIECE(int_beyond, AT(int_beyond) "int $0x90");
CODE_PIECE(int_user_gate, "int $0x31\n" AT(int_user_gate) "nop");
CODE_PIECE(halt, AT(halt) "hlt");
CODE_PIECE(too_long, AT(too_long) ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
CODE_PIECE(load_ds, AT(load_ds) "mov %edi, %ds");
CODE_PIECE(load_ss, AT(load_ss) "mov %edi, %ss");
CODE_PIECE(wait_x87, "fninit\n movw $0x37e, -8(%rsp)\n fldcw -8(%rsp)\n fldz\n fldz\n fdivp\n" AT(wait_x87) "fwait");
CODE_PIECE(wait_x87_zero, "fninit\n movw $0x37b, -8(%rsp)\n fldcw -8(%rsp)\n fld1\n fldz\n fdivrp\n" AT(wait_x87_zero) "fnop");
CODE_PIECE(wait_only, AT(wait_only) "fwait");
CODE_PIECE(x87_only, AT(x87_only) "fld1");
CODE_PIECE(sse_only, AT(sse_only) "movaps %xmm0, %xmm1");
CODE_PIECE(fnclex_first, "fnclex\n" AT(fnclex_first) "fwait");
CODE_PIECE(simd, "movl $0x1d80, -8(%rsp)\n ldmxcsr -8(%rsp)\n pxor %xmm0, %xmm0\n mov $1, %eax\n cvtsi2ss %eax, %xmm1\n" AT(simd) "divss %xmm0, %xmm1");
CODE_PIECE(ldmxcsr_reserved, "movl $0x10000, -8(%rsp)\n" AT(ldmxcsr_reserved) "ldmxcsr -8(%rsp)");
CODE_PIECE(unaligned_sse, "lea 4(%rsp), %rax\n and $-16, %rax\n" AT(unaligned_sse) "movaps 4(%rax), %xmm0");
CODE_PIECE(clts, AT(clts) "clts");
CODE_PIECE(load2, AT(load2) "movw 1(%rdi), %ax");
CODE_PIECE(load4, AT(load4) "movl 2(%rdi), %eax");
CODE_PIECE(load8, AT(load8) "movq 4(%rdi), %rax");
CODE_PIECE(load8_aligned, AT(load8_aligned) "movq 8(%rdi), %rax");
CODE_PIECE(store4, AT(store4) "movl %eax, 1(%rdi)");
CODE_PIECE(push8, "mov %rsp, %rsi\n sub $4, %rsp\n" AT(push8) "push %rax");
CODE_PIECE(fld10, "fninit\n" AT(fld10) "fldt 4(%rdi)");
CODE_PIECE(locked_mov, AT(locked_mov) ".byte 0xf0, 0x89, 0x07");
CODE_PIECE(locked_register, AT(locked_register) ".byte 0xf0, 0x01, 0xc0");
CODE_PIECE(locked_nop, AT(locked_nop) ".byte 0xf0, 0x90");
CODE_PIECE(locked_cmp, AT(locked_cmp) ".byte 0xf0, 0x39, 0x07");
CODE_PIECE(locked_bt, AT(locked_bt) ".byte 0xf0, 0x0f, 0xa3, 0x07");
CODE_PIECE(locked_bts, AT(locked_bts) ".byte 0xf0, 0x0f, 0xab, 0x07");
CODE_PIECE(locked_fnop, AT(locked_fnop) ".byte 0xf0, 0xd9, 0xd0");
CODE_PIECE(locked_shift, AT(locked_shift) ".byte 0xf0, 0xd1, 0x27");
CODE_PIECE(monitor, AT(monitor) "monitor");
CODE_PIECE(mwait, AT(mwait) "mwait");
CODE_PIECE(rdpmc, AT(rdpmc) "rdpmc");
CODE_PIECE(read_cr1, AT(read_cr1) ".byte 0x0f, 0x20, 0xc8");
CODE_PIECE(rsm, AT(rsm) "rsm");

static void check_piece(const char *name, void (*code)(void), void *at, int vector, word error) {
    check_trap(name, attempt(code), vector, error, at);
}
static void check_user(const char *name, void (*code)(void), u8 *at, int vector, word error) {
    check_trap(name, user(code), vector, error, AS_USER(at));
}
#define RING0(name, piece, vector, error) check_piece(name, piece, piece##_at, vector, error)
#define RING3(name, piece, vector, error) check_user(name, piece, piece##_at, vector, error)

static void vectors(void) {
    u64 words[4] = {0};
    RING0("#DE", divide, 0, 0);
    check("#DE pushes RF", trap.rflags >> 16 & 1, 1);
    RING0("#DE overflow", divide_overflow, 0, 0);
    RING0("#BP", breakpoint, 3, 0);
    check("#BP pushes no RF", trap.rflags >> 16 & 1, 0);
    RING0("INT 3 in two bytes", int_3, 3, 0);
    RING3("#BP in ring 3", breakpoint, 3, 0);
    RING0("INT1", icebp, 1, 0);
    RING3("INT1 in ring 3: no DPL check", icebp, 1, 0);
    RING0("#UD", undefined, 6, 0);
    RING0("INTO is no instruction", into64, 6, 0);
    RING0("rsm outside SMM", rsm, 6, 0);
    RING0("#GP by 16 bytes", too_long, 13, 0);
    RING0("INT n in ring 0 saves the next RIP", int_22, 0x22, 0);
    RING3("HLT in ring 3", halt, 13, 0);
    // Gates.
    RING3("INT n, DPL 0 gate", int_20, 13, 0x20 * 8 + 2);
    idt[2 * 0x21] &= ~(1ull << 47);
    RING0("INT n, gate not present", int_absent, 11, 0x21 * 8 + 2);
    RING0("INT n beyond the IDT", int_beyond, 13, 0x90 * 8 + 2);
    idt[2 * 0x21] = 0;
    RING0("INT n, no gate", int_absent, 13, 0x21 * 8 + 2);
    set_gate(0x21, trap_stubs, FREE, 0x8e, 0);
    gdt[FREE / 8] = 0;
    RING0("INT n, code descriptor empty", int_absent, 13, FREE);
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 & ~0x8000);
    RING0("INT n, code segment not present", int_absent, 11, FREE);
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE32);
    RING0("INT n, code segment not 64-bit", int_absent, 13, FREE);
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_DATA);
    RING0("INT n, data segment", int_absent, 13, FREE);
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 | DPL(3));
    RING0("INT n, outer code segment", int_absent, 13, FREE);
    set_gate(0x21, trap_stubs, 0, 0x8e, 0);
    RING0("INT n, null selector", int_absent, 13, 0);
    set_gate(0x21, trap_stubs, 0x1000, 0x8e, 0);
    RING0("INT n, selector beyond the GDT", int_absent, 13, 0x1000);
    // A fault while an exception is delivered has EXT set.
    set_gate(6, trap_stubs + 16 * 6, 0, 0x8e, 0);
    RING0("#GP while #UD is delivered", undefined, 13, 1);
    set_gate(6, trap_stubs + 16 * 6, CODE, 0x8e, 0);
    idt[2 * 6] &= ~(1ull << 47);
    RING0("#NP while #UD is delivered", undefined, 11, 6 * 8 + 3);
    set_gate(6, trap_stubs + 16 * 6, CODE, 0x8e, 0);
    // Segment loads.
    user_argument = 0x1000;
    RING0("DS beyond the GDT", load_ds, 13, 0x1000);
    user_argument = TASK;
    RING0("DS with a system descriptor", load_ds, 13, TASK);
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_DATA & ~0x8000);
    user_argument = FREE | 3;
    RING0("DS, RPL above DPL", load_ds, 13, FREE);
    user_argument = FREE;
    RING0("DS not present", load_ds, 11, FREE);
    RING0("SS not present", load_ss, 12, FREE);
    user_argument = CODE;
    RING0("SS with code", load_ss, 13, CODE);
    user_argument = 0;
    RING3("SS null in ring 3", load_ss, 13, 0);
    // x87 and SIMD.
    RING0("#MF at the next waiting instruction", wait_x87, 16, 0);
    RING0("#MF at FNOP", wait_x87_zero, 16, 0);
    RING0("FNCLEX does not wait", fnclex_first, -1, 0);
    asm volatile("fninit");
    set_cr0(get_cr0() | 8);
    RING0("TS: x87 #NM", x87_only, 7, 0);
    RING0("TS and MP: WAIT #NM", wait_only, 7, 0);
    RING0("TS: CLTS", clts, -1, 0);
    check("CLTS clears TS", get_cr0() & 8, 0);
    RING3("CLTS in ring 3", clts, 13, 0);
    set_cr0((get_cr0() | 8) & ~2ul);
    RING0("TS without MP: WAIT", wait_only, -1, 0);
    set_cr0((get_cr0() & ~8ul) | 4);
    RING0("EM: x87 #NM", x87_only, 7, 0);
    RING0("EM without MP: WAIT", wait_only, -1, 0);
    set_cr0((get_cr0() & ~4ul) | 2);
    RING0("SSE without OSFXSR", sse_only, 6, 0);
    set_cr4(get_cr4() | 0x200);
    RING0("SSE with OSFXSR", sse_only, -1, 0);
    set_cr0(get_cr0() | 8);
    RING0("TS: SSE #NM", sse_only, 7, 0);
    set_cr0((get_cr0() & ~8ul) | 4);
    RING0("EM: SSE #UD", sse_only, 6, 0);
    set_cr0(get_cr0() & ~4ul);
    RING0("SIMD exception without OSXMMEXCPT", simd, 6, 0);
    set_cr4(get_cr4() | 0x400);
    RING0("#XM", simd, 19, 0);
    RING0("LDMXCSR reserved bit", ldmxcsr_reserved, 13, 0);
    RING0("MOVAPS unaligned", unaligned_sse, 13, 0);
    // LOCK.
    user_argument = (word)words;
    RING0("LOCK MOV", locked_mov, 6, 0);
    RING0("LOCK ADD to a register", locked_register, 6, 0);
    RING0("LOCK NOP", locked_nop, 6, 0);
    RING0("LOCK CMP", locked_cmp, 6, 0);
    RING0("LOCK BT", locked_bt, 6, 0);
    RING0("LOCK BTS", locked_bts, -1, 0);
    RING0("LOCK FNOP", locked_fnop, 6, 0);
    RING0("LOCK SHL", locked_shift, 6, 0);
    RING0("MOV from CR1", read_cr1, 6, 0);
    if (!(cpuid(1, 0).c & 8)) {
        RING0("MONITOR is absent", monitor, 6, 0);
        RING0("MWAIT is absent", mwait, 6, 0);
    }
}

// #AC needs CPL 3, CR0.AM and EFLAGS.AC; QEMU has none, the SDM (6.15, table 6-7) is followed.
static void alignment(void) {
    static u64 words[8] __attribute__((aligned(64)));
    user_argument = (word)AS_USER(words);
    RING3("AC clear: unaligned 4", load4, -1, 0);
    user_flags = 2 | 1 << 18;
    RING3("AM clear: unaligned 4", load4, -1, 0);
    set_cr0(get_cr0() | 1 << 18);
    RING3("#AC word", load2, 17, 0);
    RING3("#AC doubleword", load4, 17, 0);
    RING3("#AC quadword", load8, 17, 0);
    RING3("#AC store", store4, 17, 0);
    RING3("#AC push", push8, 17, 0);
    RING3("#AC extended real", fld10, 17, 0);
    RING3("#AC aligned quadword", load8_aligned, -1, 0);
    check("#AC is not for ring 0", (user_argument = (word)words, set_flags(flags() | 1 << 18), (u64)attempt(load4)), -1ull);
    // A page fault comes first only if the address is not mapped.
    user_argument = 0xfffff001;
    check("#AC before #PF", (u64)user(load4), 17);
    set_cr0(get_cr0() & ~(1ul << 18));
    user_flags = 2;
}

static void gates(void) {
    trap_hook = note;
    user_flags = 0x202;
    idt[2 * 0x31] = idt[2 * 0x31];
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 0);
    RING3("INT n from ring 3", int_user_gate, 0x31, 0);
    check("interrupt gate clears IF", handler_flags & 0x200, 0);
    check("saved IF", trap.rflags & 0x200, 0x200);
    check("saved CS", trap.cs, USER_CODE | 3);
    check("saved SS", trap.ss, USER_DATA | 3);
    check("saved RSP", trap.rsp, (word)user_stack_top);
    check("RSP0", handler_rsp, (word)kernel_stack + sizeof kernel_stack - sizeof(struct frame) + 32);
    check("SS is null after a change of level", handler_ss, 0);
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xef, 0);
    RING3("trap gate from ring 3", int_user_gate, 0x31, 0);
    check("trap gate keeps IF", handler_flags & 0x200, 0x200);
    asm volatile("cli");
    user_flags = 0x4102; // NT and TF
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xef, 0);
    user_flags = 0x4002;
    user(int_user_gate);
    check("NT cleared on delivery", handler_flags & 0x4000, 0);
    check("NT saved", trap.rflags & 0x4000, 0x4000);
    user_flags = 2;
    // A stack that is not 16-byte aligned is aligned before the frame.
    *(u64 *)(tss + 4) -= 8;
    user(int_user_gate);
    check("frame aligned down", handler_rsp, (word)kernel_stack + sizeof kernel_stack - sizeof(struct frame) + 32 - 16);
    *(u64 *)(tss + 4) += 8;
    // The interrupt stack table, from ring 0 and from ring 3.
    *(u64 *)(tss + 36 + 8 * 2) = (word)ist_stack + sizeof ist_stack;
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 3);
    user(int_user_gate);
    check("IST from ring 3", handler_rsp, (word)ist_stack + sizeof ist_stack - sizeof(struct frame) + 32);
    attempt(int_user_gate);
    check("IST from ring 0", handler_rsp, (word)ist_stack + sizeof ist_stack - sizeof(struct frame) + 32);
    check("IST from ring 0 keeps SS", handler_ss, DATA);
    // RSP0 that is not canonical is #SS, and that from ring 3 has the same stack: #DF.
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 0);
    set_gate(8, trap_stubs + 16 * 8, CODE, 0x8e, 3);
    u64 good = *(u64 *)(tss + 4);
    *(u64 *)(tss + 4) = 1ull << 63;
    set_gate(12, trap_stubs + 16 * 12, CODE, 0x8e, 3);
    check("RSP0 not canonical", (u64)user(int_user_gate), 12);
    check("RSP0 not canonical: RIP of INT n", trap.rip, (word)AS_USER(int_user_gate));
    set_gate(12, trap_stubs + 16 * 12, CODE, 0x8e, 0);
    *(u64 *)(tss + 4) = good;
    // The TSS ends before the IST entry: #TS, on the stack of ring 0.
    gdt[TASK / 8] = descriptor((u32)(word)tss, 36, 0x8900);
    load_task();
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 3);
    check("TSS too short: #TS", (u64)attempt(int_user_gate), 10);
    check("TSS too short: error code", trap.error, TASK);
    gdt[TASK / 8] = descriptor((u32)(word)tss, sizeof tss - 1, 0x8900);
    load_task();
    set_gate(0x31, trap_stubs + 16 * 0x31, CODE, 0xee, 0);
    trap_hook = 0;
}

static void double_faults(void) {
    set_gate(8, trap_stubs + 16 * 8, CODE, 0x8e, 3);
    // Contributory and contributory: #DE, whose gate is not present (#NP).
    idt[2 * 0] &= ~(1ull << 47);
    RING0("#DE, then #NP: #DF", divide, 8, 0);
    check("#DF CS", trap.cs, CODE);
    set_gate(0, trap_stubs, CODE, 0x8e, 0);
    // Benign and contributory: #UD, whose gate is not present: #NP.
    idt[2 * 6] &= ~(1ull << 47);
    RING0("#UD, then #NP: #NP", undefined, 11, 6 * 8 + 3);
    set_gate(6, trap_stubs + 16 * 6, CODE, 0x8e, 0);
    // Page fault and contributory.
    CODE_PIECE(touch, AT(touch) "mov 0xc0000000, %eax");
    CODE_PIECE(deep, "mov %rsp, %rsi\n mov $0xb0000000, %rsp\n" AT(deep) "push %rax");
    CODE_PIECE(deep_divide, "xor %ecx, %ecx\n mov $0xb0000000, %rsp\n" AT(deep_divide) "div %ecx");
    idt[2 * 14] &= ~(1ull << 47);
    RING0("#PF, then #NP: #DF", touch, 8, 0);
    set_gate(14, trap_stubs + 16 * 14, CODE, 0x8e, 0);
    // Page fault and page fault: the stack is not there.
    RING0("#PF, then #PF: #DF", deep, 8, 0);
    check("#DF by #PF: CR2", trap_cr2, 0xaffffff8);
    CODE_PIECE(deep_touch, "mov $0xb0000000, %rsp\n" AT(deep_touch) "mov 0xc0000000, %eax");
    RING0("#PF, then #PF of the stack: #DF", deep_touch, 8, 0);
    check("#DF by #PF: CR2 is of the second", trap_cr2, 0xaffffff8);
    // Contributory, then page fault: #PF, delivered on the same stack, so #PF again: #DF.
    set_gate(14, trap_stubs + 16 * 14, CODE, 0x8e, 3);
    RING0("#DE, then #PF: #PF", deep_divide, 14, 2);
    check("#DE, then #PF: CR2", trap_cr2, 0xaffffff8);
    set_gate(14, trap_stubs + 16 * 14, CODE, 0x8e, 0);
    set_gate(8, trap_stubs + 16 * 8, CODE, 0x8e, 0);
}

int main(void) {
    asm volatile("fninit");
    vectors();
    alignment();
    gates();
    double_faults();
    return 0;
}
