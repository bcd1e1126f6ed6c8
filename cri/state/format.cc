// SPDX-License-Identifier: Apache-2.0
#include "cri/state/format.h"

#include <google/protobuf/util/json_util.h>

#include "nlohmann/json.hpp"

namespace serai::cri {
namespace {

using nlohmann::json;

// A member of an object; null where there is none.
json Member(const json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : json();
}

std::string Text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

uint32_t Number(const json& value) {
  return value.is_number_unsigned() && value <= UINT32_MAX
             ? value.get<uint32_t>()
             : 0;
}

absl::Status CheckVersion(uint32_t version) {
  if (version == 0) return absl::DataLossError("it has no version");
  if (version > kRecordVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is of version ", version,
                     ", written by a newer seraid; this one reads versions up "
                     "to ",
                     kRecordVersion));
  }
  return absl::OkStatus();
}

// One function a version, from it to the next. There is one version; these are
// the defaults of what version 1 did not have from its beginning.
template <typename Record>
void Upgrade(Record&) {}

void Upgrade(ContainerRecord& record) {
  // Before there was a time of the attempt, a running one was the sign of it.
  if (record.starting_at_ns() == 0) {
    record.set_starting_at_ns(record.started_at_ns());
  }
}

template <typename Record>
absl::Status Parse(absl::string_view text, Record& record) {
  // First, and by itself: a later version may have changed anything else.
  const json document = json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) return absl::DataLossError("it is no JSON object");
  RETURN_IF_ERROR(CheckVersion(Number(Member(document, "version"))));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(
      std::string(text), &record, options);
  if (!status.ok()) return absl::DataLossError(status.ToString());
  Upgrade(record);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FormatRecord(
    const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return absl::InternalError(status.ToString());
  return text;
}

absl::Status ParseRecord(absl::string_view json, PodRecord& record) {
  return Parse(json, record);
}

absl::Status ParseRecord(absl::string_view json, ContainerRecord& record) {
  return Parse(json, record);
}

absl::Status ParseRecord(absl::string_view json,
                         state::v1::ViewRecord& record) {
  return Parse(json, record);
}

absl::Status ParseRecord(absl::string_view json,
                         state::v1::PodCheckpoint& record) {
  return Parse(json, record);
}

RecordOutline OutlineOf(absl::string_view text) {
  const json document = json::parse(text.begin(), text.end(), nullptr, false);
  RecordOutline outline;
  outline.version = Number(Member(document, "version"));
  outline.pod_id = Text(Member(document, "pod_id"));
  outline.image_id = Text(Member(document, "image_id"));
  const json metadata = Member(Member(document, "config"), "metadata");
  if (metadata.is_object()) {
    runtime::v1::PodSandboxConfig config;
    config.mutable_metadata()->set_name(Text(Member(metadata, "name")));
    config.mutable_metadata()->set_namespace_(
        Text(Member(metadata, "namespace")));
    config.mutable_metadata()->set_uid(Text(Member(metadata, "uid")));
    config.mutable_metadata()->set_attempt(Number(Member(metadata, "attempt")));
    outline.pod_name = PodName(config);
  }
  return outline;
}

std::string PodName(const runtime::v1::PodSandboxConfig& config) {
  const auto& metadata = config.metadata();
  return absl::StrCat(metadata.name(), "_", metadata.namespace_(), "_",
                      metadata.uid(), "_", metadata.attempt());
}

}  // namespace serai::cri
