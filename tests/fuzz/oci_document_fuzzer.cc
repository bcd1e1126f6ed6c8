// SPDX-License-Identifier: Apache-2.0
// What a registry, an archive, a bundle or a signature may hold as JSON. The
// first byte chooses the kind.
#include "lib/oci/manifest.h"
#include "lib/oci/runtime_spec.h"
#include "lib/oci/signature.h"
#include "tests/fuzz/check.h"

namespace serai::oci {
namespace {

template <typename Parse>
void RoundTrip(Parse parse, absl::string_view json) {
  const auto document = parse(json);
  if (!document.ok()) return;
  const auto again = parse(ToJson(*document));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(ToJson(*again) == ToJson(*document));
}

}  // namespace
}  // namespace serai::oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::oci;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const absl::string_view json = serai::fuzz::Text(data + 1, size - 1);
  switch (data[0]) {
    case 'i':
      RoundTrip(ParseIndex, json);
      break;
    case 'm':
      RoundTrip(ParseManifest, json);
      break;
    case 'c':
      RoundTrip(ParseImageConfig, json);
      break;
    case 's':
      if (const auto digest = SignedDigest(json); digest.ok()) {
        FUZZ_CHECK(!digest->empty());
      }
      break;
    default:
      RoundTrip(ParseRuntimeSpec, json);
      break;
  }
  return 0;
}
