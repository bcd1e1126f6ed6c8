// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/decode.h"

#include <cstring>

namespace serai::tender::hvt {
namespace {

// Bytes of the instruction in order; reading past the end gives zeros and is
// noticed at the end.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> code) : code_(code) {}

  uint8_t Peek() const { return at_ < code_.size() ? code_[at_] : 0; }
  uint8_t Next() {
    const uint8_t byte = Peek();
    ++at_;
    return byte;
  }
  int64_t NextSigned8() { return static_cast<int8_t>(Next()); }
  int64_t NextSigned32() {
    uint32_t value = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      value |= uint32_t{Next()} << shift;
    }
    return static_cast<int32_t>(value);
  }
  bool IsWhole() const { return at_ <= code_.size() && at_ <= kMaxInstruction; }
  uint8_t at() const { return static_cast<uint8_t>(at_); }

 private:
  std::span<const uint8_t> code_;
  size_t at_ = 0;
};

struct Prefixes {
  bool operand16 = false;
  bool repeat = false;
  bool foreign = false;  // one that changes the meaning in ways we do not do
  uint8_t rex = 0;

  bool wide() const { return (rex & 8) != 0; }
  uint8_t RexBit(uint8_t bit) const {
    return (rex & bit) != 0 ? uint8_t{8} : uint8_t{0};
  }
};

Prefixes ReadPrefixes(Cursor* cursor) {
  Prefixes prefixes;
  for (size_t i = 0; i < kMaxInstruction; ++i) {
    const uint8_t byte = cursor->Peek();
    if (byte == 0x66) {
      prefixes.operand16 = true;
    } else if (byte == 0xf2 || byte == 0xf3) {
      prefixes.repeat = true;
    } else if (byte == 0x67 || byte == 0xf0 || byte == 0x64 || byte == 0x65) {
      prefixes.foreign = true;
    } else if (byte != 0x26 && byte != 0x2e && byte != 0x36 && byte != 0x3e) {
      break;  // the four segment overrides that mean nothing are skipped
    }
    cursor->Next();
  }
  if ((cursor->Peek() & 0xf0) == 0x40) prefixes.rex = cursor->Next();
  return prefixes;
}

uint64_t Get(const kvm_regs& regs, uint8_t number) {
  return regs.*RegisterAt(number);
}

// The base and index that a SIB byte names, summed.
uint64_t ReadSib(const Prefixes& prefixes, const kvm_regs& regs, uint8_t mod,
                 Cursor* cursor) {
  const uint8_t sib = cursor->Next();
  const auto index = static_cast<uint8_t>((sib >> 3 & 7) | prefixes.RexBit(2));
  uint64_t address = index == 4 ? 0 : Get(regs, index) << (sib >> 6);
  if ((sib & 7) == 5 && mod == 0) {
    return address + static_cast<uint64_t>(cursor->NextSigned32());
  }
  address += Get(regs, static_cast<uint8_t>((sib & 7) | prefixes.RexBit(1)));
  return address;
}

// Reads ModRM with what belongs to it. An operand relative to RIP is counted
// from the instruction's end, which none of ours has an immediate before.
void ReadOperand(const Prefixes& prefixes, const kvm_regs& regs, Cursor* cursor,
                 Instruction* out) {
  const uint8_t modrm = cursor->Next();
  const auto mod = static_cast<uint8_t>(modrm >> 6);
  out->reg = static_cast<uint8_t>((modrm >> 3 & 7) | prefixes.RexBit(4));
  out->rm = static_cast<uint8_t>((modrm & 7) | prefixes.RexBit(1));
  out->in_memory = mod != 3;
  if (!out->in_memory) return;
  if ((modrm & 7) == 5 && mod == 0) {
    const auto offset = static_cast<uint64_t>(cursor->NextSigned32());
    out->address = regs.rip + cursor->at() + offset;
    return;
  }
  out->address = (modrm & 7) == 4 ? ReadSib(prefixes, regs, mod, cursor)
                                  : Get(regs, out->rm);
  if (mod == 1) out->address += static_cast<uint64_t>(cursor->NextSigned8());
  if (mod == 2) out->address += static_cast<uint64_t>(cursor->NextSigned32());
}

// 0F 01: the form with a memory operand, or one of the instructions that use
// the register form's encodings.
void DecodeGroup7(const Prefixes& prefixes, const kvm_regs& regs,
                  Cursor* cursor, Instruction* out) {
  const uint8_t next = cursor->Peek();
  if (next == 0xf8 || next == 0xf9) {
    cursor->Next();
    out->op = next == 0xf8 ? Op::kSwapGs : Op::kReadTscp;
    return;
  }
  ReadOperand(prefixes, regs, cursor, out);
  if (!out->in_memory) return;
  if ((out->reg & 7) == 2) out->op = Op::kLoadGdt;
  if ((out->reg & 7) == 3) out->op = Op::kLoadIdt;
}

void DecodeTwoByte(const Prefixes& prefixes, const kvm_regs& regs,
                   Cursor* cursor, Instruction* out) {
  switch (cursor->Next()) {
    case 0x00:
      ReadOperand(prefixes, regs, cursor, out);
      if ((out->reg & 7) == 3) out->op = Op::kLoadTask;
      break;
    case 0x01:
      DecodeGroup7(prefixes, regs, cursor, out);
      break;
    case 0x20:
      ReadOperand(prefixes, regs, cursor, out);
      out->op = Op::kReadControl;
      break;
    case 0x22:
      ReadOperand(prefixes, regs, cursor, out);
      out->op = Op::kWriteControl;
      break;
    case 0x30:
      out->op = Op::kWriteMsr;
      break;
    case 0x31:
      out->op = Op::kReadTsc;
      break;
    case 0x32:
      out->op = Op::kReadMsr;
      break;
    case 0xa2:
      out->op = Op::kCpuid;
      break;
    default:
      break;
  }
}

// E4 to E7 and EC to EF: bit 0 is for the wide form, bit 1 for out, bit 3 for
// the port in DX.
void DecodePort(uint8_t opcode, const Prefixes& prefixes, const kvm_regs& regs,
                Cursor* cursor, Instruction* out) {
  out->op = (opcode & 2) != 0 ? Op::kOut : Op::kIn;
  const uint8_t wide = prefixes.operand16 ? 2 : 4;
  out->size = (opcode & 1) != 0 ? wide : uint8_t{1};
  out->port = (opcode & 8) != 0 ? static_cast<uint16_t>(regs.rdx)
                                : uint16_t{cursor->Next()};
}

void DecodeOneByte(uint8_t opcode, const Prefixes& prefixes,
                   const kvm_regs& regs, Cursor* cursor, Instruction* out) {
  // Only moving strings is repeated.
  if (prefixes.repeat && (opcode & 0xfc) != 0x6c) return;
  switch (opcode) {
    case 0x0f:
      DecodeTwoByte(prefixes, regs, cursor, out);
      break;
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x6f:
      out->op = Op::kStringPort;
      out->port = static_cast<uint16_t>(regs.rdx);
      break;
    case 0x8e:
      ReadOperand(prefixes, regs, cursor, out);
      out->op = Op::kLoadSegment;
      break;
    case 0xcb:
      if (prefixes.wide()) out->op = Op::kFarReturn;
      break;
    case 0xcf:
      if (prefixes.wide()) out->op = Op::kInterruptReturn;
      break;
    case 0xe4:
    case 0xe5:
    case 0xe6:
    case 0xe7:
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef:
      DecodePort(opcode, prefixes, regs, cursor, out);
      break;
    case 0xf4:
      out->op = Op::kHalt;
      break;
    case 0xfa:
    case 0xfb:
      out->op = Op::kInterruptFlag;
      break;
    default:
      break;
  }
}

}  // namespace

__u64 kvm_regs::*RegisterAt(uint8_t number) {
  static constexpr __u64 kvm_regs::*kOrder[16] = {
      &kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx,
      &kvm_regs::rsp, &kvm_regs::rbp, &kvm_regs::rsi, &kvm_regs::rdi,
      &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
      &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};
  return kOrder[number & 15];
}

Instruction Decode(std::span<const uint8_t> code, const kvm_regs& regs) {
  Cursor cursor(code);
  Instruction instruction;
  const Prefixes prefixes = ReadPrefixes(&cursor);
  if (!prefixes.foreign) {
    DecodeOneByte(cursor.Next(), prefixes, regs, &cursor, &instruction);
  }
  if (!cursor.IsWhole()) return Instruction();
  instruction.length = cursor.at();
  return instruction;
}

}  // namespace serai::tender::hvt
