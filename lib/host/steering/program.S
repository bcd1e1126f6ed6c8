// SPDX-License-Identifier: Apache-2.0
// The instructions of steer.bpf.c.
  .section .rodata
  .balign 8
  .globl serai_steering_program
  .globl serai_steering_program_end
serai_steering_program:
  .incbin SERAI_STEERING_PROGRAM
serai_steering_program_end:
  .section .note.GNU-stack, "", @progbits
