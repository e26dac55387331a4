// Virtual-8086 mode (SDM volume 3, chapter 20): entered by IRET and by a task switch, left by
// interrupts and exceptions; what is privileged there; ports; segments.
#include "guest.h"

extern u8 trap_stubs[];
#define GP(error) EXCEPTION(13, error)

// 8086 code lies at 0x20000: CS 0x2000; its stack is at 0x3000:0x8000.
static u8 *const low = (u8 *)0x20000;
u32 vm_flags = 2, vm_sp = 0x8000;
extern void enter_vm86(void);
asm(".text\n.globl enter_vm86\nenter_vm86:\n push $0x7000\n push $0x6000\n push $0x5000\n push $0x4000\n push $0x3000\n push vm_sp\n"
    " mov vm_flags, %eax\n or $0x20000, %eax\n push %eax\n push $0x2000\n push %edi\n iret\n");

static u64 vm86(const u8 *from, const u8 *to) {
    for (int i = 0; i < 64; i++) low[i] = 0xf4; // HLT
    for (int i = 0; from + i < to; i++) low[i] = from[i];
    return attempted(enter_vm86, 0);
}
// 8086 code is written as a piece and copied; it ends in HLT, which is privileged there: #GP(0).
#define VM(name, code)                                                                             \
    extern u8 name[], name##_end[];                                                                \
    asm(".pushsection .text.pieces, \"ax\"\n.code16\n.globl " #name ", " #name "_end\n" #name ": " code "\n" \
        #name "_end:\n.code32\n.popsection")
#define RUN(name) vm86(name, name##_end)

VM(nothing, "hlt");
VM(segments, "movw %cs, %ax\n movw %ss, %bx\n movw %ds, %cx\n movw %es, %dx\n movw %fs, %si\n movw %gs, %di\n hlt");
VM(memory, "movw $0x1234, %ax\n movw %ax, 0x10\n movw %es:0x20, %bx\n pushw %ax\n popw %cx\n movl $0x12345678, %edx\n hlt");
VM(load_ds, "movw $0x1111, %ax\n movw %ax, %ds\n movw 0xef0, %bx\n hlt");
VM(over_limit, "movw 0xffff, %ax\n");
VM(over_limit32, "movl $0x10000, %eax\n movw (%eax), %bx\n");
VM(cli, "cli");
VM(sti, "sti");
VM(pushf, "pushfw");
VM(popf, "popfw");
VM(iret, "iretw");
VM(int21, "int $0x21");
VM(int31, "int $0x31");
VM(int3, "int3");
VM(into, "movb $0x7f, %al\n incb %al\n into");
VM(pushf_popf, "pushfw\n popw %ax\n orw $0x4200, %ax\n pushw %ax\n popfw\n pushfw\n popw %bx\n hlt");
VM(cli_sti, "cli\n pushfw\n popw %ax\n sti\n pushfw\n popw %bx\n hlt");
VM(iret_word, "pushw $0x3202\n pushw %cs\n pushw $1f - iret_word\n iretw\n nop\n1: pushfw\n popw %ax\n hlt");
VM(in_port, "movw $0x3fd, %dx\n inb %dx, %al\n hlt");
VM(mov_cr0, "movl %cr0, %eax");
VM(lgdt, "lgdtl 0");
VM(lar, "lar %ax, %bx");
VM(str, "strw %ax");
VM(sldt, "sldtw %ax");
VM(ltr, "ltr %ax");
VM(arpl, "arpl %ax, %bx");
VM(verr, "verr %ax");
VM(smsw, "smsww %ax\n hlt");
VM(clts, "clts");
VM(read_msr, "rdmsr");
VM(far_jump, "ljmpw $0x1fff, $1f - far_jump + 16\n nop\n1: movw %cs, %ax\n hlt");
VM(far_call, "lcallw $0x1fff, $1f - far_call + 16\n2: movw %cs, %bx\n hlt\n1: movw %cs, %ax\n lretw");
VM(divide, "movw $0, %cx\n movw $5, %ax\n xorw %dx, %dx\n divw %cx");
VM(step, "nop\n nop");
VM(loop, "movw $3, %cx\n movw $0, %si\n movw $0x100, %di\n rep movsb\n hlt");
VM(bad_sp, "movl $0x18000, %esp\n pushw %ax\n movl %esp, %ebx\n hlt");

static void flow(void) {
    check("enter and leave", RUN(nothing), GP(0));
    check("saved VM", trap.rflags >> 17 & 1, 1);
    check("saved CS", trap.cs & 0xffff, 0x2000);
    check("saved IP", trap.rip, 0);
    check("saved SP", trap.rsp & 0xffff, 0x8000);
    check("saved SS", trap.ss & 0xffff, 0x3000);
    check("saved ES", trap.es & 0xffff, 0x4000);
    check("saved DS", trap.ds & 0xffff, 0x5000);
    check("saved FS", trap.fs & 0xffff, 0x6000);
    check("saved GS", trap.gs & 0xffff, 0x7000);
    check("frame at ESP0", trap_frame, (word)kernel_stack + sizeof kernel_stack - sizeof(struct frame));
    check("segments", RUN(segments), GP(0));
    check("CS", trap.rax & 0xffff, 0x2000);
    check("SS", trap.rbx & 0xffff, 0x3000);
    check("DS", trap.rcx & 0xffff, 0x5000);
    check("ES", trap.rdx & 0xffff, 0x4000);
    check("FS", trap.rsi & 0xffff, 0x6000);
    check("GS", trap.rdi & 0xffff, 0x7000);
    *(u16 *)0x40020 = 0xabcd;
    RUN(memory);
    check("store by DS", *(u16 *)0x50010, 0x1234);
    check("load by ES", trap.rbx & 0xffff, 0xabcd);
    check("push and pop", trap.rcx & 0xffff, 0x1234);
    check("operand size prefix", trap.rdx, 0x12345678);
    *(u16 *)0x12000 = 0x4321;
    RUN(load_ds);
    check("DS loaded: base", trap.rbx & 0xffff, 0x4321);
    RUN(loop);
    check("REP MOVSB: CX", trap.rcx & 0xffff, 0);
    check("REP MOVSB: DI", trap.rdi & 0xffff, 0x103);
    RUN(far_jump);
    check("far JMP: CS", trap.rax & 0xffff, 0x1fff);
    RUN(far_call);
    check("far CALL: CS", trap.rax & 0xffff, 0x1fff);
    check("far RET: CS", trap.rbx & 0xffff, 0x2000);
    RUN(bad_sp);
    check("SP is 16 bits", trap.rbx, 0x17ffe);
    check("exception from 8086 mode", RUN(divide), EXCEPTION(0, 0));
    vm_flags = 0x102;
    set_dr6(0);
    check("TF", RUN(step), EXCEPTION(1, 0));
    check("TF: IP", trap.rip, 1);
    vm_flags = 2;
    // A handler finds null data segments.
    check("handler: FS is null", ({ u16 s; asm("mov %%fs, %0" : "=r"(s)); s; }), 0);
}

static void rights(void) {
    check("IOPL 0: CLI", RUN(cli), GP(0));
    check("IOPL 0: STI", RUN(sti), GP(0));
    check("IOPL 0: PUSHF", RUN(pushf), GP(0));
    check("IOPL 0: POPF", RUN(popf), GP(0));
    check("IOPL 0: IRET", RUN(iret), GP(0));
    check("IOPL 0: INT n", RUN(int21), GP(0));
    check("IOPL 0: INT3", RUN(int3), EXCEPTION(3, 0));
    check("IOPL 0: INT3: IP", trap.rip, 1);
    check("IOPL 0: INTO", RUN(into), EXCEPTION(4, 0));
    vm_flags = 0x3202;
    check("IOPL 3: PUSHF, POPF", RUN(pushf_popf), GP(0));
    check("IOPL 3: PUSHF has IOPL", trap.rax & 0x3000, 0x3000);
    check("IOPL 3: POPF changes NT and IF", trap.rbx & 0x4200, 0x4200);
    vm_flags = 0x3002;
    check("IOPL 3: CLI, STI", RUN(cli_sti), GP(0));
    check("IOPL 3: CLI", trap.rax & 0x200, 0);
    check("IOPL 3: STI", trap.rbx & 0x200, 0x200);
    check("IOPL 3: IRET", RUN(iret_word), GP(0));
    check("IOPL 3: IRET's flags", trap.rax & 0x3200, 0x3200);
    // INT n goes through the IDT, whose gate needs DPL 3.
    check("IOPL 3: INT n, DPL 3", RUN(int31) >> 16, 0x32);
    check("IOPL 3: INT n: IP of the next", trap.rip, 2);
    check("IOPL 3: INT n, DPL 0", RUN(int21), GP(0x21 * 8 + 2));
    u64 gate = idt[0x31];
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09f00 | DPL(3));
    set_gate(0x31, trap_stubs, FREE, 0xee, 0);
    check("gate to conforming code", RUN(int31), GP(FREE));
    gdt[FREE / 8] = descriptor(0, 0xfffff, 0x00c09b00 | DPL(1));
    check("gate to ring 1", RUN(int31), GP(FREE));
    idt[0x31] = gate;
    check("ports need the bitmap", RUN(in_port), GP(0));
    u8 *bitmap = tss + 104;
    *(u16 *)(tss + 102) = 104;
    bitmap[0x3fd / 8] = 0;
    bitmap[0x3fd / 8 + 1] = 0xff;
    vm_flags = 2;
    check("bitmap allows at IOPL 0", (RUN(in_port), trap.rip), 4);
    bitmap[0x3fd / 8] = 0xff;
    check("bitmap refuses", (RUN(in_port), trap.rip), 3);
    *(u16 *)(tss + 102) = sizeof tss;
    check("MOV from CR0", RUN(mov_cr0), GP(0));
    check("LGDT", RUN(lgdt), GP(0));
    check("CLTS", RUN(clts), GP(0));
    check("RDMSR", RUN(read_msr), GP(0));
    check("LAR", RUN(lar), EXCEPTION(6, 0));
    check("STR", RUN(str), EXCEPTION(6, 0));
    check("SLDT", RUN(sldt), EXCEPTION(6, 0));
    check("LTR", RUN(ltr), EXCEPTION(6, 0));
    check("ARPL", RUN(arpl), EXCEPTION(6, 0));
    check("VERR", RUN(verr), EXCEPTION(6, 0));
    check("SMSW", (RUN(smsw), trap.rax & 1), 1);
}

// The limit is 64 KiB and cannot be had otherwise; QEMU does not check it.
static void limits(void) {
    check("word at 0xffff", RUN(over_limit), GP(0));
    check("word at 0xffff: IP", trap.rip, 0);
    check("32-bit address over 64 KiB", RUN(over_limit32), GP(0));
}

// VME is absent if CPUID says so; then CR4.VME cannot be set.
static void extensions(void) {
    CODE_PIECE(set_vme, "mov %cr4, %eax\n or $1, %eax\n" AT(set_vme) "mov %eax, %cr4");
    CODE_PIECE(set_pvi, "mov %cr4, %eax\n or $2, %eax\n" AT(set_pvi) "mov %eax, %cr4");
    if (cpuid(1, 0).d & 2) return;
    check("CR4.VME without VME", attempted(set_vme, 0), GP(0));
    check("CR4.PVI without VME", attempted(set_pvi, 0), GP(0));
}

// By a task switch.
struct task {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    u16 trap, bitmap;
};
static void by_task(void) {
    static struct task task;
    static u8 stack[4096];
    for (int i = 0; i < 64; i++) low[i] = 0xf4;
    task.eflags = 0x20002;
    task.eip = 5;
    task.cs = 0x2000;
    task.ss = 0x3000;
    task.esp = 0x7000;
    task.ds = 0x5000;
    task.es = 0x4000;
    task.eax = 0xaaaa;
    task.esp0 = (u32)(stack + 4096);
    task.ss0 = DATA;
    task.bitmap = sizeof task;
    gdt[0x60 / 8] = descriptor((u32)&task, sizeof task - 1, 0x8900);
    CODE_PIECE(jump_task, AT(jump_task) "ljmp $0x60, $0");
    check("by a task switch", attempted(jump_task, 0), GP(0));
    check("by a task switch: IP", trap.rip, 5);
    check("by a task switch: VM", trap.rflags >> 17 & 1, 1);
    check("by a task switch: DS", trap.ds & 0xffff, 0x5000);
    check("by a task switch: EAX", trap.rax, 0xaaaa);
}

int main(void) {
    flow();
    rights();
    limits();
    extensions();
    by_task();
    return 0;
}
