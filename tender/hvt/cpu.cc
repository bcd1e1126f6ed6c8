// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/cpu.h"

#include <cpuid.h>
#include <sys/ioctl.h>

#include <initializer_list>

#include "tender/hvt/emulate.h"
#include "tender/hvt/layout.h"

namespace serai::tender::hvt {
namespace {

// CR0: PE, NE, WP, PG. CR4: PAE, OSFXSR, OSXMMEXCPT. EFER: LME, LMA, NXE.
constexpr uint64_t kCr0 = 0x80010021;
constexpr uint64_t kCr4 = 0x620;
constexpr uint64_t kEfer = 0xd00;
constexpr uint64_t kOsXsave = 1 << 18;  // in CR4

// In XCR0: x87, SSE, AVX.
constexpr uint64_t kAvxStates = 7;
// The bytes of what XSAVE stores of these: the legacy region and the header,
// and the upper halves of the YMM registers behind them.
constexpr uint32_t kYmmOffset = 576;
constexpr uint32_t kYmmSize = 256;
constexpr uint32_t kXsaveSize = kYmmOffset + kYmmSize;

constexpr uint8_t kCodeType = 11;
constexpr uint8_t kDataType = 3;
constexpr uint8_t kBusyTask = 11;

kvm_segment FlatSegment(uint16_t selector, uint8_t type) {
  const bool code = type == kCodeType;
  kvm_segment segment = {};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.dpl = 3;
  segment.db = code ? 0 : 1;
  segment.s = 1;
  segment.l = code ? 1 : 0;
  segment.g = 1;
  return segment;
}

constexpr uint32_t Bits(std::initializer_list<int> bits) {
  uint32_t mask = 0;
  for (const int bit : bits) mask |= 1u << bit;
  return mask;
}

// One leaf that is passed on, through a mask for each register.
struct Leaf {
  uint32_t function;
  uint32_t index;
  bool indexed;
  uint32_t eax, ebx, ecx, edx;
};

constexpr uint32_t kAll = 0xffffffff;
constexpr uint32_t kXsaveLeaf = 0xd;

constexpr Leaf kLeaves[kCpuidEntries] = {
    {0, 0, false, kAll, kAll, kAll, kAll},
    // ebx: the size that clflush works on. ecx: SSE3, PCLMUL, SSSE3, FMA, CX16,
    // SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX, F16C, RDRAND, and that
    // this is a guest.
    // edx: FPU, PSE, TSC, MSR, PAE, CX8, PGE, CMOV, PAT, CLFLUSH, MMX, FXSR,
    // SSE, SSE2.
    {1, 0, false, kAll, 0x0000ff00,
     Bits({0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 28, 29, 30, 31}),
     Bits({0, 3, 4, 5, 6, 8, 13, 15, 16, 19, 23, 24, 25, 26})},
    // ebx: BMI1, AVX2, BMI2, ERMS, RDSEED, ADX, CLFLUSHOPT, SHA. edx: FSRM.
    {7, 0, true, 0, Bits({3, 5, 8, 9, 18, 19, 23, 29}), 0, Bits({4})},
    // The states that XSAVE knows, as CompleteXsave() tells them; eax of the
    // second: XSAVEOPT, XSAVEC.
    {kXsaveLeaf, 0, true, 0, 0, 0, 0},
    {kXsaveLeaf, 1, true, Bits({0, 1}), 0, 0, 0},
    {kXsaveLeaf, 2, true, 0, 0, 0, 0},
    {0x80000000, 0, false, kAll, 0, 0, 0},
    // ecx: LAHF, LZCNT, PREFETCHW. edx: NX, RDTSCP, LM.
    {0x80000001, 0, false, 0, 0, Bits({0, 5, 8}), Bits({20, 27, 29})},
    // edx: the TSC's rate never changes.
    {0x80000007, 0, false, 0, 0, 0, Bits({8})},
    // eax: sizes of addresses.
    {0x80000008, 0, false, 0x0000ffff, 0, 0, 0},
};

constexpr uint32_t kHighestLeaf = kXsaveLeaf;
constexpr uint32_t kHighestExtendedLeaf = 0x80000008;

// Whether the host has AVX in use; then no more than x87 and SSE is missing.
bool HostHasAvx() {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  __cpuid(1, eax, ebx, ecx, edx);
  constexpr uint32_t kNeeded = Bits({26, 27, 28});  // XSAVE, OSXSAVE, AVX
  if ((ecx & kNeeded) != kNeeded) return false;
  asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & kAvxStates) == kAvxStates;
}

// What the host says here would include its larger states.
void CompleteXsave(kvm_cpuid_entry2* entry) {
  switch (entry->index) {
    case 0:
      entry->eax = kAvxStates;
      entry->ebx = kXsaveSize;
      entry->ecx = kXsaveSize;
      break;
    case 1:
      entry->ebx = kXsaveSize;
      break;
    default:
      entry->eax = kYmmSize;
      entry->ebx = kYmmOffset;
      break;
  }
}

kvm_cpuid_entry2 ReadLeaf(const Leaf& leaf, bool avx) {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  __cpuid_count(leaf.function, leaf.index, eax, ebx, ecx, edx);
  if (leaf.function == 0) eax = kHighestLeaf;
  if (leaf.function == 0x80000000) eax = kHighestExtendedLeaf;
  kvm_cpuid_entry2 entry = {};
  entry.function = leaf.function;
  entry.index = leaf.index;
  entry.flags = leaf.indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
  entry.eax = eax & leaf.eax;
  entry.ebx = ebx & leaf.ebx;
  entry.ecx = ecx & leaf.ecx;
  entry.edx = edx & leaf.edx;
  if (leaf.function == kXsaveLeaf && avx) CompleteXsave(&entry);
  return entry;
}

}  // namespace

void SetStartRegisters(uint64_t entry, uint64_t memory, kvm_regs* regs) {
  *regs = {};
  regs->rip = entry;
  regs->rsp = memory - sizeof(uint64_t);
  regs->rdi = solo5::kHvtBootInfoAddress;
  regs->rflags = kIoAtLevel3 | kAlwaysSet;
}

void SetUserSegments(kvm_sregs* sregs) {
  sregs->cs = FlatSegment(kUserCode, kCodeType);
  sregs->ss = FlatSegment(kUserData, kDataType);
}

void SetStartSystemRegisters(bool avx, kvm_sregs* sregs) {
  SetUserSegments(sregs);
  sregs->ds = FlatSegment(kUserData, kDataType);
  sregs->es = sregs->ds;
  sregs->fs = sregs->ds;
  sregs->gs = sregs->ds;
  sregs->tr = {};
  sregs->tr.base = kTssAddress;
  sregs->tr.limit = kTssSize - 1;
  sregs->tr.selector = kTaskState;
  sregs->tr.type = kBusyTask;
  sregs->tr.present = 1;
  sregs->ldt = {};
  sregs->ldt.unusable = 1;
  sregs->gdt.base = kGdtAddress;
  sregs->gdt.limit = kGdtSize - 1;
  sregs->idt.base = kIdtAddress;
  sregs->idt.limit = kIdtSize - 1;
  sregs->cr0 = kCr0;
  sregs->cr3 = SystemAddress(kPml4Page);
  sregs->cr4 = kCr4 | (avx ? kOsXsave : 0);
  sregs->efer = kEfer;
}

bool EnableAvx(int vcpu_fd) {
  if (!HostHasAvx()) return false;
  kvm_xcrs registers = {};
  registers.nr_xcrs = 1;
  registers.xcrs[0].value = kAvxStates;
  return ::ioctl(vcpu_fd, KVM_SET_XCRS, &registers) == 0;
}

void FillCpuid(CpuidTable* table) {
  *table = {};
  table->count = kCpuidEntries;
  const bool avx = HostHasAvx();
  for (size_t i = 0; i < kCpuidEntries; ++i) {
    table->entries[i] = ReadLeaf(kLeaves[i], avx);
  }
}

void GuestCpuid(const kvm_sregs& sregs, kvm_regs* regs) {
  const auto function = static_cast<uint32_t>(regs->rax);
  const auto index = static_cast<uint32_t>(regs->rcx);
  const bool avx = (sregs.cr4 & kOsXsave) != 0;
  kvm_cpuid_entry2 entry = {};
  for (const Leaf& leaf : kLeaves) {
    if (leaf.function == function && (!leaf.indexed || leaf.index == index)) {
      entry = ReadLeaf(leaf, avx);
    }
  }
  if (function == 1 && avx) entry.ecx |= Bits({27});  // OSXSAVE
  regs->rax = entry.eax;
  regs->rbx = entry.ebx;
  regs->rcx = entry.ecx;
  regs->rdx = entry.edx;
}

}  // namespace serai::tender::hvt
