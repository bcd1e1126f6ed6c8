// SPDX-License-Identifier: Apache-2.0
#include "tests/support/require.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/unique_fd.h"

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

}  // namespace

std::optional<std::string> Lacks(absl::string_view need) {
  if (need == "root") return NotRoot();
  if (need == "gdb") return CannotRun("/usr/bin/gdb");
  if (need == "kvm") return CannotOpen("/dev/kvm");
  if (need == "vm") return NoVirtualMachine();
  if (need == "net") {
    if (auto reason = NotRoot(); reason) return reason;
    if (::access("/usr/lib/cni/bridge", X_OK) != 0) {
      return "/usr/lib/cni/bridge is not there (containernetworking-plugins)";
    }
    return CannotOpen("/dev/net/tun");
  }
  return absl::StrCat("no test knows the need \"", need, "\"");
}

bool Required(absl::string_view need) {
  const char* list = std::getenv("SERAI_REQUIRE");
  if (list == nullptr) return false;
  for (const absl::string_view word : absl::StrSplit(list, ',')) {
    if (absl::string_view(word.data(), word.size()) == need) return true;
  }
  return false;
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
