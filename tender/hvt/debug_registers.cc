// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/debug_registers.h"

#include <cstdint>
#include <cstring>

namespace serai::tender::hvt {
namespace {

using gdb::Registers;

// CF, PF, AF, ZF, SF, DF, OF, AC, ID: what a debugger may change.
constexpr uint64_t kPlainFlags = 0x240cd5;
// Where the processor takes nothing any more for an address of the guest's.
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;
constexpr uint32_t kMxcsrBits = 0xffff;

// In gdb's order.
constexpr __u64 kvm_regs::*kGeneral[16] = {
    &kvm_regs::rax, &kvm_regs::rbx, &kvm_regs::rcx, &kvm_regs::rdx,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::rbp, &kvm_regs::rsp,
    &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

// The tag word of an x87 has two bits for each register; what is kept is only
// whether it is in use.
uint32_t WholeTags(uint8_t used) {
  uint32_t tags = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    if ((used >> i & 1) == 0) tags |= 3u << 2 * i;
  }
  return tags;
}
uint8_t UsedTags(uint32_t tags) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    if ((tags >> 2 * i & 3) != 3) used |= 1u << i;
  }
  return static_cast<uint8_t>(used);
}

void CopyFloats(const kvm_fpu& fpu, Registers* to) {
  for (size_t i = 0; i < 8; ++i) {
    std::memcpy(to->st[i], fpu.fpr[i], sizeof(to->st[i]));
  }
  const uint32_t x87[8] = {fpu.fcw,
                           fpu.fsw,
                           WholeTags(fpu.ftwx),
                           static_cast<uint32_t>(fpu.last_ip >> 32),
                           static_cast<uint32_t>(fpu.last_ip),
                           static_cast<uint32_t>(fpu.last_dp >> 32),
                           static_cast<uint32_t>(fpu.last_dp),
                           fpu.last_opcode};
  std::memcpy(to->x87, x87, sizeof(x87));
  std::memcpy(to->xmm, fpu.xmm, sizeof(to->xmm));
  to->mxcsr = fpu.mxcsr;
}

void CopyFloats(const Registers& from, kvm_fpu* fpu) {
  for (size_t i = 0; i < 8; ++i) {
    std::memcpy(fpu->fpr[i], from.st[i], sizeof(from.st[i]));
  }
  uint32_t x87[8];
  std::memcpy(x87, from.x87, sizeof(x87));
  fpu->fcw = static_cast<uint16_t>(x87[0]);
  fpu->fsw = static_cast<uint16_t>(x87[1]);
  fpu->ftwx = UsedTags(x87[2]);
  fpu->last_ip = uint64_t{x87[3]} << 32 | x87[4];
  fpu->last_dp = uint64_t{x87[5]} << 32 | x87[6];
  fpu->last_opcode = static_cast<uint16_t>(x87[7]);
  std::memcpy(fpu->xmm, from.xmm, sizeof(from.xmm));
  fpu->mxcsr = from.mxcsr & kMxcsrBits;
}

}  // namespace

void CopyRegisters(const ProcessorState& from, Registers* to) {
  const kvm_regs& regs = *from.regs;
  const kvm_sregs& sregs = *from.sregs;
  for (size_t i = 0; i < 16; ++i) to->general[i] = regs.*kGeneral[i];
  to->rip = regs.rip;
  to->rflags = static_cast<uint32_t>(regs.rflags);
  const uint32_t segments[6] = {sregs.cs.selector, sregs.ss.selector,
                                sregs.ds.selector, sregs.es.selector,
                                sregs.fs.selector, sregs.gs.selector};
  std::memcpy(to->segments, segments, sizeof(segments));
  to->fs_base = sregs.fs.base;
  to->gs_base = sregs.gs.base;
  CopyFloats(*from.fpu, to);
}

bool CopyRegisters(const Registers& from, const ProcessorState& to) {
  if (from.rip >= kAddressLimit || from.fs_base >= kAddressLimit ||
      from.gs_base >= kAddressLimit) {
    return false;
  }
  kvm_regs& regs = *to.regs;
  for (size_t i = 0; i < 16; ++i) regs.*kGeneral[i] = from.general[i];
  regs.rip = from.rip;
  regs.rflags = (regs.rflags & ~kPlainFlags) | (from.rflags & kPlainFlags);
  to.sregs->fs.base = from.fs_base;
  to.sregs->gs.base = from.gs_base;
  CopyFloats(from, to.fpu);
  return true;
}

}  // namespace serai::tender::hvt
