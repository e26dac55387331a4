// Segmentation in 32-bit protected mode: limits, expand-down, rights, call gates with parameters,
// far transfers between rings, the LDT, ARPL, 16-bit code and stacks. QEMU checks no limits.
#include "guest.h"

extern u8 trap_stubs[];
#define GP(error) EXCEPTION(13, error)
#define SS_(error) EXCEPTION(12, error)
#define PIECE(name, code) CODE_PIECE(name, AT(name) code)
static u64 ldt[8] __attribute__((aligned(8)));
u32 area[1024] __attribute__((aligned(4096)));
u32 seen[16];

// FS is the segment under test, EDI the offset.
PIECE(load_byte, "mov %fs:(%edi), %al");
PIECE(load_word, "mov %fs:(%edi), %ax");
PIECE(load_long, "mov %fs:(%edi), %eax");
PIECE(save_byte, "mov %al, %fs:(%edi)");
PIECE(save_long, "mov %eax, %fs:(%edi)");
PIECE(modify_long, "incl %fs:(%edi)");
PIECE(locked, "lock incl %fs:(%edi)");
PIECE(float_long, "flds %fs:(%edi)");
CODE_PIECE(string_long, "mov %edi, %esi\n mov $area, %edi\n cld\n" AT(string_long) "fs lodsl");
CODE_PIECE(string_store, "push %es\n mov %fs, %eax\n mov %eax, %es\n" AT(string_store) "stosl\n pop %es");
CODE_PIECE(through_cs, AT(through_cs) "mov %eax, %cs:(%edi)");
PIECE(take_fs, "mov %edi, %fs");
PIECE(take_ss, "mov %edi, %ss");
PIECE(take_ds, "mov %edi, %ds");

static void use(u64 d) {
    gdt[FREE / 8] = d;
    asm volatile("mov %0, %%fs" : : "r"(FREE) : "memory");
}
static u32 linear(void *p) { return (u32)p; }

static void limits(void) {
    // Twice each, so that nothing remembered of the page hides the limit.
    use(descriptor(linear(area), 99, 0x00409300));
    for (int round = 0; round < 2; round++) {
        check("last byte", attempted(load_byte, (void *)99), 0);
        check("last doubleword", attempted(load_long, (void *)96), 0);
        check("byte behind the limit", attempted(load_byte, (void *)100), GP(0));
        check("word over the limit", attempted(load_word, (void *)99), GP(0));
        check("doubleword over the limit", attempted(load_long, (void *)97), GP(0));
        check("store over the limit", attempted(save_long, (void *)97), GP(0));
        check("INC over the limit", attempted(modify_long, (void *)97), GP(0));
        check("LOCK INC over the limit", attempted(locked, (void *)97), GP(0));
        check("FLD over the limit", attempted(float_long, (void *)97), GP(0));
        check("LODS over the limit", attempted(string_long, (void *)97), GP(0));
        check("STOS over the limit", attempted(string_store, (void *)97), GP(0));
        check("offset -1", attempted(load_byte, (void *)-1), GP(0));
    }
    check("address of a limit fault", trap.rip, (word)load_byte_at);
    use(descriptor(linear(area), 0, 0x00c09300));
    check("page granular: last byte", attempted(load_byte, (void *)4095), 0);
    check("page granular: behind", attempted(load_byte, (void *)4096), GP(0));
    use(descriptor(linear(area), 99, 0x00409700));
    for (int round = 0; round < 2; round++) {
        check("expand-down: at the limit", attempted(load_byte, (void *)99), GP(0));
        check("expand-down: above the limit", attempted(load_byte, (void *)100), 0);
        check("expand-down: over the limit", attempted(load_long, (void *)98), GP(0));
        check("expand-down: store below", attempted(save_byte, (void *)0), GP(0));
    }
    use(descriptor(linear(area), 99, 0x00009700));
    check("expand-down, 16-bit: last", attempted(load_byte, (void *)0xffff), 0);
    check("expand-down, 16-bit: beyond 64 KiB", attempted(load_byte, (void *)0x10000), GP(0));
    use(descriptor(linear(area), 99, 0x00409100));
    check("read-only: read", attempted(load_long, 0), 0);
    check("read-only: write", attempted(save_byte, 0), GP(0));
    check("read-only: INC", attempted(modify_long, 0), GP(0));
    use(descriptor(linear(area), 99, 0x00409b00));
    check("readable code as data: read", attempted(load_long, 0), 0);
    check("readable code as data: write", attempted(save_byte, 0), GP(0));
    asm volatile("mov %0, %%fs" : : "r"(0));
    check("null selector: load is allowed", attempted(take_fs, (void *)3), 0);
    check("null selector: access", attempted(load_byte, 0), GP(0));
    check("write through CS", attempted(through_cs, area), GP(0));
    check("SS null", attempted(take_ss, 0), GP(0));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09100);
    check("SS read-only", attempted(take_ss, (void *)FREE), GP(FREE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c01300);
    check("SS not present", attempted(take_ss, (void *)FREE), SS_(FREE));
    check("DS not present", attempted(take_ds, (void *)FREE), EXCEPTION(11, FREE));
    check("DS of ring 0 in ring 3", as_user(take_ds, (void *)DATA), GP(DATA));
    // The stack's limit.
    gdt[FREE / 8] = descriptor(linear(area), 99, 0x00409300);
    // From ring 3, so that #SS has a stack to arrive on.
    gdt[FREE / 8] |= (u64)DPL(3) << 32;
    CODE_PIECE(push_limit3, "mov $0x53, %eax\n mov %eax, %ss\n mov %edi, %esp\n" AT(push_limit3) "push %eax");
    CODE_PIECE(pop_limit3, "mov $0x53, %eax\n mov %eax, %ss\n mov %edi, %esp\n" AT(pop_limit3) "pop %eax");
    CODE_PIECE(ebp_limit3, "mov $0x53, %eax\n mov %eax, %ss\n mov %edi, %ebp\n" AT(ebp_limit3) "mov (%ebp), %eax");
    for (int round = 0; round < 2; round++) {
        check("PUSH within the limit", as_user(push_limit3, (void *)100), 0);
        check("PUSH over the limit", as_user(push_limit3, (void *)104), SS_(0));
        check("PUSH below 0", as_user(push_limit3, (void *)2), SS_(0));
        check("POP over the limit", as_user(pop_limit3, (void *)98), SS_(0));
        check("operand by EBP over the limit", as_user(ebp_limit3, (void *)98), SS_(0));
    }
}

// Code segments.
struct __attribute__((packed)) far { u32 offset; u16 selector; };
PIECE(far_jump, "ljmp *(%edi)");
PIECE(far_call, "lcall *(%edi)");
asm(".pushsection .text.pieces, \"ax\"\n.globl note_here, note_end, limited_code, limited_at, limited_jump, limited_call, gate_target\n"
    "note_here: mov %cs, seen\n mov %ss, seen + 4\n mov %esp, seen + 8\n int $0x30\nnote_end:\n"
    "limited_code: nop\n nop\n nop\n limited_at: mov $1, %eax\n int $0x30\n"
    "limited_jump: jmp note_here\n limited_call: call note_here\n"
    "gate_target: mov %ss, %eax\n mov %eax, seen\n mov %esp, seen + 4\n mov %cs, %eax\n mov %eax, seen + 8\n mov (%esp), %eax\n mov %eax, seen + 12\n"
    " mov 4(%esp), %eax\n mov %eax, seen + 16\n mov 8(%esp), %eax\n mov %eax, seen + 20\n mov 12(%esp), %eax\n"
    " mov %eax, seen + 24\n mov 16(%esp), %eax\n mov %eax, seen + 28\n mov 20(%esp), %eax\n mov %eax, seen + 32\n"
    " lret $8\n.popsection");
extern u8 note_here[], note_end[], limited_code[], limited_at[], limited_jump[], limited_call[], gate_target[];
static struct far target;
static void *to(void *offset, u16 selector) {
    target = (struct far){(u32)offset, selector};
    return &target;
}

static void code_segments(void) {
    // A code segment that ends inside an instruction, in two places.
    for (int round = 0; round < 2; round++) {
        word at = (word)(limited_at - limited_code);
        gdt[FREE / 8] = descriptor(linear(limited_code), at + 3, 0x00409b00);
        check("instruction over the limit of CS", attempted(far_jump, to(0, FREE)), GP(0));
        check("it faults at itself", trap.rip, at);
        gdt[FREE / 8] = descriptor(linear(limited_code), at + 6, 0x00409b00);
        check("instruction at the limit of CS", attempted(far_jump, to(0, FREE)), 0);
        gdt[FREE / 8] = descriptor(linear(limited_code), 100, 0x00409b00);
        check("far JMP over the limit", attempted(far_jump, to((void *)101, FREE)), GP(0));
        check("it faults at the JMP", trap.rip, (word)far_jump_at);
        // JMP and CALL behind the limit fault at themselves, and CALL pushes nothing.
        gdt[FREE / 8] = descriptor(linear(limited_jump), 20, 0x00409b00);
        check("JMP over the limit", attempted(far_jump, to(0, FREE)), GP(0));
        check("JMP over the limit: where", trap.rip, 0);
        check("CALL over the limit", attempted(far_jump, to((void *)(limited_call - limited_jump), FREE)), GP(0));
        check("CALL over the limit: where", trap.rip, (word)(limited_call - limited_jump));
    }
    // Conforming and not, from ring 3.
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09f00);
    check("JMP to conforming code of ring 0 in ring 3", as_user(far_jump, to(note_here, FREE)), 0);
    check("its CS", seen[0], FREE | 3);
    check("JMP to ring 0 in ring 3", as_user(far_jump, to(note_here, CODE)), GP(CODE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09b00 | DPL(3));
    check("JMP to ring 3 in ring 0", attempted(far_jump, to(note_here, FREE)), GP(FREE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09f00 | DPL(3));
    check("JMP to conforming code of ring 3 in ring 0", attempted(far_jump, to(note_here, FREE)), GP(FREE));
    check("JMP to data", attempted(far_jump, to(note_here, DATA)), GP(DATA));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c01b00);
    check("JMP to code not present", attempted(far_jump, to(note_here, FREE)), EXCEPTION(11, FREE));
    // Through the LDT.
    ldt[2] = descriptor(0, 0xfffff, FLAT_CODE32);
    gdt[FREE / 8] = descriptor(linear(ldt), sizeof ldt - 1, 0x8200);
    load_ldt(FREE);
    check("JMP through the LDT", attempted(far_jump, to(note_here, 2 * 8 + 4)), 0);
    check("its CS is of the LDT", seen[0], 2 * 8 + 4);
    check("beyond the LDT", attempted(far_jump, to(note_here, 8 * 8 + 4)), GP(8 * 8 + 4));
    load_ldt(0);
}

// Call gates: EDX, ECX as parameters.
CODE_PIECE(call_gate, "mov %esp, %ebx\n push $0x11111111\n push $0x22222222\n" AT(call_gate) "lcall $0x60, $0\n.globl after_gate\nafter_gate:"
    " sub %esp, %ebx\n mov %ebx, seen + 48\n mov %cs, seen + 52\n mov %ss, seen + 56\n");
extern u8 after_gate[];
PIECE(jump_gate, "ljmp $0x60, $0");
static void set_call_gate(void *code, u16 selector, u32 flags, u32 count) {
    gdt[0x60 / 8] = (linear(code) & 0xffff) | (u64)selector << 16 | (u64)count << 32 | (u64)flags << 32
        | (u64)(linear(code) >> 16) << 48;
}

static void call_gates(void) {
    extern u8 user_stack[];
    set_call_gate(gate_target, CODE, 0xec00, 2);
    check("gate to the same ring", attempted(call_gate, 0), 0);
    check("same ring: return address", seen[3], (word)after_gate);
    check("same ring: return CS", seen[4], CODE);
    check("same ring: parameters stay on the stack", seen[5], 0x22222222);
    check("same ring: RET drops 8 bytes", seen[12], 0);
    check("gate from ring 3", as_user(call_gate, 0), 0);
    check("ring 3: SS", seen[0], DATA);
    check("ring 3: ESP", seen[1], linear(kernel_stack) + sizeof kernel_stack - 24);
    check("ring 3: CS", seen[2], CODE);
    check("ring 3: return EIP", seen[3], (word)after_gate);
    check("ring 3: return CS", seen[4], USER_CODE | 3);
    check("ring 3: second parameter", seen[5], 0x22222222);
    check("ring 3: first parameter", seen[6], 0x11111111);
    check("ring 3: ESP of ring 3", seen[7], linear(user_stack_top) - 8);
    check("ring 3: SS of ring 3", seen[8], USER_DATA | 3);
    check("ring 3: RET drops 8 bytes there too", seen[12], 0);
    check("ring 3: back in ring 3", seen[13], USER_CODE | 3);
    check("ring 3: back on its stack", seen[14], USER_DATA | 3);
    check("JMP through a gate to ring 0 from ring 3", as_user(jump_gate, 0), GP(CODE));
    set_call_gate(gate_target, CODE, 0x8c00, 2);
    check("gate, DPL 0", as_user(call_gate, 0), GP(0x60));
    set_call_gate(gate_target, CODE, 0x6c00, 2);
    check("gate not present", as_user(call_gate, 0), EXCEPTION(11, 0x60));
    set_call_gate(gate_target, 0, 0xec00, 2);
    check("gate to null", as_user(call_gate, 0), GP(0));
    set_call_gate(gate_target, DATA, 0xec00, 2);
    check("gate to data", as_user(call_gate, 0), GP(DATA));
    set_call_gate(gate_target, CODE, 0xec00, 2);
    // 16-bit gates push words.
    extern u8 gate16_target[];
    asm(".pushsection .text.pieces, \"ax\"\n.globl gate16_target\ngate16_target: mov %esp, seen\n mov (%esp), %eax\n mov %eax, seen + 4\n"
        " mov 4(%esp), %eax\n mov %eax, seen + 8\n int $0x30\n.popsection");
    gdt[FREE / 8] = descriptor(linear(gate16_target) & ~0xfffu, 0xfffff, FLAT_CODE32);
    set_call_gate((void *)(linear(gate16_target) & 0xfff), FREE, 0xe400, 1);
    check("16-bit gate", as_user(call_gate, 0), 0);
    check("16-bit gate: ESP", seen[0], linear(kernel_stack) + sizeof kernel_stack - 10);
    check("16-bit gate: return IP and CS", seen[1], (linear(after_gate) & 0xffff) | (USER_CODE | 3) << 16);
    check("16-bit gate: parameter and SP", seen[2], 0x2222 | (linear(user_stack_top) - 8) << 16);
}

// Returns to rings 1 and 3 from made frames.
CODE_PIECE(iret_frame, "mov %edi, %esp\n" AT(iret_frame) "iret");
CODE_PIECE(lret_frame, "mov %edi, %esp\n" AT(lret_frame) "lret");
PIECE(in_ring, "mov %ds, %eax\n mov %es, %ecx\n mov %cs, %edx");
static void returns(void) {
    static u32 f[8];
    static u8 stack[256];
#define FRAME(ip, cs, fl, sp, ss) (f[0] = (u32)(ip), f[1] = (cs), f[2] = (fl), f[3] = (u32)(sp), f[4] = (ss), (void *)f)
#define RET(ip, cs, sp, ss) (f[0] = (u32)(ip), f[1] = (cs), f[2] = (u32)(sp), f[3] = (ss), (void *)f)
    gdt[0x60 / 8] = descriptor(0, 0xfffff, FLAT_CODE32 | DPL(1));
    gdt[0x68 / 8] = descriptor(0, 0xfffff, FLAT_DATA | DPL(1));
    check("IRET to ring 1", attempted(iret_frame, FRAME(in_ring, 0x61, 2, stack + 256, 0x69)), 0);
    check("ring 1: CS", trap.cs, 0x61);
    check("ring 1: SS", trap.ss, 0x69);
    check("ring 1: ESP", trap.rsp, (word)(stack + 256));
    check("ring 1: DS of ring 0 is null", trap.rax, 0);
    check("RET to ring 1", attempted(lret_frame, RET(in_ring, 0x61, stack + 256, 0x69)), 0);
    check("IRET, RPL below CPL", as_user(iret_frame, FRAME(in_ring, CODE, 2, stack + 256, DATA)), GP(CODE));
    check("IRET, CS RPL not DPL", attempted(iret_frame, FRAME(in_ring, 0x63, 2, stack + 256, 0x69)), GP(0x60));
    check("IRET, SS RPL not CS RPL", attempted(iret_frame, FRAME(in_ring, 0x61, 2, stack + 256, USER_DATA | 3)), GP(USER_DATA));
    check("IRET, SS null", attempted(iret_frame, FRAME(in_ring, 0x61, 2, stack + 256, 0)), GP(0));
    check("IRET, EIP over the limit", (gdt[0x60 / 8] = descriptor(0, 0xfff, 0x00409b00 | DPL(1)), attempted(iret_frame, FRAME(in_ring, 0x61, 2, stack + 256, 0x69))), GP(0));
    gdt[0x68 / 8] = descriptor(0, 0xfffff, (FLAT_DATA & ~0x8000) | DPL(1));
    gdt[0x60 / 8] = descriptor(0, 0xfffff, FLAT_CODE32 | DPL(1));
    check("IRET, SS not present", attempted(iret_frame, FRAME(in_ring, 0x61, 2, stack + 256, 0x69)), SS_(0x68));
    // IOPL and IF: ring 3 cannot change them by IRET.
    user_flags = 0x1202;
    CODE_PIECE(iret_flags, "mov %edi, %esp\n iret");
    CODE_PIECE(tell_flags, "pushf\n pop %eax");
    as_user(iret_flags, FRAME(tell_flags, USER_CODE | 3, 0x3002, stack + 256, USER_DATA | 3));
    check("IRET in ring 3: IOPL and IF stay", trap.rax & 0x3200, 0x1200);
    CODE_PIECE(popf_ring3, "push $0x4d5\n popf\n pushf\n pop %eax");
    user_flags = 0x202;
    as_user(popf_ring3, 0);
    check("POPF in ring 3: IOPL and IF stay", trap.rax & 0x3fd7, 0x6d7);
    user_flags = 2;
}

static void inspection(void) {
    u16 selector = 0x10;
    u8 zero;
    asm volatile("arpl %w2, %0; setz %1" : "+m"(selector), "=q"(zero) : "r"(3));
    check("ARPL raises", selector, 0x13);
    check("ARPL: ZF", zero, 1);
    asm volatile("arpl %w2, %0; setz %1" : "+m"(selector), "=q"(zero) : "r"(1));
    check("ARPL leaves", selector, 0x13);
    check("ARPL: no ZF", zero, 0);
    u32 rights = 0x55;
    gdt[0x60 / 8] = descriptor(0, 0, 0x8500);
    asm volatile("lar %w2, %0; setz %1" : "+r"(rights), "=q"(zero) : "r"(0x60));
    check("LAR of a task gate", zero, 1);
    check("LAR of a task gate: rights", rights, 0x8500);
    gdt[0x60 / 8] = descriptor(0, 43, 0x8100);
    asm volatile("lsl %w2, %0; setz %1" : "+r"(rights), "=q"(zero) : "r"(0x60));
    check("LSL of a 16-bit TSS", rights, 43);
    gdt[0x60 / 8] = descriptor(0, 43, 0x8600);
    asm volatile("lar %w2, %0; setz %1" : "+r"(rights), "=q"(zero) : "r"(0x60));
    check("LAR of an interrupt gate", zero, 0);
}

// 16-bit code and stack: SP wraps, IP is cut, the upper half of ESP stays.
asm(".pushsection .text.pieces, \"ax\"\n.globl code16, code16_back\ncode16:\n.code16\n"
    " movl %esp, %esi\n movw %ss, %cx\n movw $0x70, %ax\n movw %ax, %ss\n movl $0x12340000, %esp\n"
    " pushl $0x55667788\n movl %esp, 0\n popl %eax\n movl %esp, 4\n movl %eax, 8\n"
    " movl $0x12340000, %esp\n pushw $0x99aa\n movl %esp, 12\n popw %ax\n movw %ax, 16\n"
    " call 1f\n 1: popw %ax\n movw %ax, 20\n"
    " movw %cx, %ss\n movl %esi, %esp\n ljmpl $8, $code16_back\n.code32\ncode16_back: int $0x30\n.popsection");
extern u8 code16[];
static void sixteen_bits(void) {
    static u8 stack16[0x10000] __attribute__((aligned(16)));
    gdt[0x70 / 8] = descriptor(linear(stack16), 0xffff, 0x00009300);
    gdt[FREE / 8] = descriptor(linear(code16) & ~0xffu, 0xffff, 0x00009b00);
    // DS begins at `seen`.
    gdt[0x78 / 8] = descriptor(linear(seen), 0xffff, 0x00009300);
    static struct far far16;
    CODE_PIECE(go16, "mov $0x78, %eax\n mov %edi, %ebx\n push %ds\n mov %eax, %ds\n ljmp *%ss:(%ebx)");
    far16 = (struct far){linear(code16) & 0xff, FREE};
    check("16-bit code", attempted(go16, &far16), 0);
    check("SP wraps over 0", seen[0], 0x1234fffc);
    check("SP wraps back", seen[1], 0x12340000);
    check("value over the wrap", seen[2], 0x55667788);
    check("SP from 0", seen[3], 0x1234fffe);
    check("word at the top", seen[4] & 0xffff, 0x99aa);
}

int main(void) {
    limits();
    code_segments();
    call_gates();
    returns();
    inspection();
    sixteen_bits();
    return 0;
}
