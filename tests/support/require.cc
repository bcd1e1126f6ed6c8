// SPDX-License-Identifier: Apache-2.0
#include "tests/support/require.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/unique_fd.h"
#include "lib/host/cgroup.h"

namespace serai::testing {
namespace {

std::optional<std::string> CannotOpen(const char* path) {
  const UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (fd.valid()) return std::nullopt;
  return absl::StrCat(path, ": ", std::strerror(errno));
}

std::optional<std::string> CannotRun(const char* path) {
  if (::access(path, X_OK) == 0) return std::nullopt;
  return absl::StrCat(path, ": ", std::strerror(errno));
}

// What tests/vm boots.
std::optional<std::string> NoVirtualMachine() {
  if (auto reason = CannotRun("/usr/bin/qemu-system-x86_64"); reason) {
    return reason;
  }
  const std::string path = VmKernelDir() + "/modules";
  if (::access(path.c_str(), R_OK) == 0) return std::nullopt;
  return absl::StrCat(path, ": ", std::strerror(errno),
                      " (tests/vm/fetch_kernel.sh brings it)");
}

std::optional<std::string> NotRoot() {
  if (::geteuid() == 0) return std::nullopt;
  return "this is not root";
}

std::optional<std::string> NoNetwork() {
  if (auto reason = NotRoot(); reason) return reason;
  if (::access("/usr/lib/cni/bridge", X_OK) != 0) {
    return "/usr/lib/cni/bridge is not there (containernetworking-plugins)";
  }
  return CannotOpen("/dev/net/tun");
}

std::optional<std::string> NoContainerd() {
  for (const char* path :
       {"/usr/bin/containerd", "/usr/bin/ctr", "/usr/sbin/runc"}) {
    if (auto reason = CannotRun(path); reason) return reason;
  }
  return std::nullopt;
}

// As sd_booted(3) has it.
std::optional<std::string> NoSystemd() {
  if (::access("/run/systemd/system", F_OK) == 0) return NotRoot();
  return "systemd does not run here";
}

std::optional<std::string> NoCgroups() {
  if (auto reason = NotRoot(); reason) return reason;
  const auto hierarchy = host::CgroupHierarchy::Detect();
  if (!hierarchy.ok()) return hierarchy.status().ToString();
  for (const std::string& root : hierarchy->Roots()) {
    if (::access(root.c_str(), W_OK) != 0) return root + " is not writable";
  }
  return std::nullopt;
}

struct Need {
  absl::string_view word;
  std::optional<std::string> (*lack)();
};

constexpr Need kNeeds[] = {
    {"root", NotRoot},
    {"kvm", [] { return CannotOpen("/dev/kvm"); }},
    {"net", NoNetwork},
    {"vm", NoVirtualMachine},
    {"gdb", [] { return CannotRun("/usr/bin/gdb"); }},
    {"containerd", NoContainerd},
    {"cgroup", NoCgroups},
    {"systemd", NoSystemd},
    {"loop", [] { return CannotOpen("/dev/loop-control"); }},
};

const Need* Find(absl::string_view word) {
  for (const Need& need : kNeeds) {
    if (need.word == word) return &need;
  }
  return nullptr;
}

// The words of SERAI_REQUIRE.
std::vector<std::string> Requirements() {
  const char* list = std::getenv("SERAI_REQUIRE");
  if (list == nullptr) return {};
  return absl::StrSplit(list, ',', absl::SkipEmpty());
}

}  // namespace

std::optional<std::string> Lacks(absl::string_view need) {
  const Need* const found = Find(need);
  if (found != nullptr) return found->lack();
  return absl::StrCat("no test knows the need \"", need, "\"");
}

bool Required(absl::string_view need) {
  const std::vector<std::string> words = Requirements();
  return std::find(words.begin(), words.end(), std::string(need)) !=
         words.end();
}

std::optional<std::string> BadRequirement() {
  for (const std::string& word : Requirements()) {
    if (Find(word) != nullptr) continue;
    std::string known;
    for (const Need& need : kNeeds) absl::StrAppend(&known, " ", need.word);
    return absl::StrCat("SERAI_REQUIRE names \"", word,
                        "\", which no test knows; there are:", known);
  }
  return std::nullopt;
}

std::string BuildDir() {
  const char* dir = std::getenv("SERAI_BUILD_DIR");
  return dir == nullptr ? "." : dir;
}

std::string VmKernelDir() {
  const char* dir = std::getenv("SERAI_VM_KERNEL");
  return dir == nullptr ? BuildDir() + "/../vm-kernel" : dir;
}

}  // namespace serai::testing
