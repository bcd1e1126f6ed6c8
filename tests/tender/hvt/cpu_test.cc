// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/cpu.h"

#include <initializer_list>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

constexpr uint64_t kOsXsave = 1 << 18;

const kvm_cpuid_entry2* Find(const CpuidTable& table, uint32_t function,
                             uint32_t index = 0) {
  for (uint32_t i = 0; i < table.count; ++i) {
    const kvm_cpuid_entry2& entry = table.entries[i];
    if (entry.function == function && entry.index == index) return &entry;
  }
  return nullptr;
}

TEST(CpuTest, TellsNothingOfTheMachine) {
  CpuidTable table;
  FillCpuid(&table);
  ASSERT_EQ(table.count, kCpuidEntries);
  const kvm_cpuid_entry2* basic = Find(table, 1);
  ASSERT_NE(basic, nullptr);
  // MONITOR, VMX, SMX, x2APIC, the APIC's timer; APIC, MTRRs.
  for (const int bit : {3, 5, 6, 21, 24}) {
    EXPECT_EQ(basic->ecx >> bit & 1, 0u) << bit;
  }
  for (const int bit : {9, 12}) EXPECT_EQ(basic->edx >> bit & 1, 0u) << bit;
  EXPECT_EQ(basic->ebx >> 16, 0u);  // neither the APIC's number nor how many
  EXPECT_EQ(basic->ecx >> 31, 1u);
  const kvm_cpuid_entry2* extended = Find(table, 0x80000001);
  ASSERT_NE(extended, nullptr);
  EXPECT_EQ(extended->ecx >> 2 & 1, 0u);  // SVM
  const kvm_cpuid_entry2* more = Find(table, 7);
  ASSERT_NE(more, nullptr);
  // FSGSBASE, SGX, RTM, AVX-512F: nothing that is not enabled.
  for (const int bit : {0, 2, 11, 16}) {
    EXPECT_EQ(more->ebx >> bit & 1, 0u) << bit;
  }
}

TEST(CpuTest, TellsOfAvxWithItsStates) {
  CpuidTable table;
  FillCpuid(&table);
  const kvm_cpuid_entry2* states = Find(table, 0xd);
  ASSERT_NE(states, nullptr);
  if (states->eax == 0) GTEST_SKIP() << "this processor has no AVX";
  EXPECT_EQ(states->eax, 7u);
  EXPECT_EQ(states->edx, 0u);
  EXPECT_EQ(states->ecx, 832u);
  const kvm_cpuid_entry2* ymm = Find(table, 0xd, 2);
  ASSERT_NE(ymm, nullptr);
  EXPECT_EQ(ymm->eax, 256u);
  EXPECT_EQ(ymm->ebx, 576u);
  const kvm_cpuid_entry2* basic = Find(table, 1);
  ASSERT_NE(basic, nullptr);
  EXPECT_EQ(basic->ecx >> 26 & 5, 5u);  // XSAVE, AVX; KVM adds OSXSAVE
}

TEST(CpuTest, AnswersAsTheTableDoes) {
  CpuidTable table;
  FillCpuid(&table);
  kvm_sregs sregs = {};
  sregs.cr4 = Find(table, 0xd)->eax == 0 ? 0 : kOsXsave;
  for (uint32_t i = 0; i < table.count; ++i) {
    const kvm_cpuid_entry2& entry = table.entries[i];
    kvm_regs regs = {};
    regs.rax = entry.function;
    regs.rcx = entry.index;
    GuestCpuid(sregs, &regs);
    EXPECT_EQ(regs.rax, entry.eax) << entry.function;
    EXPECT_EQ(regs.rdx, entry.edx) << entry.function;
    EXPECT_EQ(regs.rbx, entry.ebx) << entry.function;
    // OSXSAVE follows CR4.
    const uint64_t dynamic = entry.function == 1 ? 1 << 27 : 0;
    EXPECT_EQ(regs.rcx & ~dynamic, entry.ecx) << entry.function;
  }
}

TEST(CpuTest, StartsWhereTheAbiSays) {
  kvm_regs regs;
  SetStartRegisters(0x100000, 64 << 20, &regs);
  EXPECT_EQ(regs.rip, 0x100000u);
  EXPECT_EQ(regs.rsp, (64u << 20) - 8);
  EXPECT_EQ(regs.rdi, 0x10000u);
  kvm_sregs sregs = {};
  SetStartSystemRegisters(false, &sregs);
  EXPECT_EQ(sregs.cs.selector & 3, 3);
  EXPECT_EQ(sregs.ss.dpl, 3);
  EXPECT_EQ(sregs.cr4 & kOsXsave, 0u);
  EXPECT_EQ(sregs.efer & 1, 0u);  // no system calls
  SetStartSystemRegisters(true, &sregs);
  EXPECT_EQ(sregs.cr4 & kOsXsave, kOsXsave);
}

}  // namespace
}  // namespace serai::tender::hvt
