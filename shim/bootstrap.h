// SPDX-License-Identifier: Apache-2.0
#pragma once

// How `start` is asked and answered: differently by each generation of
// containerd.
//
//   containerd       given by                  the answer
//   1.6              flags, environment        the address
//   1.7 to 2.2       flags, environment        JSON: version, address, protocol
//   2.3 and later    BootstrapParams on stdin  BootstrapResult
//
// Up to 2.2 stdin has the runtime's options (a google.protobuf.Any), or
// nothing.

#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "shim/options.h"

namespace serai::shim {

// What the shim's commands take from the environment.
struct Environment {
  std::string ttrpc_address;  // TTRPC_ADDRESS
  std::string max_version;    // MAX_SHIM_VERSION: set from 1.7 on
};

struct Bootstrap {
  enum class Answer { kAddress, kJson, kProtobuf };

  Answer answer = Answer::kAddress;
  std::string events_address;    // where events go; empty: nobody wants them
  std::string socket_directory;  // empty: the caller does not say
};

// `input` is what stood on stdin. INVALID_ARGUMENT when that is neither the
// parameters of this start nor options.
absl::StatusOr<Bootstrap> ReadBootstrap(const Options& options,
                                        const Environment& environment,
                                        absl::string_view input);

// What `start` prints. `version` is that of the task service, 2 or 3; a plain
// address means 2.
std::string FormatAnswer(Bootstrap::Answer answer, int version,
                         const std::string& address);

}  // namespace serai::shim
