// SPDX-License-Identifier: Apache-2.0
// Frames come the same whether the bytes arrive at once or one by one.
#include <google/protobuf/stubs/logging.h>

#include <string>
#include <vector>

#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/check.h"

namespace serai::ttrpc {
namespace {

// The frames that the decoder has; adds whether it gave up.
void TakeFrames(FrameDecoder& decoder, std::vector<std::string>& taken) {
  for (;;) {
    Frame frame;
    const auto more = decoder.Next(frame);
    if (!more.ok()) taken.emplace_back("broken");
    if (!more.ok() || !*more) return;
    taken.push_back(absl::StrCat(frame.stream, " ", frame.flags, " ",
                                 static_cast<int>(frame.type), frame.data));
    DecodeRequest(frame.data).IgnoreError();
    DecodeResponse(frame.data).IgnoreError();
  }
}

}  // namespace
}  // namespace serai::ttrpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::ttrpc;  // NOLINT(google-build-using-namespace)
  // Says so on stderr for each string that is not UTF-8.
  static auto* const previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
  const absl::string_view bytes = serai::fuzz::Text(data, size);
  std::vector<std::string> at_once;
  FrameDecoder whole;
  whole.Append(bytes);
  TakeFrames(whole, at_once);

  std::vector<std::string> one_by_one;
  FrameDecoder dripping;
  for (const char byte : bytes) {
    dripping.Append(absl::string_view(&byte, 1));
    TakeFrames(dripping, one_by_one);
    if (!one_by_one.empty() && one_by_one.back() == "broken") break;
  }
  FUZZ_CHECK(at_once == one_by_one);
  DecodeRequest(bytes).IgnoreError();
  DecodeResponse(bytes).IgnoreError();
  return 0;
}
