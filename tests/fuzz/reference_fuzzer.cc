// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/reference.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using serai::oci::Reference;
  const auto reference = Reference::Parse(serai::fuzz::Text(data, size));
  if (!reference.ok()) return 0;
  for (const std::string& text :
       {reference->ToString(), reference->Familiar()}) {
    const auto again = Reference::Parse(text);
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(*again == *reference);
  }
  return 0;
}
