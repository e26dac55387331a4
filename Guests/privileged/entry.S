// The PVH entry (32-bit, no paging), the exception stubs, and the ways in and out of `attempt`.

    .section .note.xen, "a"
    .align 4
    .long 4, 4, 18          // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .bss
    .align 16
boot_stack: .skip 32768
boot_stack_top:
    .globl attempt_rsp
attempt_rsp: .skip 8
    // The loader's hvm_start_info.
    .globl start_info
start_info: .skip 8

#ifdef __x86_64__
    .align 4096
    .globl pml4, pdpt, pd
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 4096
pd_user: .skip 4096

    .data
    .align 8
boot_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_table: .word 23
    .long boot_gdt

    .text
    .code32
    .globl pvh_entry
pvh_entry:
    mov $boot_stack_top, %esp
    mov %ebx, start_info
    // 1 GiB of 2 MiB pages for the supervisor at 0, the same for the user at 1 GiB.
    movl $pdpt + 0x7, pml4
    movl $pd + 0x7, pdpt
    movl $pd_user + 0x7, pdpt + 8
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $21, %eax
    or $0x83, %eax
    mov %eax, pd(,%ecx,8)
    or $0x04, %eax
    mov %eax, pd_user(,%ecx,8)
    inc %ecx
    cmp $512, %ecx
    jne 1b
    mov $0x20, %eax         // PAE
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    mov $0x900, %eax        // LME, NXE
    xor %edx, %edx
    wrmsr
    mov $0x80010033, %eax   // PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    lgdt boot_table
    ljmp $8, $1f
    .code64
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_stack_top, %rsp
    call guest_start
    hlt

    .align 16
    .globl trap_stubs
trap_stubs:
    vector = 0
    .rept 64
    .align 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp trap_common
    vector = vector + 1
    .endr

trap_common:
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
    call trap_handler
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

    .globl attempt, attempt_trapped, user
attempt:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push attempt_rsp
    mov %rsp, attempt_rsp
    mov %rdi, %rax
    mov user_argument, %rdi
    call *%rax
    mov $-1, %eax
attempt_end:
    mov attempt_rsp, %rsp
    push $2
    popf
    pop attempt_rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
attempt_trapped:
    // From any code segment and stack of ring 0; DS and its kin may hold anything.
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov attempt_rsp, %rsp
    push $8
    push $1f
    lretq
1:  mov trap + 15 * 8, %rax
    cmp $0x30, %eax
    jne attempt_end
    mov $-1, %eax
    jmp attempt_end

user:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push attempt_rsp
    mov %rsp, attempt_rsp
    push $0x23
    push user_stack_top
    push user_flags
    push user_code
    lea 0x40000000(%rdi), %rax
    push %rax
    mov user_argument, %rdi
    iretq
#else
    .text
    .globl pvh_entry
pvh_entry:
    mov $boot_stack_top, %esp
    mov %ebx, start_info
    call guest_start
    hlt

    .align 16
    .globl trap_stubs
trap_stubs:
    vector = 0
    .rept 64
    .align 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp trap_common
    vector = vector + 1
    .endr

    .globl trap_common
trap_common:
    push %eax
    push %ecx
    push %edx
    push %ebx
    push %ebp
    push %esi
    push %edi
    mov %ds, %esi
    mov %es, %edi
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, %ebx
    push %ebx
    cld
    call trap_handler
    mov %ebx, %esp
    mov %esi, %ds
    mov %edi, %es
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    pop %edx
    pop %ecx
    pop %eax
    add $8, %esp
    iret

    .globl attempt, attempt_trapped, user
attempt:
    mov 4(%esp), %eax
    push %ebx
    push %ebp
    push %esi
    push %edi
    push attempt_rsp
    mov %esp, attempt_rsp
    mov user_argument, %edi
    call *%eax
    mov $-1, %eax
attempt_end:
    mov attempt_rsp, %esp
    push $2
    popf
    pop attempt_rsp
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret
attempt_trapped:
    mov $0x10, %eax
    mov %eax, %ss
    mov attempt_rsp, %esp
    mov %eax, %ds
    mov %eax, %es
    ljmp $8, $1f
1:  mov trap + 7 * 4, %eax
    cmp $0x30, %eax
    jne attempt_end
    mov $-1, %eax
    jmp attempt_end

user:
    mov 4(%esp), %eax
    push %ebx
    push %ebp
    push %esi
    push %edi
    push attempt_rsp
    mov %esp, attempt_rsp
    mov $0x23, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    push $0x23
    push user_stack_top
    push user_flags
    push user_code
    push %eax
    mov user_argument, %edi
    iret
#endif
