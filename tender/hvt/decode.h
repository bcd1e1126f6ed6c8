// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads the privileged instructions that a guest built for ring 0 uses. Pure:
// bytes and registers in, a description out.

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace serai::tender::hvt {

inline constexpr size_t kMaxInstruction = 15;

enum class Op {
  kUnknown,
  kReadMsr,
  kWriteMsr,
  kLoadGdt,
  kLoadIdt,
  kLoadTask,
  kLoadSegment,  // `reg` is the segment register's number
  kFarReturn,    // of 64-bit operands
  kInterruptReturn,
  kIn,
  kOut,
  kStringPort,  // ins, outs, repeated or not; `port` alone is told
  kHalt,
  kInterruptFlag,  // cli, sti
  kReadControl,    // `reg` is the control register's number
  kWriteControl,
  kReadTsc,
  kReadTscp,
  kCpuid,
  kSwapGs,
};

struct Instruction {
  Op op = Op::kUnknown;
  uint8_t length = 0;
  uint8_t size = 0;        // of the operand in bytes: kIn, kOut
  uint8_t reg = 0;         // ModRM's reg field
  uint8_t rm = 0;          // its r/m field, where that is a register
  bool in_memory = false;  // else the operand is at `address`
  uint64_t address = 0;
  uint16_t port = 0;  // kIn, kOut, kStringPort
};

// The general register with the number that instructions use for it (0..15).
__u64 kvm_regs::*RegisterAt(uint8_t number);

// Describes the instruction that `code` starts with, at regs.rip.
Instruction Decode(std::span<const uint8_t> code, const kvm_regs& regs);

}  // namespace serai::tender::hvt
