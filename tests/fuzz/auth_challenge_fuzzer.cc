// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/auth_challenge.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto challenges =
      serai::oci::ParseWwwAuthenticate(serai::fuzz::Text(data, size));
  if (!challenges.ok()) return 0;
  for (const auto& challenge : *challenges) {
    FUZZ_CHECK(!challenge.scheme.empty());
  }
  return 0;
}
