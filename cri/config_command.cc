// SPDX-License-Identifier: Apache-2.0
#include "cri/config_command.h"

#include <cstdio>

#include "cri/config/config.h"
#include "cri/daemon.h"
#include "lib/base/status.h"

namespace serai::cri {

int CheckConfig(const std::string& path, bool must_exist) {
  absl::StatusOr<Config> config = LoadConfig(path, must_exist);
  if (!config.ok()) {
    const std::string message(config.status().message());
    std::fprintf(stderr, "%s\n", message.c_str());
    return 1;
  }
  ResolvePrograms(*config);
  for (const std::string& missing : MissingThings(*config)) {
    std::fprintf(stderr, "warning: %s\n", missing.c_str());
  }
  std::printf("%s: OK\n", path.c_str());
  return 0;
}

}  // namespace serai::cri
