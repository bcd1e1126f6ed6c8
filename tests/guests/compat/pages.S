// SPDX-License-Identifier: Apache-2.0
// Nine MiB of text, constants and data, each page of which knows its number:
// a function that returns it, a word that is it.

    .macro numbered_pages name, count
    .balign 4096
    .globl \name
\name:
    .set page, 0
    .rept \count
    .quad page
    .fill 1022, 4, 0x5e5e5e5e
    .set page, page + 1
    .endr
    .endm

    .section .text.pages, "ax", @progbits
    .balign 4096
    .globl serai_text_pages
serai_text_pages:
    .set page, 0
    .rept 1024
    .byte 0xb8  // mov $page, %eax
    .long page
    ret
    .fill 4090, 1, 0xcc
    .set page, page + 1
    .endr

    .section .rodata.pages, "a", @progbits
    numbered_pages serai_constant_pages, 768

    .section .data.pages, "aw", @progbits
    numbered_pages serai_data_pages, 512

    .section .note.GNU-stack, "", @progbits
