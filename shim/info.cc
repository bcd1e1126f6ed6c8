// SPDX-License-Identifier: Apache-2.0
#include "shim/info.h"

#include "lib/base/version.h"
#include "proto/task/bootstrap.pb.h"
#include "proto/task/wire.pb.h"

namespace serai::shim {

std::string VersionText() {
  return absl::StrCat("containerd-shim-serai-v2 ", kVersion, "\n");
}

absl::StatusOr<std::string> RuntimeInfo(absl::string_view input) {
  bootstrap::RuntimeInfo info;
  info.set_name("io.containerd.serai.v2");
  info.mutable_version()->set_version(kVersion);
  if (!input.empty() && !info.mutable_options()->ParseFromArray(
                            input.data(), static_cast<int>(input.size()))) {
    return absl::InvalidArgumentError("standard input has no options");
  }
  return info.SerializeAsString();
}

}  // namespace serai::shim
