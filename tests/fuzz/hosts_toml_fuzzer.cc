// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lib/oci/registry/hosts.h"
#include "lib/oci/registry/url.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Asked about some letters beyond ASCII, toml++ 3.3 runs into what it
  // declares unreachable: harmless as compiled, but the end of a sanitized run.
  if (std::any_of(data, data + size, [](uint8_t c) { return c >= 0x80; })) {
    return 0;
  }
  const auto hosts = serai::oci::ParseHostsToml(
      serai::fuzz::Text(data, size), "registry.example:5000",
      "/etc/certs.d/registry.example");
  if (!hosts.ok()) return 0;
  FUZZ_CHECK(!hosts->empty());
  for (const auto& host : *hosts) {
    FUZZ_CHECK(serai::oci::UrlOrigin(host.url).ok());
  }
  return 0;
}
