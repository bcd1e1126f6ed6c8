// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bundles as containerd's CRI plugin makes them, not seraid: a config.json for
// a Linux container, with a root file system and nothing of ours.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::testing {

struct ContainerBundle {
  std::vector<std::string> args;
  std::map<std::string, std::string> annotations;
  // linux.namespaces' network: absent for the host's, empty for a new one.
  std::optional<std::string> netns;
  std::optional<int64_t> memory_limit;
  std::string cgroups_path;
  // More entries of `mounts`.
  std::vector<nlohmann::json> mounts;
};

// The config.json.
nlohmann::json ContainerConfig(const ContainerBundle& bundle);

// Writes it to `directory`, and `files` (of the built guests, by name) into its
// rootfs.
absl::Status WriteContainerBundle(const std::string& directory,
                                  const ContainerBundle& bundle,
                                  const std::vector<std::string>& files);

// As the CRI plugin has it of a container of `sandbox`, and of the sandbox.
std::map<std::string, std::string> ContainerAnnotations(
    const std::string& sandbox);
std::map<std::string, std::string> SandboxAnnotations(
    const std::string& sandbox);

}  // namespace serai::testing
