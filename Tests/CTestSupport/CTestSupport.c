#define _GNU_SOURCE
#include "CTestSupport.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#pragma clang assume_nonnull begin
typedef struct NativeRun {
    NativeState *_Nullable state;
    int phase;
    gregset_t savedRegisters;
    uint8_t savedLegacy[512];
    uint8_t stack[65536] __attribute__((aligned(16)));
} NativeRun;

static NativeRun native_run_data;

static const uint8_t native_order[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void native_handler(int number, siginfo_t *_Nonnull info, void *_Nonnull context) {
    (void)info;
    NativeRun *run = &native_run_data;
    ucontext_t *user = (ucontext_t *)context;
    greg_t *registers = user->uc_mcontext.gregs;
    uint8_t *legacy = (uint8_t *)user->uc_mcontext.fpregs;
    const uint8_t *here = (const uint8_t *)&run;
    if (here < run->stack || here >= run->stack + sizeof run->stack || run->phase > 1) {
        signal(number, SIG_DFL);
        return;
    }
    if (run->phase == 0) {
        memcpy(run->savedRegisters, registers, sizeof run->savedRegisters);
        memcpy(run->savedLegacy, legacy, 416);
        for (int index = 0; index < 16; index++)
            registers[native_order[index]] = (greg_t)run->state->gpr[index];
        registers[REG_RIP] = (greg_t)run->state->rip;
        registers[REG_EFL] = (greg_t)run->state->rflags;
        memcpy(legacy, run->state->legacy, 416);
        // The x87 and SSE parts of the XSAVE area are in use.
        *(uint64_t *)(legacy + 512) |= 3;
        run->phase = 1;
        return;
    }
    for (int index = 0; index < 16; index++)
        run->state->gpr[index] = (uint64_t)registers[native_order[index]];
    run->state->rip = (uint64_t)registers[REG_RIP];
    run->state->rflags = (uint64_t)registers[REG_EFL];
    run->state->vector = (uint64_t)registers[REG_TRAPNO];
    memcpy(run->state->legacy, legacy, 416);
    memcpy(registers, run->savedRegisters, sizeof run->savedRegisters);
    memcpy(legacy, run->savedLegacy, 416);
    run->phase = 2;
}

void native_prepare(void) {
    stack_t stack = {.ss_sp = native_run_data.stack, .ss_size = sizeof native_run_data.stack};
    sigaltstack(&stack, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = native_handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    const int numbers[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (int index = 0; index < 5; index++) sigaction(numbers[index], &action, 0);
}

void native_finish(void) {
    const int numbers[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (int index = 0; index < 5; index++) signal(numbers[index], SIG_DFL);
    stack_t stack = {.ss_flags = SS_DISABLE};
    sigaltstack(&stack, 0);
}

void native_run(NativeState *_Nonnull state) {
    native_run_data.state = state;
    native_run_data.phase = 0;
    __asm__ volatile("int3" : : : "memory", "cc");
}

void *_Nullable native_map(uint64_t address, uint64_t size, int executable) {
    int access = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    void *result = mmap(
        (void *)(uintptr_t)address, size, access,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return result == MAP_FAILED ? (void *)0 : result;
}
#pragma clang assume_nonnull end
