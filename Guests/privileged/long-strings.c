// Instructions that are cut short or changed under way: REP and faults, self-modifying code, code over
// pages, ENTER, CMPXCHG16B, and what must not change when an instruction faults.
#include "guest.h"

extern u64 pdpt[512];
static u64 pd_t[512] __attribute__((aligned(4096)));
static u64 pt_t[512] __attribute__((aligned(4096)));
static u8 pages[4][4096] __attribute__((aligned(4096)));
enum { P = 1, W = 2, U = 4 };
#define BASE 0x80000000ul
#define PF(error) EXCEPTION(14, error)
static void map(int slot, u64 entry) {
    pt_t[slot] = entry;
    invlpg((void *)(BASE + 4096ul * slot));
}
static u64 physical(void *p) { return (u64)(word)p; }

u64 regs[4]; // RCX, RSI, RDI, RAX before
#define LOADED "mov regs, %rcx\n mov regs + 8, %rsi\n mov regs + 16, %rdi\n mov regs + 24, %rax\n"
CODE_PIECE(rep_movsb, LOADED AT(rep_movsb) "rep movsb");
CODE_PIECE(rep_movsq, LOADED AT(rep_movsq) "rep movsq");
CODE_PIECE(rep_stosl, LOADED AT(rep_stosl) "rep stosl");
CODE_PIECE(rep_lodsb, LOADED AT(rep_lodsb) "rep lodsb");
CODE_PIECE(rep_scasb, LOADED AT(rep_scasb) "repne scasb");
CODE_PIECE(rep_cmpsw, LOADED AT(rep_cmpsw) "repe cmpsw");
CODE_PIECE(rep_outsb, LOADED "mov $0x3ff, %edx\n" AT(rep_outsb) "rep outsb");
CODE_PIECE(rep_insb, LOADED "mov $0x3fd, %edx\n" AT(rep_insb) "rep insb");
CODE_PIECE(down_movsb, LOADED "std\n" AT(down_movsb) "rep movsb");

static void expect(const char *name, void (*code)(void), void *at, u64 c, void *s, void *d, u64 left, u64 cr2) {
    regs[0] = c;
    regs[1] = (word)s;
    regs[2] = (word)d;
    regs[3] = 0x4141414141414141;
    int ended = attempt(code);
    check(name, ended == 14 && trap.rip == (word)at, 1);
    check("  RCX", trap.rcx, left);
    check("  CR2", trap_cr2, cr2);
}

static void cut_short(void) {
    map(0, physical(pages[0]) | P | W);
    map(1, 0);
    u8 *end = (u8 *)BASE + 4096;
    for (int i = 0; i < 4096; i++) pages[0][i] = (u8)i, pages[2][i] = 0;
    expect("MOVSB: destination", rep_movsb, rep_movsb_at, 100, pages[2], end - 10, 90, (word)end);
    check("  RSI", trap.rsi, (word)pages[2] + 10);
    check("  RDI", trap.rdi, (word)end);
    expect("MOVSB: source", rep_movsb, rep_movsb_at, 100, end - 10, pages[3], 90, (word)end);
    check("  RSI", trap.rsi, (word)end);
    check("  RDI", trap.rdi, (word)pages[3] + 10);
    expect("MOVSQ over the page", rep_movsq, rep_movsq_at, 10, pages[2], end - 12, 9, (word)end);
    check("  RDI", trap.rdi, (word)end - 4);
    pages[0][4092] = 0x99;
    expect("MOVSQ over the page: nothing of it written", rep_movsq, rep_movsq_at, 10, pages[2], end - 4, 10, (word)end);
    check("  byte", pages[0][4092], 0x99);
    expect("STOSL", rep_stosl, rep_stosl_at, 1000, 0, end - 40, 990, (word)end);
    check("  RDI", trap.rdi, (word)end);
    expect("LODSB", rep_lodsb, rep_lodsb_at, 20, end - 5, 0, 15, (word)end);
    check("  AL", trap.rax & 0xff, pages[0][4095]);
    for (int i = 4093; i < 4096; i++) pages[0][i] = 0;
    expect("SCASB", rep_scasb, rep_scasb_at, 20, 0, end - 3, 17, (word)end);
    for (int i = 0; i < 8; i++) pages[2][i] = pages[0][4088 + i] = 7;
    expect("CMPSW", rep_cmpsw, rep_cmpsw_at, 20, pages[2], end - 8, 16, (word)end);
    check("  flags of the last compare: ZF", trap.rflags >> 6 & 1, 1);
    expect("OUTSB", rep_outsb, rep_outsb_at, 6, end - 2, 0, 4, (word)end);
    expect("INSB", rep_insb, rep_insb_at, 6, 0, end - 2, 4, (word)end);
    map(1, physical(pages[1]) | P | W);
    map(0, 0);
    expect("MOVSB down", down_movsb, down_movsb_at, 100, pages[2] + 500, end + 4, 95, (word)end - 1);
    check("  RDI", trap.rdi, (word)end - 1);
    asm volatile("cld");
    map(0, physical(pages[0]) | P | W);
    // A zero count touches nothing.
    regs[0] = 0;
    regs[1] = regs[2] = 0xfffffff0;
    check("count 0", (u64)attempt(rep_movsb), -1ull);
    // Big runs over many pages, overlapping by one: the first byte is spread.
    static u8 big[40000];
    big[0] = 0x5a;
    regs[0] = 39999;
    regs[1] = (word)big;
    regs[2] = (word)big + 1;
    check("overlapping MOVSB", (u64)attempt(rep_movsb), -1ull);
    check("overlapping MOVSB spreads the first", big[39999], 0x5a);
}

static void unchanged(void) {
    map(0, physical(pages[0]) | P | W);
    map(1, 0);
    map(2, physical(pages[0]) | P);
    u8 *end = (u8 *)BASE + 4096;
    user_argument = (word)end;
    // RSP is told by where the exception's frame lies: 16-byte aligned below it.
    CODE_PIECE(pop_memory, "and $-16, %rsp\n push $7\n push $8\n mov %rsp, %rbx\n" AT(pop_memory) "pop (%rdi)");
    attempt(pop_memory);
    check("POP to memory that faults leaves RSP", trap.rsp, trap.rbx);
    CODE_PIECE(xchg, "mov $5, %eax\n" AT(xchg) "xchg %eax, (%rdi)");
    attempt(xchg);
    check("XCHG that faults", trap.rax, 5);
    CODE_PIECE(xadd, "mov $5, %eax\n" AT(xadd) "lock xadd %eax, (%rdi)");
    attempt(xadd);
    check("XADD that faults", trap.rax, 5);
    CODE_PIECE(add_flags, "xor %eax, %eax\n" AT(add_flags) "addl $-1, (%rdi)");
    attempt(add_flags);
    check("ADD that faults leaves flags", trap.rflags & 0x8d5, 0x44);
    // CMPXCHG that does not match writes all the same: a read-only page faults.
    user_argument = BASE + 0x2000;
    CODE_PIECE(cmpxchg, "mov $0x12345678, %eax\n" AT(cmpxchg) "cmpxchg %ecx, (%rdi)");
    check("CMPXCHG to read-only memory", attempted(cmpxchg, (void *)(BASE + 0x2000)), PF(3));
    check("CMPXCHG that faults leaves EAX", trap.rax, 0x12345678);
    CODE_PIECE(cmpxchg16b, AT(cmpxchg16b) "cmpxchg16b (%rdi)");
    check("CMPXCHG16B unaligned", attempted(cmpxchg16b, (void *)(BASE + 8)), EXCEPTION(13, 0));
    // BTS with a register reaches beyond its operand.
    CODE_PIECE(bts_far, "mov $32768 + 5, %ecx\n" AT(bts_far) "bts %rcx, (%rdi)");
    check("BTS reaches the next page", attempted(bts_far, (void *)BASE), PF(2));
    check("BTS: CR2", trap_cr2, BASE + 4096);
    CODE_PIECE(bts_back, "mov $-8, %rcx\n" AT(bts_back) "bts %rcx, (%rdi)");
    check("BTS reaches back", attempted(bts_back, (void *)(BASE + 0x2000)), PF(2));
}

// Code that changes: each way has to be seen at once by the next instruction.
extern u8 change_next[], change_next_end[];
asm(".pushsection .rodata\nchange_next:\n movb $2, 1f + 1(%rip)\n1: mov $1, %al\n ret\nchange_next_end:\n"
    "change_loop: mov $3, %ecx\n xor %eax, %eax\n1: incl 2f + 1(%rip)\n2: mov $0, %edx\n add %edx, %eax\n dec %ecx\n jnz 1b\n ret\nchange_loop_end:\n"
    "change_rep: mov $8, %ecx\n lea 1f(%rip), %rdi\n mov $0x90, %al\n rep stosb\n1: .byte 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b\n mov $9, %eax\n ret\nchange_rep_end:\n"
    ".globl change_loop, change_loop_end, change_rep, change_rep_end\n.popsection");
extern u8 change_loop[], change_loop_end[], change_rep[], change_rep_end[];
static u32 run_copy(u8 *where, u8 *from, u8 *to) {
    for (int i = 0; from + i < to; i++) where[i] = from[i];
    u32 result;
    asm volatile("xor %%eax, %%eax; call *%1" : "=&a"(result) : "r"(where) : "rcx", "rdx", "rdi", "memory", "cc");
    return result;
}

static void changing(void) {
    for (int round = 0; round < 3; round++) {
        check("next instruction changed", run_copy(pages[0], change_next, change_next_end) & 0xff, 2);
        check("changed in a loop", run_copy(pages[0], change_loop, change_loop_end), 6);
        check("changed by REP STOSB", run_copy(pages[0], change_rep, change_rep_end), 9);
        // The same, over the end of a page.
        check("over a page: next", run_copy(pages[1] - 8, change_next, change_next_end) & 0xff, 2);
        check("over a page: loop", run_copy(pages[1] - 11, change_loop, change_loop_end), 6);
        check("over a page: REP STOSB", run_copy(pages[1] - 17, change_rep, change_rep_end), 9);
    }
    // Through another linear address of the same page.
    map(3, physical(pages[2]) | P | W);
    u8 *alias = (u8 *)BASE + 3 * 4096;
    u32 result;
    pages[2][0] = 0xb8; // mov $1, %eax; ret
    *(u32 *)(pages[2] + 1) = 1;
    pages[2][5] = 0xc3;
    for (u32 i = 1; i < 6; i++) {
        *(volatile u32 *)(alias + 1) = i;
        asm volatile("call *%1" : "=&a"(result) : "r"(pages[2]) : "memory");
        check("changed through an alias", result, i);
    }
    // An instruction over two pages whose second page changes, and is remapped.
    pages[0][4094] = 0xb8;
    pages[0][4095] = 0x11;
    for (int i = 0; i < 8; i++) pages[1][i] = pages[2][i] = 0;
    pages[1][3] = pages[2][3] = 0xc3;
    pages[1][0] = 0x22;
    pages[2][0] = 0x33;
    map(0, physical(pages[0]) | P | W);
    map(1, physical(pages[1]) | P | W);
    u8 *over = (u8 *)BASE + 4094;
    asm volatile("call *%1" : "=&a"(result) : "r"(over) : "memory");
    check("instruction over two pages", result, 0x2211);
    *(volatile u8 *)pages[1] = 0x44;
    asm volatile("call *%1" : "=&a"(result) : "r"(over) : "memory");
    check("its second page changed", result, 0x4411);
    map(1, physical(pages[2]) | P | W);
    asm volatile("call *%1" : "=&a"(result) : "r"(over) : "memory");
    check("its second page remapped", result, 0x3311);
    map(1, 0);
    user_argument = (word)over;
    CODE_PIECE(jump_over, AT(jump_over) "jmp *%rdi");
    check("its second page gone", attempted(jump_over, over), PF(0x10));
    check("  RIP is its start", trap.rip, (word)over);
    check("  CR2 is the second page", trap_cr2, BASE + 4096);
    map(1, physical(pages[2]) | P | W);
    map(0, physical(pages[2]) | P | W);
    // A page of code remapped.
    pages[2][16] = 0xb8;
    *(u32 *)(pages[2] + 17) = 0x55;
    pages[2][21] = 0xc3;
    pages[3][16] = 0xb8;
    *(u32 *)(pages[3] + 17) = 0x66;
    pages[3][21] = 0xc3;
    for (u32 i = 0; i < 4; i++) {
        map(0, physical(pages[2 + (i & 1)]) | P | W);
        asm volatile("call *%1" : "=&a"(result) : "r"(BASE + 16) : "memory");
        check("page of code remapped", result, i & 1 ? 0x66 : 0x55);
    }
    // A page of code that loses the right to execute while it runs elsewhere.
    map(0, physical(pages[2]) | P | W | 1ull << 63);
    check("code that became NX", attempted(jump_over, (void *)(BASE + 16)), PF(0x11));
}

int main(void) {
    pdpt[2] = physical(pd_t) | P | W | U;
    pd_t[0] = physical(pt_t) | P | W | U;
    cut_short();
    unchanged();
    changing();
    return 0;
}
