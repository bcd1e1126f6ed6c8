// SPDX-License-Identifier: Apache-2.0
#include "shim/bootstrap.h"

#include <nlohmann/json.hpp>

#include "proto/task/bootstrap.pb.h"
#include "proto/task/wire.pb.h"

namespace serai::shim {
namespace {

constexpr char kProtocol[] = "ttrpc";

template <typename Message>
bool Parse(Message& message, absl::string_view input) {
  return message.ParseFromArray(input.data(), static_cast<int>(input.size()));
}

}  // namespace

absl::StatusOr<Bootstrap> ReadBootstrap(const Options& options,
                                        const Environment& environment,
                                        absl::string_view input) {
  Bootstrap bootstrap;
  bootstrap::BootstrapParams params;
  // Options may read as parameters: the flags, which both generations give,
  // tell which they are.
  if (!input.empty() && Parse(params, input) &&
      params.instance_id() == options.id &&
      params.namespace_() == options.namespace_name) {
    bootstrap.answer = Bootstrap::Answer::kProtobuf;
    bootstrap.events_address = params.containerd_ttrpc_address();
    bootstrap.socket_directory = params.socket_dir();
    return bootstrap;
  }
  wire::Any runtime_options;
  if (!Parse(runtime_options, input)) {
    return absl::InvalidArgumentError(
        "standard input has neither parameters nor options");
  }
  bootstrap.events_address = environment.ttrpc_address;
  if (!environment.max_version.empty()) {
    bootstrap.answer = Bootstrap::Answer::kJson;
  }
  return bootstrap;
}

std::string FormatAnswer(Bootstrap::Answer answer, int version,
                         const std::string& address) {
  switch (answer) {
    case Bootstrap::Answer::kJson:
      return nlohmann::json({{"version", version},
                             {"address", address},
                             {"protocol", kProtocol}})
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    case Bootstrap::Answer::kProtobuf: {
      bootstrap::BootstrapResult result;
      result.set_version(version);
      result.set_address(address);
      result.set_protocol(kProtocol);
      return result.SerializeAsString();
    }
    default:
      return address;
  }
}

}  // namespace serai::shim
