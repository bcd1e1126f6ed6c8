// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/level0.h"

#include "tender/hvt/emulate.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/paging.h"

namespace serai::tender::hvt {
namespace {

// CR0: PE, NE, WP, PG. CR4: PAE, OSFXSR, OSXMMEXCPT. EFER: LME, LMA, NXE.
constexpr uint64_t kCr0 = 0x80010021;
constexpr uint64_t kCr4 = 0x620;
constexpr uint64_t kEfer = 0xd00;

// The selectors that Solo5's bindings find at their start.
constexpr uint16_t kCode = 0x8;
constexpr uint16_t kData = 0x10;

kvm_segment Flat(uint16_t selector, bool code) {
  kvm_segment segment = {};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = code ? 11 : 3;  // accessed; executable and readable, or data
  segment.present = 1;
  segment.db = code ? 0 : 1;
  segment.s = 1;
  segment.l = code ? 1 : 0;
  segment.g = 1;
  return segment;
}

}  // namespace

void SetUpLevel0(const Guest& guest, uint8_t* system, Processor* processor) {
  BuildLevel0PageTables(system, guest.memory + guest.ring_size);
  kvm_sregs& sregs = processor->sregs();
  sregs.cs = Flat(kCode, true);
  sregs.ds = Flat(kData, false);
  sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
  sregs.cr0 = kCr0;
  sregs.cr3 = SystemAddress(kPml4Page);
  sregs.cr4 = kCr4;
  sregs.efer = kEfer;
  kvm_regs& regs = processor->regs();
  regs = {};
  regs.rip = guest.unikernel.entry;
  regs.rsp = guest.memory - sizeof(uint64_t);
  regs.rdi = solo5::kHvtBootInfoAddress;
  regs.rflags = kAlwaysSet;
  processor->ChangeRegisters();
  processor->ChangeSystemRegisters();
}

}  // namespace serai::tender::hvt
