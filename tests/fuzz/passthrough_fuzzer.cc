// SPDX-License-Identifier: Apache-2.0
// Where the router sends a request: never beside what protobuf's own reader
// sees in it, and nowhere else for the fields that it does not know.
#include <google/protobuf/stubs/logging.h>

#include <string>

#include "cri/passthrough/field_reader.h"
#include "cri/passthrough/routes.h"
#include "proto/cri/container.pb.h"
#include "proto/cri/pod.pb.h"
#include "tests/cri/passthrough/fake_ours.h"
#include "tests/fuzz/check.h"

namespace {

// The name of a method, a line feed, the request.
void Route(absl::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (end == absl::string_view::npos) return;
  const serai::cri::Rule rule = serai::cri::RuleOf(
      absl::StrCat("/runtime.v1.RuntimeService/", bytes.substr(0, end)));
  const auto target = serai::cri::TargetOf(rule, bytes.substr(end + 1),
                                           serai::testing::FakeOurs());
  if (rule.kind == serai::cri::Kind::kContainerd) {
    FUZZ_CHECK(target.ok() && *target == serai::cri::Target::kContainerd);
  }
}

void ReadAll(absl::string_view bytes) {
  serai::cri::FieldReader reader(bytes);
  size_t read = 0;
  while (const auto field = reader.Next()) {
    FUZZ_CHECK(field->whole.data() == bytes.data() + read);
    FUZZ_CHECK(field->value.size() < field->whole.size());
    read += field->whole.size();
  }
  FUZZ_CHECK(read == bytes.size() || !reader.ok());
}

// What protobuf takes, and finds there, is what our reader finds.
template <typename Message, typename Get>
void Compare(absl::string_view bytes, absl::Span<const uint32_t> path,
             const Get& get) {
  Message message;
  const auto found = serai::cri::FindString(bytes, path);
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !found.ok()) {
    return;
  }
  FUZZ_CHECK(*found == absl::string_view(get(message)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Says so on stderr for each string that is not UTF-8.
  static auto* const previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
  const absl::string_view bytes = serai::fuzz::Text(data, size);
  Route(bytes);
  ReadAll(bytes);
  namespace v1 = runtime::v1;
  Compare<v1::RunPodSandboxRequest>(
      bytes, {2}, [](const auto& m) { return m.runtime_handler(); });
  Compare<v1::StopPodSandboxRequest>(
      bytes, {1}, [](const auto& m) { return m.pod_sandbox_id(); });
  Compare<v1::ListContainersRequest>(
      bytes, {1, 3}, [](const auto& m) { return m.filter().pod_sandbox_id(); });
  Compare<v1::ListContainersRequest>(
      bytes, {1, 1}, [](const auto& m) { return m.filter().id(); });
  return 0;
}
