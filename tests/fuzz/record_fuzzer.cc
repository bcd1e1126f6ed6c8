// SPDX-License-Identifier: Apache-2.0
// seraid's records of pods and containers: what was read is written so that it
// reads the same.
#include <google/protobuf/util/message_differencer.h>

#include "cri/state/format.h"
#include "tests/fuzz/check.h"

namespace {

template <typename Record>
void ReadAndWrite(absl::string_view text) {
  Record record;
  if (!serai::cri::ParseRecord(text, record).ok()) return;
  FUZZ_CHECK(record.version() == serai::cri::kRecordVersion);
  const auto written = serai::cri::FormatRecord(record);
  FUZZ_CHECK(written.ok());
  Record again;
  FUZZ_CHECK(serai::cri::ParseRecord(*written, again).ok());
  FUZZ_CHECK(google::protobuf::util::MessageDifferencer::Equals(record, again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = serai::fuzz::Text(data, size);
  ReadAndWrite<serai::cri::PodRecord>(text);
  ReadAndWrite<serai::cri::ContainerRecord>(text);
  (void)serai::cri::OutlineOf(text);
  return 0;
}
