// What the guests here share: reports over the first UART, descriptors, exceptions that are caught.
//
// A guest prints `ok NAME` or `FAIL NAME got X want Y` for each check, `end` when it has come to
// its end, and powers off.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
/// A register: 32 bits in 32-bit guests, 64 in 64-bit ones.
typedef unsigned long word;

// Reports.
void print(const char *text);
void check(const char *name, u64 got, u64 want);
void end(void) __attribute__((noreturn));

// Descriptors. Selectors below LAST_FIXED are set up before `main`; the rest is a test's own.
enum {
    CODE = 0x08,       // ring 0; 64-bit code in 64-bit guests
    DATA = 0x10,
    USER_CODE32 = 0x18, // the order that SYSRET wants
    USER_DATA = 0x20,
    USER_CODE = 0x28,
    CODE32 = 0x30,
    TASK = 0x40,
    FREE = 0x50,       // to 0x1f8
};
extern u64 gdt[64];
extern u64 idt[128];
struct __attribute__((packed)) table { u16 limit; word base; };
/// Access byte in bits 15:8 of `flags`, G D L AVL in bits 23:20, as in a descriptor's second word.
u64 descriptor(u32 base, u32 limit, u32 flags);
void set_gate(int vector, void *target, u16 selector, u8 type, u8 ist);
void load_tables(void);
#define FLAT_CODE64 0x00a09b00
#define FLAT_CODE32 0x00c09b00
#define FLAT_DATA 0x00c09300
#define DPL(level) ((level) << 13)

/// The task state segment that TR names at the start, 104 bytes and an I/O bitmap.
extern u8 tss[104 + 8192 + 1];
/// Where exceptions from ring 3 arrive.
extern u8 kernel_stack[16384];

// Exceptions.
struct frame {
#ifdef __x86_64__
    word r15, r14, r13, r12, r11, r10, r9, r8;
#endif
    word rdi, rsi, rbp, rbx, rdx, rcx, rax;
    word vector, error, rip, cs, rflags, rsp, ss;
    // From virtual-8086 mode, 32-bit only.
    word es, ds, fs, gs;
};
/// The last exception that ended `attempt` or `user`. RSP and SS are those of the interrupted code
/// where the processor pushed them.
extern struct frame trap;
extern word trap_cr2, trap_frame;
/// Called with each exception first; true goes on where the exception came from.
extern int (*trap_hook)(struct frame *);
/// Runs `code` in ring 0: the vector that ended it, or -1 for `int $0x30`, the proper end, or RET.
int attempt(void (*code)(void));
/// Runs `code` in ring 3 with EFLAGS `user_flags` and CS `user_code`: the vector that ended it, -1
/// for `int $0x30`, the proper end.
int user(void (*code)(void));
extern word user_flags, user_code, user_argument;
extern void *user_stack_top;
/// User mode sees physical memory from here on in 64-bit guests and at 0 in 32-bit ones.
#ifdef __x86_64__
#define USER_BASE 0x40000000ul
#else
#define USER_BASE 0ul
#endif
#define AS_USER(pointer) ((void *)((word)(pointer) + USER_BASE))
/// The same as one number: 0 for the proper end, else `EXCEPTION(vector, error code)`.
u64 attempted(void (*code)(void), void *argument);
u64 as_user(void (*code)(void), void *argument);
#define EXCEPTION(vector, error) (((vector) + 1) << 16 | (error))
/// Checks that the last `attempt` or `user` ended by this exception at this instruction.
void check_trap(const char *name, int ended, int vector, word error, void *rip);
/// A piece of code with a name; `code` may have labels, `NAME_at` names the one that faults.
/// `user_argument` comes in RDI.
#define CODE_PIECE(name, code)                                                                     \
    extern void name(void);                                                                        \
    extern u8 name##_at[];                                                                         \
    asm(".pushsection .text.pieces, \"ax\"\n.globl " #name "\n" #name ": " code "\n int $0x30\n.popsection")
#define AT(name) #name "_at: "
/// Where user code faults: at its user address.
#define USER_AT(name) ((void *)((word)name##_at + USER_BASE))

// Instructions.
static inline void outb(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u64 rdmsr(u32 index) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (u64)high << 32 | low;
}
static inline void wrmsr(u32 index, u64 value) {
    asm volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
#define REGISTER(name)                                                                             \
    static inline word get_##name(void) { word v; asm volatile("mov %%" #name ", %0" : "=r"(v)); return v; } \
    static inline void set_##name(word v) { asm volatile("mov %0, %%" #name : : "r"(v) : "memory"); }
REGISTER(cr0) REGISTER(cr2) REGISTER(cr3) REGISTER(cr4)
REGISTER(dr0) REGISTER(dr1) REGISTER(dr2) REGISTER(dr3) REGISTER(dr6) REGISTER(dr7)
static inline word flags(void) { word v; asm volatile("pushf; pop %0" : "=r"(v)); return v; }
static inline void set_flags(word v) { asm volatile("push %0; popf" : : "r"(v) : "cc", "memory"); }
static inline void load_task(void) { asm volatile("ltr %w0" : : "r"(TASK) : "memory"); }
static inline void load_ldt(u32 selector) { asm volatile("lldt %w0" : : "r"(selector) : "memory"); }
static inline void invlpg(void *p) { asm volatile("invlpg (%0)" : : "r"(p) : "memory"); }
struct cpuid { u32 a, b, c, d; };
static inline struct cpuid cpuid(u32 leaf, u32 subleaf) {
    struct cpuid r;
    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}
