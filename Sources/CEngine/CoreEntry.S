// The way into and out of cores: see Cores.h. The offsets are those of CoreFrame.
    .text
    .balign 16
    .globl engine_core_vector
    .hidden engine_core_vector
    .type engine_core_vector, @function
engine_core_vector:
    push %rbx
    mov %rdi, %rbx
    lea engine_cores(%rip), %r8
    lea (%r8, %rsi, 8), %r8
    vmovdqu (%rbx), %ymm0
    vmovdqu 32(%rbx), %ymm1
    vmovdqu 64(%rbx), %ymm2
    vmovdqu 96(%rbx), %ymm3
    mov 128(%rbx), %rax
    mov 144(%rbx), %rdx
    mov 152(%rbx), %rsi
    call *%r8
    vmovdqu %ymm0, (%rbx)
    vmovdqu %ymm1, 32(%rbx)
    vmovdqu %ymm2, 64(%rbx)
    vmovdqu %ymm3, 96(%rbx)
    vzeroupper
    jmp engine_core_leave

    .balign 16
    .globl engine_core_general
    .hidden engine_core_general
    .type engine_core_general, @function
engine_core_general:
    push %rbx
    mov %rdi, %rbx
    lea engine_cores(%rip), %r8
    lea (%r8, %rsi, 8), %r8
    // ADD sets OF from bit 0, SAHF the others.
    mov 160(%rbx), %eax
    addb $0x7f, %al
    sahf
    mov 128(%rbx), %rax
    mov 136(%rbx), %rcx
    mov 144(%rbx), %rdx
    mov 152(%rbx), %rsi
    call *%r8
engine_core_leave:
    mov %rax, 128(%rbx)
    mov %rcx, 136(%rbx)
    mov %rsi, 152(%rbx)
    lahf
    seto %al
    movzwl %ax, %eax
    mov %rax, 160(%rbx)
    pop %rbx
    ret
    .section .note.GNU-stack, "", @progbits
