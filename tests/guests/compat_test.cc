// SPDX-License-Identifier: Apache-2.0
// Guests that use what unikernels of MirageOS use: each checks for itself that
// it gets what it needs.

#include "gtest/gtest.h"
#include "tests/guests/testing/compat_cases.h"
#include "tests/guests/testing/run_case.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

TEST(CompatibleGuestTest, FindsWhatItNeeds) {
  SERAI_NEED("kvm");
  RunCases(kCompatCases);
}

}  // namespace
}  // namespace serai::testing
