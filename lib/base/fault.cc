// SPDX-License-Identifier: Apache-2.0
#include "lib/base/fault.h"

#include <signal.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "lib/base/file.h"

namespace serai {
namespace {

constexpr size_t kMaxFaultBytes = 256;

}  // namespace

absl::Status FaultPoint(absl::string_view step) {
  static const char* const path = std::getenv("SERAI_FAULT_FILE");
  if (path == nullptr) return absl::OkStatus();
  const absl::StatusOr<std::string> content = ReadFile(path, kMaxFaultBytes);
  if (!content.ok()) return absl::OkStatus();
  const absl::string_view wanted = absl::StripAsciiWhitespace(*content);
  if (wanted == absl::StrCat("crash:", step)) ::raise(SIGKILL);
  if (wanted != step) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("injected failure at ", step));
}

}  // namespace serai
