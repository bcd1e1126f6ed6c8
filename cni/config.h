// SPDX-License-Identifier: Apache-2.0
#pragma once

// Network configurations (CNI specification, sections 1 and 3): what the node's
// administrator wrote, and what a plugin is given of it.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cni/network.h"
#include "lib/base/status.h"

namespace serai::cni {

// The versions this client speaks, newest first.
const std::vector<std::string>& SupportedVersions();
bool IsSupportedVersion(absl::string_view version);
// Whether `version` (a supported one) is `than` (another) or newer.
bool AtLeast(absl::string_view version, absl::string_view than);

struct PluginConfig {
  std::string type;  // a file name
  nlohmann::json json;
  bool wants_port_mappings = false;
};

struct NetworkConfig {
  std::string name;
  // What the configuration can be run as and this client speaks; newest first,
  // never empty. The first is what is used.
  std::vector<std::string> versions;
  bool disable_check = false;
  std::vector<PluginConfig> plugins;  // never empty

  const std::string& version() const { return versions.front(); }
};

// Reads a list of plugins, or the configuration of a single one, whatever the
// file was called. INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
absl::StatusOr<NetworkConfig> ParseNetworkConfig(absl::string_view text);
absl::StatusOr<NetworkConfig> NetworkConfigFromJson(const nlohmann::json& list);

// Reads back as an equal configuration, pinned to its version.
nlohmann::json ToJson(const NetworkConfig& config);

// The first configuration file in `dir`. NOT_FOUND when there is none.
absl::StatusOr<std::string> FindConfigFile(const std::string& dir);

// What the plugin at `index` is given on stdin. `previous` is the result so
// far; null: none.
nlohmann::json PluginInput(const NetworkConfig& config, size_t index,
                           const std::vector<PortMapping>& port_mappings,
                           const nlohmann::json& previous);

}  // namespace serai::cni
