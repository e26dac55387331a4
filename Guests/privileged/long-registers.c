// Control registers, model-specific registers, SYSCALL and SYSENTER in IA-32e mode, port permissions,
// time-stamp counter, interrupts' shadows, and interrupts by the local APIC.
#include "guest.h"

extern u64 pml4[512], pdpt[512];
extern u8 trap_stubs[];
#define GP(error) EXCEPTION(13, error)
#define PIECE(name, code) CODE_PIECE(name, AT(name) code)

PIECE(to_cr0, "mov %rdi, %cr0");
PIECE(to_cr3, "mov %rdi, %cr3");
PIECE(to_cr4, "mov %rdi, %cr4");
PIECE(to_cr8, "mov %rdi, %cr8");
PIECE(from_cr0, "mov %cr0, %rax");
PIECE(from_dr0, "mov %dr0, %rax");
PIECE(to_dr6, "mov %rdi, %dr6");
PIECE(to_dr7, "mov %rdi, %dr7");
PIECE(from_dr4, "mov %dr4, %rax");
PIECE(from_dr5, "mov %dr5, %rax");
PIECE(lmsw, "lmsw %di");
PIECE(read_msr, "mov %edi, %ecx\n rdmsr");
u64 msr_value;
PIECE(write_msr, "mov %edi, %ecx\n mov msr_value, %eax\n mov msr_value + 4, %edx\n wrmsr");
PIECE(write_msr3, "wrmsr");
PIECE(read_tsc, "rdtsc");
PIECE(read_tscp, "rdtscp");
PIECE(read_pmc, "xor %ecx, %ecx\n rdpmc");
PIECE(in_byte, "mov %edi, %edx\n inb %dx, %al");
PIECE(in_word, "mov %edi, %edx\n inw %dx, %ax");
PIECE(in_long, "mov %edi, %edx\n inl %dx, %eax");
PIECE(out_string, "mov %edi, %edx\n mov $1, %ecx\n mov %rsp, %rsi\n rep outsb");
PIECE(cli, "cli");
PIECE(sti, "sti");
PIECE(invd, "invd");
PIECE(wbinvd, "wbinvd");
PIECE(xsetbv, "xor %ecx, %ecx\n xor %edx, %edx\n mov %edi, %eax\n xsetbv");
PIECE(xsetbv_1, "mov $1, %ecx\n xor %edx, %edx\n mov $3, %eax\n xsetbv");

static void control(void) {
    word cr0 = get_cr0(), cr4 = get_cr4();
    check("CR0 bit 32", attempted(to_cr0, (void *)(cr0 | 1ul << 32)), GP(0));
    check("CR0 PG without PE", attempted(to_cr0, (void *)(cr0 & ~1ul)), GP(0));
    check("CR0 NW without CD", attempted(to_cr0, (void *)(cr0 | 1 << 29)), GP(0));
    check("CR0 PG clear in 64-bit code", attempted(to_cr0, (void *)(cr0 & ~(1ul << 31))), GP(0));
    check("CR0 reads ET", get_cr0() >> 4 & 1, 1);
    check("CR0 is as it was", get_cr0(), cr0);
    check("CR0 in ring 3", as_user(from_cr0, 0), GP(0));
    check("CR3 bit 52", attempted(to_cr3, (void *)((word)pml4 | 1ul << 52)), GP(0));
    check("CR3 bit 63 without PCIDE", attempted(to_cr3, (void *)((word)pml4 | 1ul << 63)), GP(0));
    check("CR3 in ring 3", as_user(to_cr3, 0), GP(0));
    check("CR4 bit 63", attempted(to_cr4, (void *)(cr4 | 1ul << 63)), GP(0));
    check("CR4 bit 15", attempted(to_cr4, (void *)(cr4 | 1ul << 15)), GP(0));
    check("CR4 PAE clear in IA-32e mode", attempted(to_cr4, (void *)(cr4 & ~0x20ul)), GP(0));
    if (!(cpuid(1, 0).d & 2)) check("CR4 VME without VME", attempted(to_cr4, (void *)(cr4 | 1)), GP(0));
    if (!(cpuid(1, 0).c & 1 << 5)) check("CR4 VMXE without VMX", attempted(to_cr4, (void *)(cr4 | 1 << 13)), GP(0));
    check("CR8", attempted(to_cr8, (void *)5), 0);
    word cr8;
    asm volatile("mov %%cr8, %0" : "=r"(cr8));
    check("CR8 reads back", cr8, 5);
    check("CR8 bit 4", attempted(to_cr8, (void *)16), GP(0));
    attempted(to_cr8, 0);
    check("LMSW sets TS", (attempted(lmsw, (void *)(cr0 | 8)), get_cr0() & 0xf), (cr0 & 0xf) | 8);
    check("LMSW clears TS, not PE", (attempted(lmsw, 0), get_cr0() & 0xf), 1);
    check("LMSW in ring 3", as_user(lmsw, 0), GP(0));
    set_cr0(cr0);
    check("INVD in ring 3", as_user(invd, 0), GP(0));
    check("WBINVD in ring 3", as_user(wbinvd, 0), GP(0));
    check("WBINVD", attempted(wbinvd, 0), 0);
    // Debug registers.
    check("DR0 in ring 3", as_user(from_dr0, 0), GP(0));
    check("DR6 bit 32", attempted(to_dr6, (void *)(1ul << 32)), GP(0));
    check("DR7 bit 32", attempted(to_dr7, (void *)(1ul << 32)), GP(0));
    set_dr6(0);
    check("DR6 fixed bits", get_dr6(), 0xffff0ff0);
    set_dr7(0);
    check("DR7 fixed bits", get_dr7(), 0x400);
    check("DR4 is DR6", attempted(from_dr4, 0), 0);
    set_cr4(cr4 | 8);
    check("DR4 with DE", attempted(from_dr4, 0), EXCEPTION(6, 0));
    check("DR5 with DE", attempted(from_dr5, 0), EXCEPTION(6, 0));
    set_cr4(cr4);
    // XCR0.
    if (cpuid(1, 0).c >> 26 & 1) {
        check("XSETBV without OSXSAVE", attempted(xsetbv, (void *)3), EXCEPTION(6, 0));
        set_cr4(cr4 | 1 << 18);
        check("CPUID shows OSXSAVE", cpuid(1, 0).c >> 27 & 1, 1);
        check("XSETBV", attempted(xsetbv, (void *)3), 0);
        check("XSETBV without x87", attempted(xsetbv, (void *)2), GP(0));
        check("XSETBV of a state that is not there", attempted(xsetbv, (void *)0x80000003), GP(0));
        check("XSETBV of XCR1", attempted(xsetbv_1, 0), GP(0));
        check("XSETBV in ring 3", as_user(xsetbv, (void *)3), GP(0));
        set_cr4(cr4);
    }
}

static u64 write(u32 index, u64 value) {
    msr_value = value;
    return attempted(write_msr, (void *)(word)index);
}

static void msrs(void) {
    u64 efer = rdmsr(0xc0000080);
    check("EFER has LMA", efer >> 10 & 1, 1);
    check("EFER reserved bit", write(0xc0000080, efer | 1 << 1), GP(0));
    check("EFER LME clear with paging", write(0xc0000080, efer & ~0x100ull), GP(0));
    check("EFER LMA cannot be written", (write(0xc0000080, efer & ~0x400ull), rdmsr(0xc0000080)), efer);
    check("LSTAR not canonical", write(0xc0000082, 1ull << 47), GP(0));
    check("KERNEL_GS_BASE not canonical", write(0xc0000102, 1ull << 63), GP(0));
    check("FS_BASE not canonical", write(0xc0000100, 1ull << 48), GP(0));
    check("SYSENTER_EIP not canonical", write(0x176, 1ull << 48), GP(0));
    check("PAT type 2", write(0x277, 2), GP(0));
    check("PAT", write(0x277, 0x0007040600070406), 0);
    check("TSC_AUX bit 32", write(0xc0000103, 1ull << 32), GP(0));
    check("MTRR default type reserved bit", write(0x2ff, 0x100), GP(0));
    check("MTRR capabilities cannot be written", write(0xfe, 0), GP(0));
    check("no such register: read", attempted(read_msr, (void *)0x12345), GP(0));
    check("no such register: RIP", trap.rip, (word)read_msr_at + 2);
    check("no such register: write", write(0x12345, 0), GP(0));
    check("RDMSR in ring 3", as_user(read_msr, (void *)0x10), GP(0));
    check("WRMSR in ring 3", as_user(write_msr3, 0), GP(0));
    u64 before = rdmsr(0x10);
    check("TSC moves", rdmsr(0x10) > before, 1);
    wrmsr(0x10, 0);
    check("TSC can be set", rdmsr(0x10) < 1ull << 40, 1);
    wrmsr(0xc0000103, 77);
    u32 aux;
    asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
    check("RDTSCP has TSC_AUX", aux, 77);
    check("RDTSC in ring 3", as_user(read_tsc, 0), 0);
    set_cr4(get_cr4() | 4);
    check("TSD: RDTSC in ring 3", as_user(read_tsc, 0), GP(0));
    check("TSD: RDTSCP in ring 3", as_user(read_tscp, 0), GP(0));
    check("TSD: RDTSC in ring 0", attempted(read_tsc, 0), 0);
    set_cr4(get_cr4() & ~4ul);
    check("RDPMC in ring 3 without PCE", as_user(read_pmc, 0), GP(0));
}

static void ports(void) {
    gdt[TASK / 8] &= ~(2ull << 40);
    check("IN in ring 3", as_user(in_byte, (void *)0x3fd), GP(0));
    user_flags = 0x3002;
    check("IN in ring 3, IOPL 3", as_user(in_byte, (void *)0x3fd), 0);
    check("CLI in ring 3, IOPL 3", as_user(cli, 0), 0);
    user_flags = 0x2002;
    check("CLI in ring 3, IOPL 2", as_user(cli, 0), GP(0));
    check("STI in ring 3, IOPL 2", as_user(sti, 0), GP(0));
    user_flags = 2;
    // The bitmap.
    u8 *bitmap = tss + 104;
    *(u16 *)(tss + 102) = 104;
    for (int i = 0; i < 8192; i++) bitmap[i] = 0xff;
    bitmap[8192] = 0xff;
    bitmap[0x3fd / 8] = ~(1 << (0x3fd & 7));
    check("bitmap allows", as_user(in_byte, (void *)0x3fd), 0);
    check("bitmap refuses", as_user(in_byte, (void *)0x3fe), GP(0));
    check("bitmap, half a word", as_user(in_word, (void *)0x3fd), GP(0));
    bitmap[0x3fd / 8] = 0x1f;
    bitmap[0x3fd / 8 + 1] = 0xfe;
    check("bitmap over two bytes", as_user(in_long, (void *)0x3fd), 0);
    bitmap[0x3fd / 8 + 1] = 0xff;
    check("bitmap over two bytes, refused", as_user(in_long, (void *)0x3fd), GP(0));
    check("OUTS refused", as_user(out_string, (void *)0x400), GP(0));
    *(u16 *)(tss + 102) = sizeof tss - 1;
    check("bitmap beyond the limit", as_user(in_byte, (void *)0x10), GP(0));
    bitmap[0] = 0;
    *(u16 *)(tss + 102) = 104;
    gdt[TASK / 8] = descriptor((u32)(word)tss, 104, 0x8900);
    load_task();
    check("bitmap: both bytes have to be there", as_user(in_byte, 0), GP(0));
    gdt[TASK / 8] = descriptor((u32)(word)tss, 105, 0x8900);
    load_task();
    check("bitmap: both bytes are there", as_user(in_byte, (void *)3), 0);
    gdt[TASK / 8] = descriptor((u32)(word)tss, sizeof tss - 1, 0x8900);
    load_task();
    *(u16 *)(tss + 102) = sizeof tss;
}

// SYSCALL arrives at `entry`, which notes and goes back as `way` says.
u64 seen[8];
extern u8 syscall_entry[], sysenter_entry[];
asm(".pushsection .text.pieces, \"ax\"\n"
    "syscall_entry: mov %rcx, seen\n mov %r11, seen + 8\n pushf\n pop %rax\n mov %rax, seen + 16\n"
    " mov %cs, %eax\n mov %rax, seen + 24\n mov %ss, %eax\n mov %rax, seen + 32\n mov %rsp, seen + 40\n int $0x30\n"
    "sysenter_entry: pushf\n pop %rax\n mov %rax, seen + 16\n"
    " mov %cs, %eax\n mov %rax, seen + 24\n mov %ss, %eax\n mov %rax, seen + 32\n mov %rsp, seen + 40\n int $0x30\n"
    ".popsection");
PIECE(do_syscall, "syscall\n hlt");
PIECE(do_sysenter, "sysenter");
CODE_PIECE(do_sysret, "mov %rdi, %rcx\n mov msr_value, %r11\n mov user_stack_top, %rsp\n" AT(do_sysret) "sysretq");
CODE_PIECE(do_sysret32, "mov %rdi, %rcx\n mov msr_value, %r11\n mov user_stack_top, %rsp\n" AT(do_sysret32) "sysretl");
CODE_PIECE(do_sysexit, "mov %rdi, %rdx\n mov user_stack_top, %rcx\n" AT(do_sysexit) "sysexitq");
CODE_PIECE(in_user, "mov %cs, %eax\n mov %ss, %ecx\n" AT(in_user) "hlt");
PIECE(user_sysret, "sysretq");
PIECE(user_sysexit, "sysexitq");

static void system_calls(void) {
    wrmsr(0xc0000081, (u64)(USER_CODE32 | 3) << 48 | (u64)CODE << 32);
    wrmsr(0xc0000082, (word)syscall_entry);
    wrmsr(0xc0000084, 0x4701);
    check("SYSCALL without SCE", as_user(do_syscall, 0), EXCEPTION(6, 0));
    check("SYSRET without SCE", attempted(do_sysret, 0), EXCEPTION(6, 0));
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
    user_flags = 0x246 | 1;
    check("SYSCALL", as_user(do_syscall, 0), 0);
    check("SYSCALL: RCX", seen[0], (word)AS_USER(do_syscall_at) + 2);
    check("SYSCALL: R11", seen[1], 0x247);
    check("SYSCALL: flags masked", seen[2], 0x46);
    check("SYSCALL: CS", seen[3], CODE);
    check("SYSCALL: SS", seen[4], DATA);
    check("SYSCALL: RSP stays", seen[5], (word)user_stack_top);
    user_flags = 2;
    msr_value = 0x202;
    check("SYSRET", attempted(do_sysret, AS_USER(in_user)), GP(0));
    check("SYSRET: CS", trap.rax, USER_CODE | 3);
    check("SYSRET: SS", trap.rcx, USER_DATA | 3);
    check("SYSRET: RIP", trap.rip, (word)AS_USER(in_user_at));
    check("SYSRET: flags", trap.rflags & ~0x10000ul, 0x202);
    msr_value = 0x3f7fd7 | 0x30000;
    // RF and VM are cleared; TF would trap at once.
    msr_value &= ~0x100ull;
    check("SYSRET with all flags", attempted(do_sysret, AS_USER(in_user)), EXCEPTION(13, 0));
    check("SYSRET: flags it takes", trap.rflags & ~0x10000ul, 0x3c7ed7);
    msr_value = 2;
    check("SYSRET to 32-bit code", attempted(do_sysret32, AS_USER(in_user)), GP(0));
    check("SYSRET to 32-bit code: CS", trap.rax, USER_CODE32 | 3);
    check_trap("SYSRET, RCX not canonical, faults in ring 0",
        (user_argument = 1ul << 47, attempt(do_sysret)), 13, 0, do_sysret_at);
    check("its CS", trap.cs, CODE);
    check("SYSRET in ring 3", as_user(user_sysret, 0), GP(0));
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    // SYSENTER: on Intel's processors in IA-32e mode too.
    wrmsr(0x174, 0);
    check("SYSENTER without a CS", as_user(do_sysenter, 0), GP(0));
    wrmsr(0x174, CODE);
    wrmsr(0x175, (word)kernel_stack + 4096);
    wrmsr(0x176, (word)sysenter_entry);
    user_flags = 0x202;
    check("SYSENTER", as_user(do_sysenter, 0), 0);
    check("SYSENTER: IF is clear", seen[2] & 0x200, 0);
    check("SYSENTER: CS", seen[3], CODE);
    check("SYSENTER: SS", seen[4], DATA);
    check("SYSENTER: RSP", seen[5], (word)kernel_stack + 4096);
    user_flags = 2;
    // SYSEXIT: CS is the register plus 32, SS plus 40.
    gdt[(CODE + 32) / 8] = gdt[USER_CODE / 8];
    wrmsr(0x174, CODE);
    gdt[(CODE + 40) / 8] = gdt[USER_DATA / 8];
    check("SYSEXIT", attempted(do_sysexit, AS_USER(in_user)), GP(0));
    check("SYSEXIT: CS", trap.rax, (CODE + 32) | 3);
    check("SYSEXIT: SS", trap.rcx, (CODE + 40) | 3);
    check("SYSEXIT: RSP", trap.rsp, (word)user_stack_top);
    check_trap("SYSEXIT not canonical", (user_argument = 1ul << 47, attempt(do_sysexit)), 13, 0, do_sysexit_at);
    check("SYSEXIT in ring 3", as_user(user_sysexit, 0), GP(0));
    gdt[USER_CODE / 8] = descriptor(0, 0xfffff, FLAT_CODE64 | DPL(3));
}

// The local APIC sends to itself: x2APIC, so that no page table is in the way.
static u64 at_rip, hits;
static int catch(struct frame *f) {
    if (f->vector != 0x35 && f->vector != 2) return 0;
    at_rip = f->rip;
    hits++;
    if (f->vector == 0x35) wrmsr(0x80b, 0);
    return 1;
}
static void interrupts(void) {
    check("CPUID shows the local APIC", cpuid(1, 0).d >> 9 & 1, 1);
    wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
    check("CPUID, local APIC disabled", cpuid(1, 0).d >> 9 & 1, 0);
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    check("CPUID, local APIC enabled again", cpuid(1, 0).d >> 9 & 1, 1);
    wrmsr(0x1b, rdmsr(0x1b) | 0xc00);
    wrmsr(0x80f, 0x1ff);
    trap_hook = catch;
#define SEND "mov $0x83f, %ecx\n mov $0x35, %eax\n xor %edx, %edx\n wrmsr\n"
    CODE_PIECE(shadow_sti, SEND "sti\n nop\n" AT(shadow_sti) "nop\n cli");
    CODE_PIECE(shadow_sti_cli, SEND "sti\n" AT(shadow_sti_cli) "cli\n nop");
    CODE_PIECE(sti_nop_cli, SEND "sti\n nop\n" AT(sti_nop_cli) "cli\n nop");
    CODE_PIECE(popf_if, SEND "push $0x202\n popf\n" AT(popf_if) "nop\n cli");
    CODE_PIECE(sti_hlt, SEND "sti\n hlt\n" AT(sti_hlt) "cli");
    CODE_PIECE(sti_twice, SEND "sti\n" AT(sti_twice) "sti\n cli\n");
    CODE_PIECE(shadow_ss, SEND "mov %ss, %esi\n sti\n mov %esi, %ss\n mov %esi, %ss\n" AT(shadow_ss) "nop\n nop\n cli");
    CODE_PIECE(ss_after, "mov %ss, %esi\n sti\n nop\n" SEND "nop\n cli");
    hits = 0;
    check("interrupt after STI and one instruction", attempted(shadow_sti, 0), 0);
    check("it came once", hits, 1);
    check("where it came", at_rip, (word)shadow_sti_at);
    hits = 0;
    check("STI, CLI: none in between", (attempted(shadow_sti_cli, 0), hits), 0);
    asm volatile("sti; nop; cli");
    check("it stays pending", hits, 1);
    hits = 0;
    check("STI, NOP, CLI: taken before CLI", (attempted(sti_nop_cli, 0), hits), 1);
    check("STI, NOP, CLI: where", at_rip, (word)sti_nop_cli_at);
    hits = 0;
    check("POPF has no shadow", (attempted(popf_if, 0), hits), 1);
    check("POPF: where", at_rip, (word)popf_if_at);
    hits = 0;
    check("STI, HLT: HLT ends", (attempted(sti_hlt, 0), hits), 1);
    check("STI, HLT: where", at_rip, (word)sti_hlt_at);
    // NMI: blocked from its delivery to the next IRET.
    hits = 0;
    at_rip = 0;
    asm volatile("mov $0x830, %%ecx; mov $0x40400, %%eax; xor %%edx, %%edx; wrmsr; nop; nop" : : : "eax", "ecx", "edx", "memory");
    check("NMI", hits, 1);
    static int depth, deepest, nested;
    int nmi(struct frame *f) {
        if (f->vector != 2) return 0;
        hits++;
        depth++;
        if (depth > deepest) deepest = depth;
        if (!nested) {
            nested = 1;
            asm volatile("mov $0x830, %%ecx; mov $0x40400, %%eax; xor %%edx, %%edx; wrmsr; nop; nop; nop" : : : "eax", "ecx", "edx", "memory");
            check("NMI in NMI waits", hits, 1);
        }
        depth--;
        return 1;
    }
    hits = 0;
    trap_hook = nmi;
    asm volatile("mov $0x830, %%ecx; mov $0x40400, %%eax; xor %%edx, %%edx; wrmsr; nop; nop" : : : "eax", "ecx", "edx", "memory");
    check("NMI after IRET", hits, 2);
    check("NMI did not nest", deepest, 1);
    trap_hook = 0;
}

// The timer in deadline mode follows what is written to the counter.
static void deadlines(void) {
    u32 features = cpuid(1, 0).c;
    if (~features & (1 << 21 | 1 << 24)) return;  // x2APIC, TSC deadline
    wrmsr(0x1b, rdmsr(0x1b) | 0xc00);
    wrmsr(0x80f, 0x1ff);
    wrmsr(0x832, 0x40080);
    u64 ahead = rdmsr(0x10) + (1ull << 50);
    wrmsr(0x6e0, ahead);
    check("deadline ahead: no request", rdmsr(0x824) & 1, 0);
    u64 adjust = rdmsr(0x3b);
    wrmsr(0x3b, adjust + (1ull << 51));
    check("TSC_ADJUST moves the counter", rdmsr(0x10) > ahead, 1);
    int rounds = 0;
    while (!(rdmsr(0x824) & 1) && ++rounds < 3000000) asm volatile("pause");
    check("and its deadline is over", rdmsr(0x824) & 1, 1);
    check("it is told once", rdmsr(0x6e0), 0);
    wrmsr(0x10, 1000);
    check("TSC_ADJUST follows the counter", rdmsr(0x3b) != adjust + (1ull << 51), 1);
    wrmsr(0x3b, 0);
    check("TSC_ADJUST of 0", rdmsr(0x3b), 0);
}

int main(void) {
    control();
    msrs();
    ports();
    system_calls();
    if (cpuid(1, 0).c >> 21 & 1) interrupts();
    deadlines();
    return 0;
}
