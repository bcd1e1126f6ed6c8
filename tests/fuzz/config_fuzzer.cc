// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "cri/config/config.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Asked about some letters beyond ASCII, toml++ 3.3 runs into what it
  // declares unreachable: harmless as compiled, but the end of a sanitized run.
  if (std::any_of(data, data + size, [](uint8_t c) { return c >= 0x80; })) {
    return 0;
  }
  serai::cri::Config config;
  const absl::Status status = serai::cri::ApplyToml(
      std::string(serai::fuzz::Text(data, size)), "fuzz", config);
  if (!status.ok()) {
    // Every mistake has its place.
    FUZZ_CHECK(status.message().substr(0, 5) == "fuzz:");
    return 0;
  }
  FUZZ_CHECK(!config.root.empty() && config.root.front() == '/');
  FUZZ_CHECK(config.cni.timeout > absl::ZeroDuration());
  FUZZ_CHECK(config.handlers.count("unikernel") == 1);
  return 0;
}
