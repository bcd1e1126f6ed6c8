// SPDX-License-Identifier: Apache-2.0
#pragma once

// What tests of the real tender with real guests share.

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {

// Where the child has its descriptors.
inline constexpr int kKernelFd = 5;
inline constexpr int kKvmFd = 6;
inline constexpr int kDeviceFd = 7;

inline UniqueFd Open(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  EXPECT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  return fd;
}

// For guests of the target that is the parameter, "hvt" or "spt".
class TenderTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (IsHvt()) SERAI_NEED("kvm");
  }
  bool IsHvt() const { return std::string(GetParam()) == "hvt"; }
  std::string Guest(const std::string& name) const {
    return testing::Guest(name + "." + GetParam());
  }
};

}  // namespace serai::testing
