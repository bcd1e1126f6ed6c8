// SPDX-License-Identifier: Apache-2.0
// What a plugin prints, and what a configuration file holds.
#include <nlohmann/json.hpp>

#include "cni/config.h"
#include "cni/record.h"
#include "cni/result.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::cni;  // NOLINT(google-build-using-namespace)
  const absl::string_view text = serai::fuzz::Text(data, size);
  if (const auto result = ParseResult(text); result.ok()) {
    ReadResult(*result, "eth0").IgnoreError();
  }
  if (const auto error = ParsePluginError(text); error.has_value()) {
    FUZZ_CHECK(error->message.find('\n') == std::string::npos);
  }
  if (const auto config = ParseNetworkConfig(text); config.ok()) {
    FUZZ_CHECK(!config->plugins.empty());
    FUZZ_CHECK(!config->versions.empty());
    FUZZ_CHECK(NetworkConfigFromJson(ToJson(*config)).ok());
  }
  ParseVersions(text).IgnoreError();
  ParseRecord(text).IgnoreError();
  return 0;
}
