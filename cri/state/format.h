// SPDX-License-Identifier: Apache-2.0
#pragma once

// Records as text: docs/formats/records.md. A record of any version from 1 to
// this build's is read, and is of this build's version then; one of a later
// version is refused, whatever else is in it. Pure functions.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "proto/state/checkpoint.pb.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

using state::v1::ContainerRecord;
using state::v1::PodRecord;

// What this build writes. A field more is no new version: older builds leave it
// out of what they write, and newer ones take its default for what it was. A
// version is for what an older build would do wrong.
inline constexpr uint32_t kRecordVersion = 1;

// The message as JSON.
absl::StatusOr<std::string> FormatRecord(
    const google::protobuf::Message& message);

// DATA_LOSS for what is no such record, FAILED_PRECONDITION, with both
// versions, for one of a later version.
absl::Status ParseRecord(absl::string_view json, PodRecord& record);
absl::Status ParseRecord(absl::string_view json, ContainerRecord& record);
absl::Status ParseRecord(absl::string_view json, state::v1::ViewRecord& record);
absl::Status ParseRecord(absl::string_view json,
                         state::v1::PodCheckpoint& record);

// What can be told of a record of a later version, as far as it is as it was.
struct RecordOutline {
  uint32_t version = 0;
  std::string pod_id;    // a container's
  std::string image_id;  // a container's
  std::string pod_name;  // a pod's, as PodName() has it
};
RecordOutline OutlineOf(absl::string_view json);

// What is unique of a pod on the node: name, namespace, uid and attempt.
std::string PodName(const runtime::v1::PodSandboxConfig& config);

}  // namespace serai::cri
