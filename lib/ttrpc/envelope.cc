// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/envelope.h"

#include <utility>

#include "absl/status/status.h"
#include "proto/task/wire.pb.h"

namespace serai::ttrpc {
namespace {

// protobuf takes lengths as int; a frame is far below that.
template <typename Message>
bool Parse(Message& message, absl::string_view data) {
  return message.ParseFromArray(data.data(), static_cast<int>(data.size()));
}

// absl's codes are gRPC's, value by value; what is neither is UNKNOWN.
absl::StatusCode CodeOf(int wire_code) {
  const bool known = wire_code > 0 && wire_code <= 16;
  return known ? static_cast<absl::StatusCode>(wire_code)
               : absl::StatusCode::kUnknown;
}

// A proto3 string must be UTF-8, and messages quote what guests and files say.
std::string Ascii(absl::string_view text) {
  std::string result(text.data(), text.size());
  for (char& c : result) {
    if ((static_cast<unsigned char>(c) & 0x80U) != 0) c = '?';
  }
  return result;
}

}  // namespace

std::string EncodeRequest(absl::string_view service, absl::string_view method,
                          absl::string_view request, absl::Duration timeout) {
  wire::Request message;
  message.set_service(service.data(), service.size());
  message.set_method(method.data(), method.size());
  message.set_payload(request.data(), request.size());
  if (timeout != absl::InfiniteDuration()) {
    message.set_timeout_nano(absl::ToInt64Nanoseconds(timeout));
  }
  return message.SerializeAsString();
}

absl::StatusOr<Call> DecodeRequest(absl::string_view data) {
  wire::Request message;
  if (!Parse(message, data)) {
    return absl::InvalidArgumentError("a malformed ttrpc request");
  }
  Call call{std::move(*message.mutable_service()),
            std::move(*message.mutable_method()),
            std::move(*message.mutable_payload())};
  if (message.timeout_nano() > 0) {
    call.timeout = absl::Nanoseconds(message.timeout_nano());
  }
  return call;
}

std::string EncodeResponse(const absl::StatusOr<std::string>& outcome) {
  wire::Response message;
  if (outcome.ok()) {
    message.set_payload(*outcome);
  } else {
    message.mutable_status()->set_code(
        static_cast<int>(outcome.status().code()));
    message.mutable_status()->set_message(Ascii(outcome.status().message()));
  }
  return message.SerializeAsString();
}

absl::StatusOr<std::string> DecodeResponse(absl::string_view data) {
  wire::Response message;
  if (!Parse(message, data)) {
    return absl::InternalError("a malformed ttrpc response");
  }
  if (message.status().code() != 0) {
    return absl::Status(CodeOf(message.status().code()),
                        message.status().message());
  }
  return std::move(*message.mutable_payload());
}

}  // namespace serai::ttrpc
