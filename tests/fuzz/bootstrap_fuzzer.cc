// SPDX-License-Identifier: Apache-2.0
// What containerd may give the shim's `start` and `-info` on standard input.
#include <google/protobuf/stubs/logging.h>

#include "shim/bootstrap.h"
#include "shim/info.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::shim;  // NOLINT(google-build-using-namespace)
  static auto* const previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
  const absl::string_view input = serai::fuzz::Text(data, size);
  Options options;
  options.id = "pod";
  options.namespace_name = "k8s.io";
  const auto bootstrap = ReadBootstrap(options, {"/ttrpc", "2"}, input);
  if (bootstrap.ok()) {
    // Whose parameters these are not, goes on by the environment.
    const bool by_protobuf = bootstrap->answer == Bootstrap::Answer::kProtobuf;
    FUZZ_CHECK(by_protobuf || bootstrap->events_address == "/ttrpc");
    FUZZ_CHECK(!FormatAnswer(bootstrap->answer, 3, "unix:///s").empty());
  }
  RuntimeInfo(input).status().IgnoreError();
  return 0;
}
