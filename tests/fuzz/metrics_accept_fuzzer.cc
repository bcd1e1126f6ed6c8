// SPDX-License-Identifier: Apache-2.0
// What a peer says of the formats it takes.
#include "cri/metrics/exposition.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  serai::cri::ChooseExposition(serai::fuzz::Text(data, size));
  return 0;
}
