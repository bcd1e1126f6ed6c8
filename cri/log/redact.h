// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests as the log may show them.

#include <google/protobuf/message.h>

#include <string>

namespace serai::cri {

// The message in one line, without secrets: a registry's password, auth,
// identity token and registry token, the values of environment variables, and
// the copy of the whole manifest that kubectl leaves in an annotation.
std::string Redacted(const google::protobuf::Message& message);

// Logs a request at debug level.
void LogRequest(const char* method, const google::protobuf::Message& request);

}  // namespace serai::cri
