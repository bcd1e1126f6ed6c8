// SPDX-License-Identifier: Apache-2.0
#include "cri/state/record.h"

#include "lib/base/file.h"

namespace serai::cri {
namespace {

// A pod's annotations, by far the largest part, are at most 256 KiB.
constexpr size_t kMaxRecordBytes = 8 << 20;

template <typename Record>
absl::Status Load(const std::string& path, Record& record) {
  ASSIGN_OR_RETURN(const std::string json, ReadRecordFile(path));
  return Annotate(ParseRecord(json, record), absl::StrCat("reading ", path));
}

}  // namespace

absl::Status SaveRecord(const std::string& path,
                        const google::protobuf::Message& message,
                        Durability durability) {
  ASSIGN_OR_RETURN(const std::string json, FormatRecord(message), "writing ",
                   path);
  return WriteFileAtomic(path, json, 0600, durability);
}

absl::StatusOr<std::string> ReadRecordFile(const std::string& path) {
  return ReadFile(path, kMaxRecordBytes);
}

absl::Status LoadRecord(const std::string& path, PodRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path, ContainerRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path,
                        state::v1::ViewRecord& record) {
  return Load(path, record);
}

absl::Status LoadRecord(const std::string& path,
                        state::v1::PodCheckpoint& record) {
  return Load(path, record);
}

}  // namespace serai::cri
