// SPDX-License-Identifier: Apache-2.0
#include "cri/config_command.h"

#include <cstdio>
#include <utility>

#include "cri/daemon.h"

namespace serai::cri {

absl::StatusOr<Config> ReadConfig(const std::string& path, bool explicitly) {
  auto config = LoadConfig(path);
  if (absl::IsNotFound(config.status()) && !explicitly) return Config();
  return config;
}

int CheckConfig(const std::string& path, bool explicitly) {
  absl::StatusOr<Config> config = ReadConfig(path, explicitly);
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
