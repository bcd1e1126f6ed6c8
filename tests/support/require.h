// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a test needs of its machine. SERAI_NEED("root") (or another of the words
// below) skips the test with the reason where the machine lacks it, and fails
// it where the environment variable SERAI_REQUIRE (comma separated) names it,
// as CI does. A word there that no test knows fails all tests that ask: a
// misspelt one would let them be skipped unseen.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace serai::testing {

// Why `need` is not met here; nullopt when it is.
// root: effective uid 0. kvm: /dev/kvm opens. net: root, /dev/net/tun opens and
// the CNI plugins are installed. gdb: it is installed. vm: QEMU is installed,
// and the kernel that tests/vm boots is there. containerd: it, ctr and runc are
// installed. cgroup: root, and the machine's hierarchies can be written to.
// systemd: it runs the machine. loop: /dev/loop-control opens.
std::optional<std::string> Lacks(absl::string_view need);

// Whether SERAI_REQUIRE names `need`.
bool Required(absl::string_view need);

// What is wrong with SERAI_REQUIRE; nullopt when nothing is.
std::optional<std::string> BadRequirement();

// The build tree (SERAI_BUILD_DIR): programs are in its bin/, guests in its
// guests/.
std::string BuildDir();

// Where tests/vm/fetch_kernel.sh has put kernel and modules: beside the build
// trees, unless SERAI_VM_KERNEL says otherwise.
std::string VmKernelDir();

}  // namespace serai::testing

#define SERAI_NEED(need)                                                   \
  do {                                                                     \
    if (const auto bad = ::serai::testing::BadRequirement(); bad) {        \
      FAIL() << *bad;                                                      \
    }                                                                      \
    if (const auto reason = ::serai::testing::Lacks(need); reason) {       \
      if (::serai::testing::Required(need)) {                              \
        FAIL() << "SERAI_REQUIRE names " << (need) << ", but " << *reason; \
      }                                                                    \
      GTEST_SKIP() << "needs " << (need) << ": " << *reason;               \
    }                                                                      \
  } while (false)
