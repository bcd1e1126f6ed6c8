// SPDX-License-Identifier: Apache-2.0
// What a runtime gives the plugin serai-tap: its stdin, and its environment, of
// which lines "KEY=value" before a line "--" are taken.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "cni/tap_plugin/request.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::tap_plugin;  // NOLINT(google-build-using-namespace)
  const absl::string_view text = serai::fuzz::Text(data, size);
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits("\n--\n", 1));
  const auto environment = ReadEnvironment([&](const char* name) {
    for (const absl::string_view line : absl::StrSplit(parts.first, '\n')) {
      const std::string key = absl::StrCat(name, "=");
      if (absl::StartsWith(line, key)) {
        return std::string(line.substr(key.size()));
      }
    }
    return std::string();
  });
  if (environment.ok()) {
    FUZZ_CHECK(environment->interface.size() < 16);
    FUZZ_CHECK(environment->interface.find('/') == std::string::npos);
    FUZZ_CHECK(environment->container_id.find('/') == std::string::npos);
    FUZZ_CHECK(environment->mac.empty() || environment->mac.size() == 17);
  } else {
    FUZZ_CHECK(CodeOf(environment.status()) == ErrorCode::kInvalidEnvironment);
  }
  const auto config = ReadConfig(parts.second);
  if (config.ok()) {
    FUZZ_CHECK(config->name.find(':') == std::string::npos);
    FUZZ_CHECK(config->bridge.size() < 16);
    FUZZ_CHECK(config->chained || !config->ipam.empty());
  } else {
    FUZZ_CHECK(CodeOf(config.status()) != ErrorCode::kInternal);
  }
  ReadVersion(parts.second).IgnoreError();
  return 0;
}
