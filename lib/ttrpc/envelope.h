// SPDX-License-Identifier: Apache-2.0
#pragma once

// What stands in a frame: which method is called with what, and how the call
// went. Hides the messages, so that users of the client and the server need
// no protobuf header. Pure functions, any thread.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::ttrpc {

struct Call {
  std::string service;  // "containerd.task.v2.Task"
  std::string method;   // "State"
  std::string request;
  // How long the caller waits.
  absl::Duration timeout = absl::InfiniteDuration();
};

// The data of a request frame. An infinite timeout is not written.
std::string EncodeRequest(absl::string_view service, absl::string_view method,
                          absl::string_view request, absl::Duration timeout);
// INVALID_ARGUMENT when `data` is no request.
absl::StatusOr<Call> DecodeRequest(absl::string_view data);

// The data of a response frame: the answer's bytes, or the error with its code
// and message.
std::string EncodeResponse(const absl::StatusOr<std::string>& outcome);
// What the server said. INTERNAL when `data` is no response. A code that gRPC
// does not have is UNKNOWN.
absl::StatusOr<std::string> DecodeResponse(absl::string_view data);

}  // namespace serai::ttrpc
