// SPDX-License-Identifier: Apache-2.0
// Hostile guests: each ends, or goes on, as testing/evil_cases.h says, and the
// tender with it.

#include "gtest/gtest.h"
#include "tests/guests/testing/evil_cases.h"
#include "tests/guests/testing/run_case.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

TEST(EvilGuestTest, BadPointersLengthsAndHandles) {
  SERAI_NEED("kvm");
  RunCases(kPointerCases);
}

TEST(EvilGuestTest, ForbiddenPorts) {
  SERAI_NEED("kvm");
  RunCases(kPortCases);
}

TEST(EvilGuestTest, InstructionsOfTheMachines) {
  SERAI_NEED("kvm");
  RunCases(kProcessorCases);
}

TEST(EvilGuestTest, BrokenTables) {
  SERAI_NEED("kvm");
  RunCases(kTableCases);
}

TEST(EvilGuestTest, MemoryThatIsNotItsOwn) {
  SERAI_NEED("kvm");
  RunCases(kMemoryCases);
}

TEST(EvilGuestTest, WithoutEnd) {
  SERAI_NEED("kvm");
  RunCases(kEndlessCases);
}

TEST(EvilGuestTest, DevicesForWhatTheyAreNot) {
  SERAI_NEED("kvm");
  RunCases(kDeviceCases);
}

TEST(EvilGuestTest, SystemCalls) { RunCases(kSyscallCases); }

TEST(EvilGuestAtLevel0Test, Hypercalls) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kPointerCases);
  RunCasesAtLevel0(kPortCases);
  RunCasesAtLevel0(kDeviceCases);
}

TEST(EvilGuestAtLevel0Test, ItsOwnProcessor) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kProcessorCases);
  RunCasesAtLevel0(kTableCases);
}

TEST(EvilGuestAtLevel0Test, MemoryAndTime) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kMemoryCases);
  RunCasesAtLevel0(kEndlessCases);
}

}  // namespace
}  // namespace serai::testing
