#define _GNU_SOURCE
#include "CTestSupport.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

_Static_assert(offsetof(NativeState, rip) == 128, "the assembly below");
_Static_assert(offsetof(NativeState, rflags) == 136, "the assembly below");
_Static_assert(offsetof(NativeState, cs) == 144, "the assembly below");
_Static_assert(offsetof(NativeState, ds) == 160, "the assembly below");
_Static_assert(offsetof(NativeState, vector) == 168, "the assembly below");
_Static_assert(offsetof(NativeState, legacy) == 208, "the assembly below");
_Static_assert(offsetof(NativeState, upper) == 720, "the assembly below");

#define NATIVE_EACH_VECTOR(line)                                                                   \
    line(0) line(1) line(2) line(3) line(4) line(5) line(6) line(7) line(8) line(9) line(10)       \
    line(11) line(12) line(13) line(14) line(15)
#define NATIVE_LOAD_UPPER(n) "  vinsertf128 $1, 720+16*" #n "(%rdi), %ymm" #n ", %ymm" #n "\n"
#define NATIVE_STORE_UPPER(n) "  vextractf128 $1, %ymm" #n ", 720+16*" #n "(%rdi)\n"

#pragma clang assume_nonnull begin
/// The state of the run, the runner's stack, and the top of the frame page.
__attribute__((used, visibility("hidden"))) NativeState *_Nullable native_state_pointer;
__attribute__((used, visibility("hidden"))) uint64_t native_saved_rsp, native_out_rsp;
__attribute__((used, visibility("hidden"))) uint64_t native_frame_top;
__attribute__((used, visibility("hidden"))) uint8_t native_exit_stack[64]
    __attribute__((aligned(16)));
/// The host has AVX: `upper` is loaded and stored.
__attribute__((used, visibility("hidden"))) int native_is_wide;
static uint8_t native_signal_stack[65536] __attribute__((aligned(16)));

void native_enter(NativeState *state) __attribute__((visibility("hidden")));
void native_exit(void) __attribute__((visibility("hidden")));
void native_resume(void) __attribute__((visibility("hidden")));

__asm__(
    ".text\n.hidden native_enter\n.hidden native_exit\n.hidden native_resume\n"
    ".globl native_enter\n.globl native_exit\n.globl native_resume\n"
    "native_enter:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, native_saved_rsp(%rip)\n"
    "  mov %rdi, native_state_pointer(%rip)\n"
    "  mov 160(%rdi), %rax\n  mov %eax, %ds\n  mov %eax, %es\n"
    "  fxrstor64 208(%rdi)\n"
    "  cmpl $0, native_is_wide(%rip)\n  je 1f\n"
    NATIVE_EACH_VECTOR(NATIVE_LOAD_UPPER)
    "1:\n"
    "  mov native_frame_top(%rip), %rsp\n"
    "  pushq 152(%rdi)\n  pushq 32(%rdi)\n  pushq 136(%rdi)\n  pushq 144(%rdi)\n"
    "  pushq 128(%rdi)\n"
    "  mov 0(%rdi), %rax\n  mov 8(%rdi), %rcx\n  mov 16(%rdi), %rdx\n  mov 24(%rdi), %rbx\n"
    "  mov 40(%rdi), %rbp\n  mov 48(%rdi), %rsi\n  mov 64(%rdi), %r8\n  mov 72(%rdi), %r9\n"
    "  mov 80(%rdi), %r10\n  mov 88(%rdi), %r11\n  mov 96(%rdi), %r12\n  mov 104(%rdi), %r13\n"
    "  mov 112(%rdi), %r14\n  mov 120(%rdi), %r15\n  mov 56(%rdi), %rdi\n"
    "  iretq\n"
    "native_exit:\n"
    "  mov %rsp, native_out_rsp(%rip)\n"
    "  lea native_exit_stack+64(%rip), %rsp\n"
    "  pushfq\n  push %rdi\n"
    "  mov native_state_pointer(%rip), %rdi\n"
    "  mov %rax, 0(%rdi)\n  mov %rcx, 8(%rdi)\n  mov %rdx, 16(%rdi)\n  mov %rbx, 24(%rdi)\n"
    "  mov %rbp, 40(%rdi)\n  mov %rsi, 48(%rdi)\n  mov %r8, 64(%rdi)\n  mov %r9, 72(%rdi)\n"
    "  mov %r10, 80(%rdi)\n  mov %r11, 88(%rdi)\n  mov %r12, 96(%rdi)\n  mov %r13, 104(%rdi)\n"
    "  mov %r14, 112(%rdi)\n  mov %r15, 120(%rdi)\n"
    "  pop %rax\n  mov %rax, 56(%rdi)\n"
    "  pop %rax\n  mov %rax, 136(%rdi)\n"
    "  mov native_out_rsp(%rip), %rax\n  mov %rax, 32(%rdi)\n"
    "  fxsave64 208(%rdi)\n"
    "  cmpl $0, native_is_wide(%rip)\n  je 1f\n"
    NATIVE_EACH_VECTOR(NATIVE_STORE_UPPER)
    "  vzeroupper\n"
    "1:\n"
    "  movq $3, 168(%rdi)\n"
    "native_resume:\n"
    "  mov native_saved_rsp(%rip), %rsp\n"
    "  pushq $0x202\n  popfq\n"
    "  fninit\n"
    "  pushq $0x1f80\n  ldmxcsr (%rsp)\n  pop %rax\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
    "  ret\n");

static const uint8_t native_order[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/// Runs begun, and how many there were when the timer last looked.
static volatile uint64_t native_runs, native_runs_seen;
static timer_t native_timer;

/// Code under test is below 1 GiB, or not 64-bit code.
static int native_is_stuck(const greg_t *registers) {
    int inside = (registers[REG_CSGSFS] & 0xffff) != 0x33 || (uint64_t)registers[REG_RIP] < 1 << 30;
    int stuck = inside && native_runs == native_runs_seen;
    native_runs_seen = native_runs;
    return stuck;
}

static void native_handler(int number, siginfo_t *info, void *context) {
    (void)info;
    NativeState *state = native_state_pointer;
    if (number == SIGALRM && !native_is_stuck(((ucontext_t *)context)->uc_mcontext.gregs)) return;
    ucontext_t *user = (ucontext_t *)context;
    greg_t *registers = user->uc_mcontext.gregs;
    const uint8_t *here = (const uint8_t *)&state;
    if (!state || here < native_signal_stack ||
        here >= native_signal_stack + sizeof native_signal_stack) {
        signal(number, SIG_DFL);
        return;
    }
    for (int index = 0; index < 16; index++)
        state->gpr[index] = (uint64_t)registers[native_order[index]];
    state->rip = (uint64_t)registers[REG_RIP];
    state->rflags = (uint64_t)registers[REG_EFL];
    state->vector = number == SIGALRM ? NATIVE_ENDLESS : (uint64_t)registers[REG_TRAPNO];
    state->errorCode = (uint64_t)registers[REG_ERR];
    state->address = (uint64_t)registers[REG_CR2];
    const uint8_t *area = (const uint8_t *)user->uc_mcontext.fpregs;
    memcpy(state->legacy, area, 416);
    if (native_is_wide) {
        // The standard format of XSAVE: XSTATE_BV at 512, the upper halves at 576.
        uint64_t present;
        memcpy(&present, area + 512, 8);
        if (present & 4)
            memcpy(state->upper, area + 576, 256);
        else
            memset(state->upper, 0, 256);
    }
    registers[REG_RIP] = (greg_t)(uintptr_t)native_resume;
    registers[REG_RSP] = (greg_t)native_saved_rsp;
    registers[REG_EFL] = 0x202;
    registers[REG_CSGSFS] = (registers[REG_CSGSFS] & 0xffffffff0000) | 0x33 | (greg_t)0x2b << 48;
    // An exception of native_resume itself is none of ours.
    native_state_pointer = 0;
}

static const int native_signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM};

void native_prepare(void) {
    stack_t stack = {.ss_sp = native_signal_stack, .ss_size = sizeof native_signal_stack};
    sigaltstack(&stack, 0);
    struct sigaction action;
    __builtin_cpu_init();
    native_is_wide = __builtin_cpu_supports("avx") != 0;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = native_handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int index = 0; index < 6; index++) sigaction(native_signals[index], &action, 0);
    // Code that does not end is left at the second look.
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &native_timer) != 0) return;
    struct itimerspec every = {.it_interval.tv_nsec = 200000000, .it_value.tv_nsec = 200000000};
    timer_settime(native_timer, 0, &every, 0);
}

void native_finish(void) {
    timer_delete(native_timer);
    for (int index = 0; index < 6; index++) signal(native_signals[index], SIG_DFL);
    stack_t stack = {.ss_flags = SS_DISABLE};
    sigaltstack(&stack, 0);
}

static uint64_t native_low_frame;
static int native_low_frame_open = 1;
static uint8_t native_frame[512] __attribute__((aligned(16)));

void native_run(NativeState *state) {
    native_runs++;
    // A 16-bit stack keeps the upper half of ESP, and cannot reach the low page itself. Others
    // could, so it is not there for them.
    int narrow = (state->ss & 4) != 0;
    if (narrow != native_low_frame_open) {
        native_low_frame_open = narrow;
        mprotect(
            (void *)(uintptr_t)(native_low_frame & ~0xfffULL), 4096,
            narrow ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
    native_frame_top = narrow ? native_low_frame : (uint64_t)(uintptr_t)(native_frame + 512);
    native_enter(state);
    native_state_pointer = 0;
}

uint64_t native_exit_address(void) { return (uint64_t)(uintptr_t)native_exit; }

int native_set_frame(uint64_t address) {
    if (!native_map(address, 4096)) return 0;
    native_low_frame = address + 2048;
    return 1;
}

void *_Nullable native_map(uint64_t address, uint64_t size) {
    void *result = mmap(
        (void *)(uintptr_t)address, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
    return result == MAP_FAILED ? (void *)0 : result;
}

void *_Nullable native_map_code(uint64_t address, uint64_t size) {
    int file = memfd_create("code", 0);
    if (file < 0) return 0;
    void *code = MAP_FAILED, *alias = MAP_FAILED;
    if (ftruncate(file, (off_t)size) == 0) {
        code = mmap(
            (void *)(uintptr_t)address, size, PROT_READ | PROT_EXEC,
            MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
        alias = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    return code == MAP_FAILED || alias == MAP_FAILED ? (void *)0 : alias;
}

int native_set_segment(uint32_t entry, uint32_t base, uint32_t limit, int code) {
    struct user_desc segment;
    memset(&segment, 0, sizeof segment);
    segment.entry_number = entry;
    segment.base_addr = base;
    segment.limit = limit;
    segment.contents = code ? 2 : 0;
    segment.useable = 1;
    return syscall(SYS_modify_ldt, 0x11, &segment, sizeof segment) == 0;
}

void native_set_gs_base(uint64_t base) { syscall(SYS_arch_prctl, ARCH_SET_GS, base); }
#pragma clang assume_nonnull end
