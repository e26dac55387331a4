// A 32-bit program without a C library: prints what the processor computes, so that its output is
// compared with that of the same file on the host. With the argument "vdso" it calls the kernel
// through its vDSO (SYSENTER or SYSCALL) and ends with status 3 if there is none.
#include "start32.h"

word system_entry;

// MARK: x87

static const long double samples[] = {
    0.0L, 1.0L, -1.0L, 0.5L, 3.14159265358979323846L, 1e-30L, 1e300L, 123456.789L, -2.718281828L,
};

#define X87_ONE(name, code) do { \
    long double result; unsigned short status; \
    __asm__ volatile("fninit\n fldt %2\n" code "\n fnstsw %1\n fstpt %0\n fninit" \
                     : "=m"(result), "=m"(status) : "m"(samples[index])); \
    show(name, &result, 10); show(name " status", &status, 2); } while (0)

#define X87_TWO(name, code) do { \
    long double result; unsigned short status; \
    __asm__ volatile("fninit\n fldt %3\n fldt %2\n" code "\n fnstsw %1\n fstpt %0\n fninit" \
                     : "=m"(result), "=m"(status) : "m"(samples[index]), "m"(samples[other])); \
    show(name, &result, 10); show(name " status", &status, 2); } while (0)

static void x87(void)
{
    enum { COUNT = sizeof samples / sizeof samples[0] };
    for (int index = 0; index < COUNT; index++) {
        X87_ONE("fsqrt", "fsqrt");
        X87_ONE("fsin", "fsin");
        X87_ONE("fcos", "fcos");
        X87_ONE("frndint", "frndint");
        X87_ONE("fxtract", "fxtract\n fmulp");
        X87_ONE("f2xm1", "fld1\n fxch\n fprem\n fstp %%st(1)\n f2xm1");
        X87_ONE("fptan", "fptan\n fstp %%st(0)");
        X87_ONE("fbstp", "fld1\n fxch\n fprem\n fstp %%st(1)\n sub $12, %%esp\n fbstp (%%esp)\n"
                " fbld (%%esp)\n add $12, %%esp");
        X87_ONE("fist", "sub $8, %%esp\n fistl (%%esp)\n fstp %%st(0)\n fildl (%%esp)\n"
                " add $8, %%esp");
        for (int other = 0; other < COUNT; other++) {
            X87_TWO("fadd", "faddp");
            X87_TWO("fsub", "fsubp");
            X87_TWO("fmul", "fmulp");
            X87_TWO("fdiv", "fdivp");
            X87_TWO("fpatan", "fpatan");
            X87_TWO("fyl2x", "fyl2x");
            X87_TWO("fprem1", "fprem1\n fstp %%st(1)");
            X87_TWO("fscale", "fscale\n fstp %%st(1)");
        }
    }
    // Precision and rounding by the control word.
    for (word control = 0x007f; control <= 0x0f7f; control += 0x100) {
        unsigned short value = (unsigned short)control;
        long double third;
        float single;
        __asm__ volatile("fninit\n fldcw %2\n fld1\n push $3\n fildl (%%esp)\n pop %%eax\n fdivrp\n"
                         " fsts %1\n fstpt %0\n fninit"
                         : "=m"(third), "=m"(single) : "m"(value) : "eax");
        show_word("control", control);
        show("third", &third, 10);
        show("single", &single, 4);
    }
}

// MARK: MMX and SSE

static void vectors(void)
{
    unsigned long long left = 0x7fff8000ff01fe02ull, right = 0x0001ffff80807f7full, result;
#define MMX(name) \
    __asm__ volatile("movq %1, %%mm0\n " name " %2, %%mm0\n movq %%mm0, %0\n emms" \
                     : "=m"(result) : "m"(left), "m"(right)); \
    show(name, &result, 8)
    MMX("paddsw"); MMX("psubusb"); MMX("pmaddwd"); MMX("packsswb"); MMX("pcmpgtb"); MMX("pmulhw");
    MMX("psadbw"); MMX("punpckhbw");
    static const float first[4] __attribute__((aligned(16))) = {1.5f, -0.25f, 3e30f, 7.0f};
    static const float second[4] __attribute__((aligned(16))) = {0.1f, 3.0f, 1e-20f, -7.5f};
    float four[4] __attribute__((aligned(16)));
#define SSE(name, operation) \
    __asm__ volatile("movaps %1, %%xmm0\n " operation " %2, %%xmm0\n movaps %%xmm0, %0" \
                     : "=m"(four) : "m"(first), "m"(second) : "xmm0"); \
    show(name, four, 16)
    SSE("addps", "addps"); SSE("mulps", "mulps"); SSE("divps", "divps"); SSE("sqrtps", "sqrtps");
    SSE("maxps", "maxps"); SSE("cmpleps", "cmpleps"); SSE("rcpps", "rcpps");
    SSE("cvttps2dq", "cvttps2dq"); SSE("cvtdq2pd", "cvtdq2pd"); SSE("pmuludq", "pmuludq");
    SSE("shufps", "shufps $0x1b,"); SSE("haddps", "haddps"); SSE("pshufb", "pshufb");
    for (word rounding = 0; rounding < 4; rounding++) {
        word control = 0x1f80 | rounding << 13, status;
        __asm__ volatile("ldmxcsr %1\n movaps %3, %%xmm0\n divps %2, %%xmm0\n movaps %%xmm0, %0\n"
                         : "=m"(four) : "m"(control), "m"(first), "m"(second) : "xmm0");
        __asm__ volatile("stmxcsr %0" : "=m"(status));
        show("divps rounded", four, 16);
        show_word("mxcsr", status);
    }
}

// MARK: what 64-bit mode no longer has

word saved[3];

static void decimal(void)
{
    for (word value = 0; value < 0x10000; value += 0x1357) {
        word result, flags;
#define ADJUST(name, mask) \
        __asm__ volatile("push $0\n popf\n stc\n " name "\n pushf\n pop %1" \
                         : "=a"(result), "=r"(flags) : "0"(value)); \
        show_word(name, result); show_word(name " flags", flags & (mask))
        // The masks leave out what the instruction calls undefined.
        ADJUST("aaa", 0x11); ADJUST("aas", 0x11); ADJUST("daa", 0xd5); ADJUST("das", 0xd5);
        ADJUST("aam", 0xc4); ADJUST("aad", 0xc4);
    }
    __asm__ volatile("pusha\n mov $0x11, %eax\n mov $0x22, %ebx\n mov $0x33, %ecx\n"
                     " mov $0x44, %edx\n mov $0x55, %esi\n mov $0x66, %edi\n pushaw\n"
                     " popl saved\n addl $4, %esp\n popl saved+4\n popl saved+8\n popa");
    show("pusha", saved, 12);
    static const struct { word offset; unsigned short selector; } pointer = {0x12345678, 0};
    word offset;
    __asm__ volatile("push %%es\n les %1, %0\n pop %%es" : "=r"(offset) : "m"(pointer));
    show_word("les", offset);
    word table = (word) "0123456789abcdef", found = 11;
    __asm__ volatile("push %%ebx\n mov %1, %%ebx\n xlatb\n pop %%ebx" : "+a"(found) : "r"(table));
    show_word("xlat", found);
    __asm__ volatile("stc\n .byte 0xd6" : "+a"(found));  // SALC
    show_word("salc", found);
}

// MARK: segments and signals

static volatile word signals[4], signal_count;
static volatile word resume;

// The frame of a handler without SA_SIGINFO: number and a struct sigcontext (asm/sigcontext.h).
struct context { word segments[4], edi, esi, ebp, esp, ebx, edx, ecx, eax, trap, error, eip, cs,
                 flags; };

static void caught(int number, struct context context)
{
    if (signal_count < 4) signals[signal_count++] = (word)number << 16 | context.trap;
    ((volatile struct context *)&context)->eip = resume;
}

__asm__("restorer: pop %eax\n mov $119, %eax\n int $0x80\n");  // sigreturn
extern char restorer[];

const word bounds[2] = {1, 2};

static void catch_signal(int number)
{
    struct { void *handler; word mask, flags; void *restorer; } action = {
        (void *)caught, 0, 0x04000000 | 0x40000000 /* SA_RESTORER, SA_NODEFER */, restorer};
    call_interrupt(SYS_SIGACTION, (word)number, (word)&action, 0, 0);
}

#define FAULTS(name, code) do { \
    signal_count = 0; \
    __asm__ volatile("movl $1f, %0\n " code "\n 1:" : "=m"(resume) : "a"(0) \
                     : "ecx", "edx", "memory", "cc"); \
    show_word(name, signal_count ? signals[0] : 0); } while (0)

static void segments(void)
{
    for (int number = 4; number <= 11; number++) if (number != 9) catch_signal(number);
    FAULTS("division by zero", "xor %%ecx, %%ecx\n div %%ecx");
    FAULTS("into", "mov $0x7fffffff, %%ecx\n inc %%ecx\n into");
    FAULTS("int3", "int3");
    FAULTS("ud2", "ud2");
    FAULTS("hlt", "hlt");
    FAULTS("page", "mov %%eax, 4(%%eax)");
    FAULTS("bound", "mov $5, %%ecx\n bound %%ecx, bounds");
    FAULTS("selector", "mov $0x1234, %%ecx\n mov %%ecx, %%fs");
    FAULTS("iret", "mov $0xffff, %%ecx\n mov %%ecx, %%gs");
    // A segment of 16 bytes: struct user_desc (asm/ldt.h).
    static byte window[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct { word number, base, limit, flags; } descriptor = {0, (word)window, 15, 0x41};
    word count = (word)call_interrupt(SYS_MODIFY_LDT, 0x11, (word)&descriptor, sizeof descriptor, 0);
    show_word("modify_ldt", count);
    if (count == 0) {
        word value = 0, rights = 0, limit = 0;
        __asm__ volatile("mov $7, %%ecx\n mov %%ecx, %%fs\n mov %%fs:12, %0\n lar %%ecx, %1\n"
                         " lsl %%ecx, %2" : "=r"(value), "=r"(rights), "=r"(limit) :: "ecx");
        show_word("inside", value);
        show_word("rights", rights & ~0x100u);
        show_word("limit", limit);
        FAULTS("beyond", "mov $7, %%ecx\n mov %%ecx, %%fs\n mov %%fs:13, %%edx");
        // 16-bit code: AX counts down from 5 by LOOP, and a far return leads back.
        static byte code[] = {0xb9, 5, 0, 0x31, 0xc0, 0x01, 0xc8, 0xe2, 0xfc, 0x66, 0xcb};
        descriptor.number = 1;
        descriptor.base = (word)code;
        descriptor.limit = sizeof code - 1;
        descriptor.flags = 0x44;  // code, readable, 16 bits
        call_interrupt(SYS_MPROTECT, (word)code & ~0xfffu, 0x2000, 7, 0);
        count = (word)call_interrupt(SYS_MODIFY_LDT, 0x11, (word)&descriptor, sizeof descriptor, 0);
        if (count == 0) {
            struct { word offset; unsigned short selector; } gate = {0, 0xf};
            word sum = 0;
            __asm__ volatile("lcall *%1" : "+a"(sum) : "m"(gate) : "ecx", "cc", "memory");
            show_word("16-bit code", sum & 0xffff);
        }
    }
    __asm__ volatile("mov %0, %%fs" : : "r"(0));
    struct { word number, base, limit, flags; } area = {(word)-1, (word)window, 0xfffff, 0x51};
    count = (word)call_interrupt(SYS_SET_THREAD_AREA, (word)&area, 0, 0, 0);
    show_word("set_thread_area", count);
    if (count == 0) {
        word value;
        __asm__ volatile("mov %1, %%gs\n mov %%gs:4, %0" : "=r"(value) : "r"(area.number * 8 + 3));
        show_word("thread area", value);
    }
}

static int vdso(void)
{
    if (!system_entry) return 3;
    int both = call_entry(SYS_GETPID, 0, 0, 0, 0) == call_interrupt(SYS_GETPID, 0, 0, 0, 0);
    show_word("same process", (word)both);
    static const char text[] = "written through the vDSO\n";
    word result = 0;
    for (int round = 0; round < 1000; round++)
        result += (word)call_entry(SYS_WRITE, (word)-1, 0, 0, 0);
    show_word("bad descriptor a thousand times", result);
    show_word("written", (word)call_entry(SYS_WRITE, 1, (word)text, sizeof text - 1, 0));
    return 0;
}

__attribute__((used)) static int begin(word *stack)
{
    word count = *stack;
    char **arguments = (char **)(stack + 1);
    word *vector = stack + count + 2;
    while (*vector) vector++;
    for (vector++; vector[0]; vector += 2)
        if (vector[0] == 32) system_entry = vector[1];  // AT_SYSINFO
    if (count > 1 && arguments[1][0] == 'v') return vdso();
    x87();
    vectors();
    decimal();
    segments();
    return 0;
}

__asm__(".globl _start\n_start: mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n push %eax\n"
        " call begin\n mov %eax, %ebx\n mov $1, %eax\n int $0x80\n");
