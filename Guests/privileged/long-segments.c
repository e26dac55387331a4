// Segments in IA-32e mode: null selectors, descriptors' rules, call gates, far transfers between
// rings and to compatibility mode, LAR and its kin, bases of FS and GS.
#include "guest.h"

extern u8 trap_stubs[];
static u64 ldt[8] __attribute__((aligned(8)));
static u8 other_stack[1024] __attribute__((aligned(16)));

#define GP(error) EXCEPTION(13, error)
#define PIECE(name, code) CODE_PIECE(name, AT(name) code)

PIECE(load_ds, "mov %edi, %ds");
PIECE(load_fs, "mov %edi, %fs");
PIECE(load_ss, "mov %edi, %ss\n mov $16, %eax\n mov %eax, %ss");
PIECE(far_jump, "rex.w ljmp *(%rdi)");
PIECE(far_call, "rex.w lcall *(%rdi)");
PIECE(far_call32, "lcall *(%rdi)");
CODE_PIECE(through_ds, "xor %eax, %eax\n mov %eax, %ds\n mov %eax, %es\n" AT(through_ds) "movl %ds:(%rdi), %eax\n movl %es:(%rdi), %eax");
CODE_PIECE(swap, "swapgs\n swapgs\n");
PIECE(swap3, "swapgs");
PIECE(read_fs_base, "rdfsbase %rax");
PIECE(write_fs_base, "wrfsbase %rdi");
PIECE(lldt, "lldt %di");
PIECE(ltr, "ltr %di");
PIECE(sldt, "sldt %eax");
PIECE(str, "str %eax");
PIECE(smsw, "smsw %eax");
PIECE(sgdt, "sgdt -16(%rsp)");
PIECE(sidt, "sidt -16(%rsp)");
PIECE(lgdt_bad, "lgdt (%rdi)");
PIECE(push_es, ".byte 0x06");
PIECE(direct_far, ".byte 0x9a, 0, 0, 0, 0, 0, 0");
PIECE(lds, ".byte 0xc5, 0x07");

static u32 lar(u16 selector, int *zero) {
    u32 value = 0x55555555;
    u8 z;
    asm volatile("lar %w2, %0; setz %1" : "+r"(value), "=q"(z) : "r"((u32)selector) : "cc");
    *zero = z;
    return value;
}
static u32 lsl(u16 selector, int *zero) {
    u32 value = 0x55555555;
    u8 z;
    asm volatile("lsl %w2, %0; setz %1" : "+r"(value), "=q"(z) : "r"((u32)selector) : "cc");
    *zero = z;
    return value;
}
static int verr(u16 s) { u8 z; asm volatile("verr %w1; setz %0" : "=q"(z) : "r"((u32)s) : "cc"); return z; }
static int verw(u16 s) { u8 z; asm volatile("verw %w1; setz %0" : "=q"(z) : "r"((u32)s) : "cc"); return z; }

static void inspection(void) {
    int z;
    check("LAR of code", lar(CODE, &z), 0x00a09b00);
    check("LAR sets ZF", z, 1);
    check("LSL of code", lsl(CODE, &z), 0xffffffff);
    check("LAR of null", lar(0, &z), 0x55555555);
    check("LAR of null: ZF", z, 0);
    check("LAR beyond the GDT", (lar(0x1000, &z), z), 0);
    check("LSL of the TSS", lsl(TASK, &z), sizeof tss - 1);
    check("LAR of the busy TSS", lar(TASK, &z) & 0xff00, 0x8b00);
    gdt[FREE / 8] = descriptor(0, 0, 0x8c00);
    check("LAR of a call gate", (lar(FREE, &z), z), 1);
    check("LSL of a call gate", (lsl(FREE, &z), z), 0);
    gdt[FREE / 8] = descriptor(0, 0, 0x8e00);
    check("LAR of an interrupt gate", (lar(FREE, &z), z), 0);
    gdt[FREE / 8] = descriptor(0, 0, 0x8500);
    check("LAR of a task gate in IA-32e mode", (lar(FREE, &z), z), 0);
    gdt[FREE / 8] = descriptor(0, 0, 0x8100);
    check("LAR of a 16-bit TSS in IA-32e mode", (lar(FREE, &z), z), 0);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00009300);
    check("LSL byte granular", lsl(FREE, &z), 0x1234);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00809300);
    check("LSL page granular", lsl(FREE, &z), 0x1234fff);
    check("LAR, RPL above DPL", (lar(FREE | 3, &z), z), 0);
    check("VERR of data", verr(FREE), 1);
    check("VERR, RPL above DPL", verr(FREE | 3), 0);
    check("VERW of data", verw(FREE), 1);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00009100);
    check("VERW of read-only data", verw(FREE), 0);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00009900);
    check("VERR of code that cannot be read", verr(FREE), 0);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00009f00);
    check("VERR of conforming code, any RPL", verr(FREE | 3), 1);
    check("VERW of code", verw(FREE), 0);
    check("VERR of a TSS", verr(TASK), 0);
    gdt[FREE / 8] = descriptor(0, 0x1234, 0x00001300);
    check("VERR does not look at P", verr(FREE), 1);
}

static void loads(void) {
    check("DS null", attempted(load_ds, 0), 0);
    check("access through null DS and ES", attempted(through_ds, gdt), 0);
    check("DS null with RPL 3", attempted(load_ds, (void *)3), 0);
    check("SS null in ring 0", attempted(load_ss, 0), 0);
    check("SS null, RPL 3 in ring 0", attempted(load_ss, (void *)3), GP(0));
    check("SS null in ring 3", as_user(load_ss, (void *)3), GP(0));
    check("SS, RPL not CPL", attempted(load_ss, (void *)(DATA | 1)), GP(DATA));
    check("SS, DPL not CPL", attempted(load_ss, (void *)USER_DATA), GP(USER_DATA));
    check("DS of ring 0 in ring 3", as_user(load_ds, (void *)DATA), GP(DATA));
    check("FS of ring 3 in ring 3", as_user(load_fs, (void *)(USER_DATA | 3)), 0);
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09f00);
    check("DS with conforming code, RPL 3", as_user(load_ds, (void *)(FREE | 3)), 0);
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09900);
    check("DS with code that cannot be read", attempted(load_ds, (void *)FREE), GP(FREE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09200);
    attempted(load_ds, (void *)FREE);
    check("a load sets the accessed bit", gdt[FREE / 8] >> 40 & 1, 1);
    asm volatile("mov %0, %%ds" : : "r"(DATA));
    // LDT.
    ldt[1] = descriptor(0x1000, 0xfffff, FLAT_DATA);
    gdt[FREE / 8] = descriptor((u32)(word)ldt, 15, 0x8200);
    gdt[FREE / 8 + 1] = 0;
    check("LLDT", attempted(lldt, (void *)FREE), 0);
    check("FS from the LDT", attempted(load_fs, (void *)12), 0);
    check("its base", rdmsr(0xc0000100), 0x1000);
    check("beyond the LDT's limit", attempted(load_fs, (void *)(16 | 4)), GP(16 | 4));
    check("LLDT null", attempted(lldt, 0), 0);
    check("LDT selector without an LDT", attempted(load_fs, (void *)12), GP(12));
    gdt[FREE / 8] = descriptor((u32)(word)ldt, 15, 0x0200);
    check("LLDT not present", attempted(lldt, (void *)FREE), EXCEPTION(11, FREE));
    check("LLDT of a TSS", attempted(lldt, (void *)TASK), GP(TASK));
    check("LLDT with an LDT selector", attempted(lldt, (void *)12), GP(12));
    check("LLDT in ring 3", as_user(lldt, 0), GP(0));
    check("LTR busy", attempted(ltr, (void *)TASK), GP(TASK));
    check("LTR in ring 3", as_user(ltr, (void *)TASK), GP(0));
    check("LTR null", attempted(ltr, 0), GP(0));
    gdt[TASK / 8] &= ~(2ull << 40); // QEMU has loaded it: back to the good one
    // Bases that are not canonical.
    u64 upper = gdt[TASK / 8 + 1];
    gdt[TASK / 8 + 1] = 0x00010000;
    check("LTR, base not canonical", attempted(ltr, (void *)TASK), GP(TASK));
    check("LTR, base not canonical: not busy", gdt[TASK / 8] >> 41 & 1, 0);
    gdt[TASK / 8] &= ~(2ull << 40);
    gdt[TASK / 8 + 1] = upper;
    load_task();
    gdt[FREE / 8] = descriptor((u32)(word)ldt, 15, 0x8200);
    gdt[FREE / 8 + 1] = 0xffff7fff;
    check("LLDT, base not canonical", attempted(lldt, (void *)FREE), GP(FREE));
    gdt[FREE / 8 + 1] = 0;
    struct table bad = {0xff, 1ul << 48};
    check("LGDT, base not canonical", attempted(lgdt_bad, &bad), GP(0));
    check("LGDT in ring 3", as_user(lgdt_bad, AS_USER(&bad)), GP(0));
    check("PUSH ES is no instruction", attempted(push_es, 0), EXCEPTION(6, 0));
    check("direct far CALL is no instruction", attempted(direct_far, 0), EXCEPTION(6, 0));
    // UMIP.
    check("SLDT in ring 3", as_user(sldt, 0), 0);
    check("SMSW in ring 3", as_user(smsw, 0), 0);
    check("SGDT in ring 3", as_user(sgdt, 0), 0);
    if (cpuid(7, 0).c >> 2 & 1) {
        set_cr4(get_cr4() | 1 << 11);
        check("UMIP SLDT", as_user(sldt, 0), GP(0));
        check("UMIP STR", as_user(str, 0), GP(0));
        check("UMIP SMSW", as_user(smsw, 0), GP(0));
        check("UMIP SGDT", as_user(sgdt, 0), GP(0));
        check("UMIP SIDT", as_user(sidt, 0), GP(0));
        check("UMIP in ring 0", attempted(sldt, 0), 0);
        set_cr4(get_cr4() & ~(1ul << 11));
    }
}

static void bases(void) {
    asm volatile("mov %0, %%fs; mov %0, %%gs" : : "r"(0));
    wrmsr(0xc0000101, 0x1111);
    wrmsr(0xc0000102, 0xffff800000002222);
    asm volatile("swapgs");
    check("SWAPGS: GS base", rdmsr(0xc0000101), 0xffff800000002222);
    check("SWAPGS: kernel GS base", rdmsr(0xc0000102), 0x1111);
    check("SWAPGS in ring 3", as_user(swap3, 0), GP(0));
    static u64 value = 0x4142434445464748;
    wrmsr(0xc0000100, (word)&value - 0x100);
    u64 got;
    asm volatile("mov %%fs:0x100, %0" : "=r"(got));
    check("access by FS", got, value);
    asm volatile("mov %%fs:(%1), %0" : "=r"(got) : "r"(0x100ull));
    check("access by FS and a register", got, value);
    wrmsr(0xc0000100, 0);
    if (!(cpuid(7, 0).b & 1)) return;
    check("RDFSBASE without FSGSBASE", attempted(read_fs_base, 0), EXCEPTION(6, 0));
    set_cr4(get_cr4() | 1 << 16);
    check("WRFSBASE", attempted(write_fs_base, (void *)0x7fff12345678), 0);
    check("FS base", rdmsr(0xc0000100), 0x7fff12345678);
    check("WRFSBASE not canonical", attempted(write_fs_base, (void *)(1ul << 47)), GP(0));
    check("WRFSBASE in ring 3", as_user(write_fs_base, (void *)0x1000), 0);
    check("RDFSBASE in ring 3", as_user(read_fs_base, 0), 0);
    u64 low;
    asm volatile("wrgsbase %1; rdgsbase %k0" : "=r"(low) : "r"(0x123456789abcull));
    check("RDGSBASE of 32 bits", low, 0x56789abc);
    asm volatile("wrgsbase %k0" : : "r"(0x123456789abcull));
    check("WRGSBASE of 32 bits", rdmsr(0xc0000101), 0x56789abc);
    set_cr4(get_cr4() & ~(1ul << 16));
    wrmsr(0xc0000101, 0);
}

// Far transfers: where they arrive is noted in `seen`.
u64 seen[8];
extern u8 arrive64[], arrive32[], arrive_gate[], user32[], user32_done[];
asm(".pushsection .text.pieces, \"ax\"\n"
    "arrive64: mov %cs, %eax\n mov %rax, seen\n mov %rsp, seen + 8\n int $0x30\n"
    "arrive_gate: mov %cs, %eax\n mov %rax, seen\n mov %rsp, seen + 8\n mov %ss, %eax\n mov %rax, seen + 16\n"
    " mov (%rsp), %rax\n mov %rax, seen + 24\n mov 8(%rsp), %rax\n mov %rax, seen + 32\n"
    " mov 16(%rsp), %rax\n mov %rax, seen + 40\n mov 24(%rsp), %rax\n mov %rax, seen + 48\n lretq\n"
    ".code32\n"
    "arrive32: mov %cs, %eax\n mov %eax, seen\n xor %eax, %eax\n dec %eax\n inc %eax\n mov %eax, seen + 8\n int $0x30\n"
    ".code64\n.popsection");
struct __attribute__((packed)) far64 { u64 offset; u16 selector; };
struct __attribute__((packed)) far32 { u32 offset; u16 selector; };

static void set_call_gate(u16 at, void *target, u16 selector, u32 flags) {
    word offset = (word)target;
    gdt[at / 8] = (offset & 0xffff) | (u64)selector << 16 | (u64)flags << 32 | (u64)(offset >> 16 & 0xffff) << 48;
    gdt[at / 8 + 1] = offset >> 32;
}

static void transfers(void) {
    struct far64 to = {(word)arrive64, CODE};
    check("far JMP to 64-bit code", attempted(far_jump, &to), 0);
    check("its CS", seen[0], CODE);
    to.selector = CODE | 3;
    check("far JMP, RPL above CPL", attempted(far_jump, &to), GP(CODE));
    to.selector = USER_CODE | 3;
    check("far JMP to an outer ring", attempted(far_jump, &to), GP(USER_CODE));
    to.selector = 0;
    check("far JMP, null", attempted(far_jump, &to), GP(0));
    to.selector = DATA;
    check("far JMP to data", attempted(far_jump, &to), GP(DATA));
    to = (struct far64){1ul << 47, CODE};
    check("far JMP not canonical", attempted(far_jump, &to), GP(0));
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 & ~0x8000);
    to = (struct far64){(word)arrive64, FREE};
    check("far JMP, not present", attempted(far_jump, &to), EXCEPTION(11, FREE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 | 0x00400000);
    check("far JMP, L and D", attempted(far_jump, &to), GP(FREE));
    to = (struct far64){(word)arrive32, CODE32};
    check("far JMP to compatibility mode", attempted(far_jump, &to), 0);
    check("its CS is 32-bit code", seen[0], CODE32);
    check("DEC and INC are single bytes there", seen[1], 0);
    gdt[CODE32 / 8] = descriptor(0, 0xff, 0x00409b00);
    check("far JMP beyond the limit", attempted(far_jump, &to), GP(0));
    gdt[CODE32 / 8] = descriptor(0, 0xfffff, FLAT_CODE32);
    // Conforming code: CPL stays.
    gdt[FREE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 | 0x400);
    static struct far64 conforming;
    conforming = (struct far64){(word)AS_USER(arrive64), FREE};
    seen[0] = 0;
    u64 outcome = as_user(far_jump, AS_USER(&conforming));
    check("conforming code from ring 3: stays in ring 3", outcome, EXCEPTION(14, 7));
    check("its CS has RPL 3", trap.cs, FREE | 3);
    // Call gates.
    static struct far64 gate;
    gate.selector = FREE + 16;
    set_call_gate(FREE + 16, arrive_gate, CODE, 0xec00);
    check("call gate from ring 0", attempted(far_call, &gate), 0);
    check("call gate: CS", seen[0], CODE);
    check("call gate: return CS", seen[4], CODE);
    check("call gate: return RIP", seen[3], (word)far_call_at + 3);
    check("call gate from ring 3", as_user(far_call, AS_USER(&gate)), 0);
    check("call gate from ring 3: CS", seen[0], CODE);
    check("call gate from ring 3: RSP", seen[1], (word)kernel_stack + sizeof kernel_stack - 32);
    check("call gate from ring 3: SS is null", seen[2], 0);
    check("call gate from ring 3: return RIP", seen[3], (word)AS_USER(far_call_at) + 3);
    check("call gate from ring 3: return CS", seen[4], USER_CODE | 3);
    check("call gate from ring 3: return RSP", seen[5], (word)user_stack_top);
    check("call gate from ring 3: return SS", seen[6], USER_DATA | 3);
    check("far JMP through a gate to an inner ring", as_user(far_jump, AS_USER(&gate)), GP(CODE));
    set_call_gate(FREE + 16, arrive_gate, CODE, 0x8c00);
    check("call gate, DPL 0 from ring 3", as_user(far_call, AS_USER(&gate)), GP(FREE + 16));
    set_call_gate(FREE + 16, arrive_gate, CODE, 0x6c00);
    check("call gate, not present", as_user(far_call, AS_USER(&gate)), EXCEPTION(11, FREE + 16));
    set_call_gate(FREE + 16, arrive_gate, CODE32, 0xec00);
    check("call gate to 32-bit code", as_user(far_call, AS_USER(&gate)), GP(CODE32));
    set_call_gate(FREE + 16, arrive_gate, CODE, 0xec00);
    gdt[FREE / 8 + 3] |= 1ull << 40;
    check("call gate, type in the upper half", as_user(far_call, AS_USER(&gate)), GP(FREE + 16));
    set_call_gate(FREE + 16, (void *)(1ul << 47), CODE, 0xec00);
    check("call gate, target not canonical", as_user(far_call, AS_USER(&gate)), GP(0));
    gate.selector = TASK;
    check("far CALL to a TSS in IA-32e mode", attempted(far_call, &gate), GP(TASK));
}

// IRET and far RET.
CODE_PIECE(iret_frame, "mov %rdi, %rsp\n" AT(iret_frame) "iretq");
CODE_PIECE(ret_frame, "mov %rdi, %rsp\n" AT(ret_frame) "lretq");
static void returns(void) {
    static u64 f[8];
#define FRAME(rip, cs, fl, rsp, ss) (f[0] = (word)(rip), f[1] = (cs), f[2] = (fl), f[3] = (word)(rsp), f[4] = (ss), (void *)f)
    void *stack = other_stack + sizeof other_stack;
    check("IRET to the same ring takes RSP", attempted(iret_frame, FRAME(arrive64, CODE, 2, stack, DATA)), 0);
    check("its RSP", seen[1], (word)stack);
    check("IRET, SS null in ring 0", attempted(iret_frame, FRAME(arrive64, CODE, 2, stack, 0)), 0);
    check("IRET, CS null", attempted(iret_frame, FRAME(arrive64, 0, 2, stack, DATA)), GP(0));
    check("IRET, CS data", attempted(iret_frame, FRAME(arrive64, DATA, 2, stack, DATA)), GP(DATA));
    check("IRET, SS of another ring", attempted(iret_frame, FRAME(arrive64, CODE, 2, stack, USER_DATA | 3)), GP(USER_DATA));
    check("IRET, SS null in ring 3", attempted(iret_frame, FRAME(arrive64, USER_CODE | 3, 2, stack, 3)), GP(0));
    check("IRET, RIP not canonical", attempted(iret_frame, FRAME(1ul << 47, CODE, 2, stack, DATA)), GP(0));
    check("IRET with NT in IA-32e mode", (f[2] = 2, attempted(iret_frame, FRAME(arrive64, CODE, 2, stack, DATA))), 0);
    CODE_PIECE(iret_nt, "push $0x4002\n popf\n" AT(iret_nt) "iretq");
    check("IRET with NT", attempted(iret_nt, 0), GP(0));
    set_flags(2);
    CODE_PIECE(iret_inner, "push $0\n push %rsp\n pushf\n push $8\n push $0x100000\n" AT(iret_inner) "iretq");
    check("IRET to an inner ring", as_user(iret_inner, 0), GP(8));
    check("far RET to ring 0", attempted(ret_frame, FRAME(arrive64, CODE, 0, 0, 0)), 0);
    // To ring 3: segments of ring 0 become null on the way.
    CODE_PIECE(in_ring3, "mov %ds, %eax\n mov %es, %ecx\n mov %cs, %edx\n" AT(in_ring3) "hlt");
    asm volatile("mov %0, %%ds; mov %1, %%es" : : "r"(DATA), "r"(USER_DATA | 3));
    f[0] = (word)AS_USER(in_ring3);
    f[1] = USER_CODE | 3;
    f[2] = (word)AS_USER(stack);
    f[3] = USER_DATA | 3;
    check("far RET to ring 3", attempted(ret_frame, f), GP(0));
    check("far RET to ring 3: RIP", trap.rip, (word)AS_USER(in_ring3_at));
    check("far RET to ring 3: RSP", trap.rsp, (word)AS_USER(stack));
    check("far RET to ring 3: DS is null", trap.rax, 0);
    check("far RET to ring 3: ES stays", trap.rcx, USER_DATA | 3);
    check("far RET to ring 3: CS", trap.rdx, USER_CODE | 3);
    // Null selectors lose their RPL on the way; the base of FS stays.
    CODE_PIECE(nulls_ring3, "mov %ds, %eax\n mov %es, %ecx\n mov %fs, %edx\n" AT(nulls_ring3) "hlt");
    asm volatile("mov %0, %%ds; mov %1, %%es; mov %0, %%fs" : : "r"(3), "r"(2));
    wrmsr(0xc0000100, 0x1000);
    f[0] = (word)AS_USER(nulls_ring3);
    check("far RET to ring 3, null segments", attempted(ret_frame, f), GP(0));
    check("far RET to ring 3: DS null with RPL 3", trap.rax, 0);
    asm volatile("mov %0, %%ds; mov %1, %%es; mov %0, %%fs" : : "r"(3), "r"(2));
    wrmsr(0xc0000100, 0x1000);
    check("IRET to ring 3, null segments", attempted(iret_frame, FRAME(AS_USER(nulls_ring3), USER_CODE | 3, 2, AS_USER(stack), USER_DATA | 3)), GP(0));
    check("IRET to ring 3: DS null with RPL 3", trap.rax, 0);
    check("IRET to ring 3: ES null with RPL 2", trap.rcx, 0);
    check("IRET to ring 3: FS null with RPL 3", trap.rdx, 0);
    check("IRET to ring 3: base of FS", rdmsr(0xc0000100), 0x1000);
    wrmsr(0xc0000100, 0);
    // Compatibility mode in ring 3: 32-bit stack, addresses wrap at 4 GiB.
    extern u8 user32_piece[], user32_piece_at[];
    asm(".pushsection .text.pieces, \"ax\"\n.code32\n.globl user32_piece, user32_piece_at\n"
        "user32_piece: push $0x12345678\n pop %eax\n mov $0x7ffffff0, %ebx\n lea 0x7fffffff(%ebx), %ecx\n"
        " mov $0x40000000, %edx\n .byte 0x48\n user32_piece_at: hlt\n.code64\n.popsection");
    user_code = USER_CODE32 | 3;
    check("compatibility mode in ring 3", as_user((void (*)(void))user32_piece, 0), GP(0));
    check("compatibility mode: RIP", trap.rip, (word)AS_USER(user32_piece_at));
    check("compatibility mode: PUSH and POP", trap.rax, 0x12345677);
    check("compatibility mode: LEA wraps", trap.rcx, 0xffffffef);
    check("compatibility mode: CS", trap.cs, USER_CODE32 | 3);
    // INT n and SYSENTER-less ways back are those of 64-bit mode; the limit of CS counts.
    gdt[USER_CODE32 / 8] = descriptor(0x40000000, 0xfffff, FLAT_CODE32 | DPL(3));
    gdt[FREE / 8] = descriptor(0x40000000, 0xff, 0x0040f300);
    extern u8 limited[], limited_at[];
    asm(".pushsection .text.pieces, \"ax\"\n.code32\n.globl limited, limited_at\n"
        "limited: mov $0x53, %eax\n mov %eax, %fs\n mov %fs:0xfc, %ecx\n limited_at: mov %fs:0xfd, %ecx\n hlt\n.code64\n.popsection");
    user_code = USER_CODE | 3;
    static struct far64 to32;
    to32 = (struct far64){(word)limited, USER_CODE32 | 3};
    check("FS limit in compatibility mode", as_user(far_jump, AS_USER(&to32)), GP(0));
    check("FS limit: EIP within a code segment with a base", trap.rip, (word)limited_at);
    gdt[USER_CODE32 / 8] = descriptor(0, 0xfffff, FLAT_CODE32 | DPL(3));
    // 64-bit mode has no limits.
    gdt[FREE / 8] = descriptor(0, 0xff, 0x0040f300);
    CODE_PIECE(no_limit, "mov $0x53, %eax\n mov %eax, %fs\n mov %fs:(%rdi), %eax");
    check("FS limit in 64-bit mode", as_user(no_limit, AS_USER(gdt)), 0);
}

int main(void) {
    inspection();
    loads();
    bases();
    transfers();
    returns();
    return 0;
}
