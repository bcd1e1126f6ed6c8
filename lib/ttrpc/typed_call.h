// SPDX-License-Identifier: Apache-2.0
#pragma once

// Calls with messages instead of bytes.
//
//   ASSIGN_OR_RETURN(const auto state,
//                    ttrpc::TypedCall<task::StateResponse>(
//                        client, ttrpc::kTaskService, "State", request,
//                        absl::Now() + absl::Seconds(5)));

#include <google/protobuf/message_lite.h>

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/ttrpc/client.h"

namespace serai::ttrpc {

// The same service under its two names, and our own beside it.
inline constexpr char kTaskService[] = "containerd.task.v2.Task";
inline constexpr char kTaskServiceV3[] = "containerd.task.v3.Task";
inline constexpr char kControlService[] = "serai.shim.v1.Control";

// INTERNAL when the answer is not a `Response`.
template <typename Response>
absl::StatusOr<Response> ParseAnswer(const std::string& bytes) {
  Response response;
  if (!response.ParseFromString(bytes)) {
    return absl::InternalError("the answer is malformed");
  }
  return response;
}

template <typename Response>
absl::StatusOr<Response> TypedCall(Client& client, absl::string_view service,
                                   absl::string_view method,
                                   const google::protobuf::MessageLite& request,
                                   absl::Time deadline) {
  ASSIGN_OR_RETURN(
      const std::string bytes,
      client.Call(service, method, request.SerializeAsString(), deadline));
  return ParseAnswer<Response>(bytes);
}

}  // namespace serai::ttrpc
