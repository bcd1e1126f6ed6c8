// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/error_status.h"

#include "nlohmann/json.hpp"

namespace serai::cri::streaming {

std::string StatusJson(const absl::Status& status) {
  nlohmann::json json = {{"metadata", nlohmann::json::object()},
                         {"status", status.ok() ? "Success" : "Failure"}};
  if (!status.ok()) {
    const bool missing = absl::IsNotFound(status);
    json["message"] = std::string(status.message());
    json["reason"] = missing ? "NotFound" : "InternalError";
    json["code"] = missing ? 404 : 500;
  }
  // A message need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace serai::cri::streaming
