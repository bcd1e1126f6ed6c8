/* SPDX-License-Identifier: Apache-2.0 */
/* The linked stub (stub.ld), on a page of its own within the tender's text. */

  .section .text.serai_spt_stub, "ax", @progbits
  .balign 4096
  .globl serai_spt_stub
  .type serai_spt_stub, @object
serai_spt_stub:
  .incbin SERAI_SPT_STUB
  .balign 4096
  .size serai_spt_stub, . - serai_spt_stub

  .section .note.GNU-stack, "", @progbits
