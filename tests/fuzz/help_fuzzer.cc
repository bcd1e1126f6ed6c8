// SPDX-License-Identifier: Apache-2.0
// What a guest may answer to --help=plain, and what is kept of it.
#include "lib/guest/network_args.h"
#include "lib/guest/options.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::guest;  // NOLINT(google-build-using-namespace)
  const absl::string_view text = serai::fuzz::Text(data, size);
  const GuestOptions options = ParseHelp(text);
  FUZZ_CHECK(options.known() == !options.options().empty());
  FUZZ_CHECK(options.options().size() <= kMaxOptions);
  const auto again = OptionsFromJson(ToJson(options));
  FUZZ_CHECK(again.ok() && *again == options);
  OptionsFromJson(text).status().IgnoreError();
  // Whatever they are, the user's arguments stay, and stand last.
  const NetworkFacts facts = {
      {{"service", {{"10.0.0.2", 24, "10.0.0.1"}, {"fd00::2", 64, ""}}}},
      "pod",
      {"10.96.0.10"}};
  const std::vector<std::string> args =
      WithMirageArgs(facts, options, {std::string(text.substr(0, 64)), "last"});
  FUZZ_CHECK(args.size() >= 2 && args.size() < 16 && args.back() == "last");
  return 0;
}
