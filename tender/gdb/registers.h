// SPDX-License-Identifier: Apache-2.0
#pragma once

// The registers as gdb numbers and transmits them, and their description for
// it ("Standard Target Features" of its manual: org.gnu.gdb.i386.*). The order
// is the one that it assumes of an x86-64 machine that describes nothing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace serai::tender::gdb {

struct Registers {
  // RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15: not in the order of
  // instructions.
  uint64_t general[16];
  uint64_t rip;
  uint32_t rflags;
  uint32_t segments[6];  // CS, SS, DS, ES, FS, GS
  uint8_t st[8][10];
  // Control, status, tag (as an x87 stores it), code segment and offset, data
  // segment and offset, opcode.
  uint32_t x87[8];
  uint8_t xmm[16][16];
  uint32_t mxcsr;
  uint64_t fs_base;
  uint64_t gs_base;
} __attribute__((packed));
static_assert(sizeof(Registers) == 552);

inline constexpr size_t kRegisters = 59;

// The bytes of register `number`; nullopt where there is none of that number.
std::optional<std::span<uint8_t>> RegisterBytes(Registers* registers,
                                                uint64_t number);

// The XML document that names them.
std::string_view TargetDescription();

}  // namespace serai::tender::gdb
