// SPDX-License-Identifier: Apache-2.0
#include "cri/state/boot_id.h"

#include "absl/strings/ascii.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr char kPath[] = "/proc/sys/kernel/random/boot_id";
constexpr size_t kMaxBytes = 64;

}  // namespace

const std::string& BootId() {
  static const std::string& id = *new std::string(absl::StripAsciiWhitespace(
      ReadFile(kPath, kMaxBytes).value_or(std::string())));
  return id;
}

}  // namespace serai::cri
