// SPDX-License-Identifier: Apache-2.0
// serai_guest_try(code, argument) calls code(argument) and returns 0; or 1 when
// the trap handler has gone on at serai_guest_try_failed, with the stack as it
// was. serai_guest_try_stack is 0 whenever no code is being tried.

    .text
    .globl serai_guest_try
serai_guest_try:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, serai_guest_try_stack(%rip)
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    xorl %eax, %eax
    jmp 1f

    .globl serai_guest_try_failed
serai_guest_try_failed:
    movl $1, %eax
1:
    movq $0, serai_guest_try_stack(%rip)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
    .globl serai_guest_try_stack
serai_guest_try_stack:
    .zero 8

    .section .note.GNU-stack, "", @progbits
