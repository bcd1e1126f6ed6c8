// SPDX-License-Identifier: Apache-2.0
#pragma once

// Between the services' methods, which have messages and times, and ttrpc,
// which has bytes.

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/ttrpc/server.h"
#include "proto/task/wire.pb.h"

namespace serai::shim {

inline wire::Timestamp ToWire(absl::Time time) {
  const timespec spec = absl::ToTimespec(time);
  wire::Timestamp timestamp;
  timestamp.set_seconds(spec.tv_sec);
  timestamp.set_nanos(static_cast<int32_t>(spec.tv_nsec));
  return timestamp;
}

inline uint32_t ToWire(pid_t pid) { return static_cast<uint32_t>(pid); }

template <typename Message>
absl::StatusOr<std::string> ToBytes(const absl::StatusOr<Message>& message) {
  if (!message.ok()) return message.status();
  return message->SerializeAsString();
}

// INVALID_ARGUMENT for what is no such message.
template <typename Request>
absl::StatusOr<Request> Parse(const std::string& bytes) {
  Request request;
  if (!request.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("the request is malformed");
  }
  return request;
}

// A method's answer to the request in `bytes`, as bytes.
template <typename Service, typename Request, typename Response>
absl::StatusOr<std::string> Run(
    Service& service,
    absl::StatusOr<Response> (Service::*method)(const Request&),
    const std::string& bytes) {
  ASSIGN_OR_RETURN(const Request request, Parse<Request>(bytes));
  return ToBytes((service.*method)(request));
}

// The same for a method that answers later, or not at once: it is given a
// function to call once.
template <typename Service, typename Request, typename Done>
void RunLater(Service& service, void (Service::*method)(const Request&, Done),
              const std::string& bytes, const ttrpc::Server::Reply& reply) {
  const absl::StatusOr<Request> request = Parse<Request>(bytes);
  if (!request.ok()) return reply(request.status());
  (service.*method)(
      *request, [reply](const auto& response) { reply(ToBytes(response)); });
}

absl::Status inline UnknownMethod(const ttrpc::Call& call) {
  return absl::UnimplementedError(
      absl::StrCat("there is no method ", call.service, "/", call.method));
}

}  // namespace serai::shim
