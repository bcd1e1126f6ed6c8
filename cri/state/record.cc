// SPDX-License-Identifier: Apache-2.0
#include "cri/state/record.h"

#include <google/protobuf/util/json_util.h>

namespace serai::cri {
namespace {

// A pod's annotations, by far the largest part, are at most 256 KiB.
constexpr size_t kMaxRecordBytes = 8 << 20;

}  // namespace

absl::Status SaveRecord(const std::string& path,
                        const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat("writing ", path, ": ", status.ToString()));
  }
  return WriteFileAtomic(path, json, 0600, Durability::kProcess);
}

absl::Status LoadRecord(const std::string& path,
                        google::protobuf::Message& message) {
  ASSIGN_OR_RETURN(const std::string json, ReadFile(path, kMaxRecordBytes));
  // Fields of a later version are no reason to forget a pod.
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json, &message, options);
  if (!status.ok()) {
    return absl::DataLossError(
        absl::StrCat("reading ", path, ": ", status.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace serai::cri
