// The way of an application processor from the start-up IPI to C, and the stubs of all vectors.

    .text
    .code16
    .globl trampoline, trampoline_end
trampoline:                 // copied to a page below 1 MiB; CS has its number
    cli
    cld
    mov %cr0, %esi
    mov %cs, %bp
    mov %bp, %ds
    lgdtl trampoline_table - trampoline
    mov %esi, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $protected
    .align 4
trampoline_table:
    .word 31
    .long trampoline_gdt
trampoline_end:

    .code32
protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    cmpl $0, legacy_entry
    je 1f
    jmp *legacy_entry
1:  mov $0x620, %eax        // OSXMMEXCPT, OSFXSR, PAE
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    mov $0x900, %eax        // LME, NXE
    xor %edx, %edx
    wrmsr
    mov $0x80010033, %eax   // PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    ljmp $24, $1f
    .code64
1:  mov $1, %eax
    cpuid
    shr $24, %ebx
    mov %ebx, %edi
    mov %esi, %edx
    movzwl %bp, %esi
    shl $14, %rbx
    lea stacks + 16384(%rbx), %rsp
    call processor_start    // (number, CS, CR0)
    hlt

    .data
    .align 8
trampoline_gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
    .globl legacy_entry
legacy_entry: .long 0       // where to go in protected mode in place of 64-bit mode

    .bss
    .align 4096
stacks: .skip 16384 * 16

    .text
    .align 16
    .globl vector_stubs
vector_stubs:
    vector = 0
    .rept 256
    .align 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp vector_common
    vector = vector + 1
    .endr

vector_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    cld
    call vector_taken
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq
