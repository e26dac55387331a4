// Changes of mode: 64-bit code to compatibility mode, paging off, real mode, unreal mode, and the whole
// way back; what real mode does with interrupts, limits and stacks.
#include "guest.h"

extern u8 trip[], trip_end[];
// Copied to 0x10000; results go to 0x18000, the real-mode interrupt table is at 0x19000.
#define B "- trip"
#define LINEAR(label) "0x10000 + " label " - trip"
asm(".pushsection .rodata\n.globl trip, trip_end, after_int, real\ntrip:\n.code64\n"
    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, 0x18000\n"
    " sgdt 0x18010\n sidt 0x18020\n lgdt " LINEAR("table") "\n lidt " LINEAR("table16") "\n"
    " ljmp *" LINEAR("to_compat") "\n"
    "to_compat: .long " LINEAR("compat") "\n .word 0x18\n"
    ".code32\ncompat:\n"
    " mov $0x20, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov $0x17000, %esp\n"
    " mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n" // paging off: IA-32e mode ends
    " mov $0xc0000080, %ecx\n rdmsr\n mov %eax, 0x18100\n and $~0x100, %eax\n wrmsr\n"
    " mov %cr4, %eax\n and $~0x20, %eax\n mov %eax, %cr4\n"
    // Unreal mode to be: FS keeps a limit of 4 GiB.
    " mov %eax, %fs\n"
    " ljmp $0x28, $pm16 - trip\n"
    ".code16\npm16:\n"
    " mov $0x30, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n mov $0x20, %ax\n mov %ax, %fs\n"
    " mov %cr0, %eax\n and $~1, %eax\n mov %eax, %cr0\n"
    // Real mode with the hidden parts as they were; CS is still the 16-bit segment.
    " mov %cs, %bx\n"
    " ljmp $0x1000, $real - trip\n"
    "real:\n"
    " mov $0x1800, %ax\n mov %ax, %ds\n mov %bx, 0x104\n mov %cs, %ax\n mov %ax, 0x106\n"
    " mov %cr0, %eax\n mov %eax, 0x108\n"
    // FS has its limit still, beyond 64 KiB.
    " mov $0x100000, %ebx\n mov %fs:(%ebx), %eax\n mov %eax, 0x10c\n"
    // A load of FS changes base and keeps the limit.
    " xor %ax, %ax\n mov %ax, %fs\n mov %fs:(%ebx), %eax\n mov %eax, 0x110\n"
    " mov $0x1000, %ax\n mov %ax, %ss\n mov $0x7000, %sp\n"
    // INT n: FLAGS, CS, IP on the stack; IF and TF cleared.
    " movw $handler - trip, 0x1000 + 0x21 * 4\n movw $0x1000, 0x1000 + 0x21 * 4 + 2\n"
    " movw $fault - trip, 0x1000 + 0 * 4\n movw $0x1000, 0x1000 + 0 * 4 + 2\n"
    " movw $fault - trip, 0x1000 + 13 * 4\n movw $0x1000, 0x1000 + 13 * 4 + 2\n"
    " movw $fault - trip, 0x1000 + 12 * 4\n movw $0x1000, 0x1000 + 12 * 4 + 2\n"
    " movw $fault - trip, 0x1000 + 6 * 4\n movw $0x1000, 0x1000 + 6 * 4 + 2\n"
    " movw $fault - trip, 0x1000 + 1 * 4\n movw $0x1000, 0x1000 + 1 * 4 + 2\n"
    " push $0x202\n popf\n mov $0, %ax\n int $0x21\nafter_int: pushf\n pop %ax\n mov %ax, 0x11c\n cli\n"
    // Faults: `fault` notes the IP of each and goes on at DI.
    " mov $0x200, %si\n"
    "#1\n mov $1f - trip, %di\n xor %cx, %cx\n xor %dx, %dx\n div %cx\n1:\n"
    "#2\n mov $1f - trip, %di\n mov 0xffff, %ax\n1:\n"             // a word over 64 KiB: #GP
    "#3\n mov $1f - trip, %di\n mov $0x10000, %ebx\n mov (%ebx), %al\n1:\n" // #GP
    "#4\n mov $1f - trip, %di\n mov $0xffff, %bp\n mov (%bp), %ax\n1:\n"   // #SS
    "#5\n mov $1f - trip, %di\n .byte 0x0f, 0x00, 0xc0\n1:\n"     // SLDT: #UD
    "#6\n mov $1f - trip, %di\n int $0x40\n1:\n"                   // beyond the IDT: #GP
    "#7\n mov $1f - trip, %di\n .byte 0x0f, 0x02, 0xc0\n1:\n"     // LAR: #UD
    "#8\n mov $1f - trip, %di\n ljmpl *%cs:far_long - trip\n1:\n" // offset beyond 64 KiB: #GP
    " mov %si, 0x13e\n"
    // The stack wraps: SP 0 pushes at 0xfffe.
    " mov $0x2000, %ax\n mov %ax, %ss\n xor %sp, %sp\n push $0x55aa\n mov %sp, 0x140\n pop %ax\n mov %ax, 0x142\n mov %sp, 0x144\n"
    " mov $0x1000, %ax\n mov %ax, %ss\n mov $0x7000, %sp\n"
    // String instructions wrap at 64 KiB.
    " mov $0x2000, %ax\n mov %ax, %es\n mov $0xfffe, %di\n mov $4, %cx\n mov $0x77, %al\n cld\n rep stosb\n mov %di, 0x146\n mov %es:0, %ax\n mov %ax, 0x148\n"
    " std\n xor %di, %di\n mov $2, %cx\n mov $0x66, %al\n rep stosb\n cld\n mov %di, 0x14a\n"
    // SMSW and LMSW: protected mode is entered, and cannot be left by LMSW.
    " lgdtl %cs:table16_gdt - trip\n smsw %ax\n or $1, %ax\n lmsw %ax\n and $~1, %ax\n lmsw %ax\n smsw %ax\n mov %ax, 0x14c\n"
    " ljmpl $0x18, $" LINEAR("pm32") "\n"
    "handler: mov %sp, %bp\n mov (%bp), %ax\n mov %ax, 0x114\n mov 2(%bp), %ax\n mov %ax, 0x116\n mov 4(%bp), %ax\n mov %ax, 0x118\n"
    " pushf\n pop %ax\n mov %ax, 0x11a\n iret\n"
    "fault: pop %ax\n sub $trip - trip, %ax\n mov %ax, (%si)\n add $2, %si\n add $4, %sp\n jmp *%di\n"
    "far_long: .long 0x10000\n .word 0x1000\n"
    ".code32\npm32:\n"
    " mov $0x20, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov $0x17000, %esp\n"
    " mov %cr4, %eax\n or $0x20, %eax\n mov %eax, %cr4\n"
    " mov $0xc0000080, %ecx\n rdmsr\n mov %eax, 0x18150\n or $0x100, %eax\n wrmsr\n"
    " mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n"
    " ljmp $8, $" LINEAR("again") "\n"
    ".code64\nagain:\n lgdt 0x18010\n lidt 0x18020\n mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n"
    " mov 0x18000, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".align 8\n"
    "descriptors: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
    " .quad 0x00009b010000ffff, 0x000093010000ffff\n"
    "table: .word 55\n .quad " LINEAR("descriptors") "\n"
    "table16_gdt: .word 55\n .long " LINEAR("descriptors") "\n"
    "table16: .word 0xff\n .quad 0x19000\n"
    "trip_end:\n.popsection");

// Where the faults are, found by pattern: each is the instruction before `1:`.
static u16 word_at(u32 offset) { return *(volatile u16 *)(0x18000ul + offset); }
static u32 long_at(u32 offset) { return *(volatile u32 *)(0x18000ul + offset); }
extern u8 after_int[], real[];

int main(void) {
    u8 *code = (u8 *)0x10000;
    for (word i = 0; i < 0x10000; i++) code[i] = 0;
    for (word i = 0; i < (word)(trip_end - trip); i++) code[i] = trip[i];
    for (int round = 0; round < 2; round++) {
        ((void (*)(void))0x10000)();
        check("there and back again", 1, 1);
        check("EFER.LMA goes with paging", long_at(0x100) & 0x500, 0x100);
        check("EFER without LME", long_at(0x150) & 0x500, 0);
        check("CS after PE is cleared", word_at(0x104), 0x28);
        check("CS in real mode", word_at(0x106), 0x1000);
        check("CR0.PE", long_at(0x108) & 0x80000001, 0);
        check("unreal mode", long_at(0x10c), *(u32 *)0x100000);
        check("unreal mode after a load", long_at(0x110), *(u32 *)0x100000);
        check("INT: saved CS", word_at(0x116), 0x1000);
        check("INT: saved IP", word_at(0x114), (u16)(after_int - trip));
        check("INT: saved flags", word_at(0x118) & 0x300, 0x200);
        check("INT: IF is clear", word_at(0x11a) & 0x300, 0);
        check("IRET: IF is back", word_at(0x11c) & 0x200, 0x200);
        check("eight faults", word_at(0x13e), 0x210);
        u8 first[8] = {0xf7, 0xa1, 0x67, 0x8b, 0x0f, 0xcd, 0x0f, 0x2e};
        static const char *names[8] = {"#DE", "word over 64 KiB", "32-bit address over 64 KiB", "stack word over 64 KiB",
            "SLDT", "INT beyond the table", "LAR", "far JMP over 64 KiB"};
        for (int i = 0; i < 8; i++) check(names[i], code[word_at(0x200 + 2 * i)], first[i]);
        check("SP wraps down", word_at(0x140), 0xfffe);
        check("value at the top", word_at(0x142), 0x55aa);
        check("SP wraps up", word_at(0x144), 0);
        check("STOS wraps", word_at(0x146), 2);
        check("STOS wrote at 0", word_at(0x148), 0x7777);
        check("STOS down wraps", word_at(0x14a), 0xfffe);
        check("LMSW does not clear PE", word_at(0x14c) & 1, 1);
    }
    return 0;
}
