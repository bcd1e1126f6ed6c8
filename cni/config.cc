// SPDX-License-Identifier: Apache-2.0
#include "cni/config.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "cni/json.h"
#include "lib/base/file.h"

namespace serai::cni {
namespace {

using nlohmann::json;

constexpr size_t kMaxPlugins = 64;

size_t Rank(absl::string_view version) {
  const auto& all = SupportedVersions();
  return static_cast<size_t>(std::find(all.begin(), all.end(), version) -
                             all.begin());
}

bool IsNetworkName(absl::string_view name) {
  if (name.empty() ||
      !absl::ascii_isalnum(static_cast<unsigned char>(name[0]))) {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
           c == '.' || c == '-';
  });
}

bool IsFileName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         !absl::StrContains(name, "/") && !absl::StrContains(name, "\\");
}

absl::StatusOr<std::vector<std::string>> ReadVersions(const json& list) {
  ASSIGN_OR_RETURN(const std::string version, StringField(list, "cniVersion"));
  ASSIGN_OR_RETURN(std::vector<std::string> given,
                   StringListField(list, "cniVersions"));
  if (!version.empty()) given.push_back(version);
  if (given.empty()) {
    return absl::InvalidArgumentError("\"cniVersion\" is missing");
  }
  std::vector<std::string> usable;
  for (const std::string& ours : SupportedVersions()) {
    if (std::find(given.begin(), given.end(), ours) != given.end()) {
      usable.push_back(ours);
    }
  }
  if (usable.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cniVersion ", absl::StrJoin(given, ", "),
                     " is not supported; those that are: ",
                     absl::StrJoin(SupportedVersions(), ", ")));
  }
  return usable;
}

// A boolean; older specifications had it as a string.
absl::StatusOr<bool> ReadDisableCheck(const json& list) {
  const json& member = Member(list, "disableCheck");
  if (member.is_null() || member == false || member == "false") return false;
  if (member == true || member == "true") return true;
  return absl::InvalidArgumentError(
      "\"disableCheck\" is neither true nor false");
}

absl::StatusOr<PluginConfig> ReadPlugin(const json& plugin) {
  if (!plugin.is_object()) {
    return absl::InvalidArgumentError("not an object");
  }
  PluginConfig config;
  ASSIGN_OR_RETURN(config.type, StringField(plugin, "type"));
  if (!IsFileName(config.type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"type\" is no file name: \"", config.type, "\""));
  }
  config.json = plugin;
  config.wants_port_mappings =
      Member(Member(plugin, "capabilities"), "portMappings") == true;
  return config;
}

json PortMappingsToJson(const std::vector<PortMapping>& mappings) {
  json list = json::array();
  for (const PortMapping& mapping : mappings) {
    if (mapping.host_port == 0) continue;
    json entry = {{"hostPort", mapping.host_port},
                  {"containerPort", mapping.container_port},
                  {"protocol", mapping.protocol}};
    if (!mapping.host_ip.empty()) entry["hostIP"] = mapping.host_ip;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

const std::vector<std::string>& SupportedVersions() {
  static const auto& versions = *new std::vector<std::string>{
      "1.1.0", "1.0.0", "0.4.0", "0.3.1", "0.3.0"};
  return versions;
}

bool IsSupportedVersion(absl::string_view version) {
  return Rank(version) < SupportedVersions().size();
}

bool AtLeast(absl::string_view version, absl::string_view than) {
  return Rank(version) <= Rank(than);
}

absl::StatusOr<NetworkConfig> NetworkConfigFromJson(const json& list) {
  if (!list.is_object()) return absl::InvalidArgumentError("not an object");
  NetworkConfig config;
  ASSIGN_OR_RETURN(config.versions, ReadVersions(list));
  ASSIGN_OR_RETURN(config.name, StringField(list, "name"));
  if (!IsNetworkName(config.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"name\" is no network name: \"", config.name, "\""));
  }
  ASSIGN_OR_RETURN(config.disable_check, ReadDisableCheck(list));
  if (!list.contains("plugins")) {
    ASSIGN_OR_RETURN(PluginConfig plugin, ReadPlugin(list));
    config.plugins.push_back(std::move(plugin));
    return config;
  }
  const json& plugins = Member(list, "plugins");
  if (!plugins.is_array() || plugins.empty() || plugins.size() > kMaxPlugins) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"plugins\" is not a list of 1 to ", kMaxPlugins, " plugins"));
  }
  for (const json& element : plugins) {
    ASSIGN_OR_RETURN(PluginConfig plugin, ReadPlugin(element), "plugin ",
                     config.plugins.size() + 1);
    config.plugins.push_back(std::move(plugin));
  }
  return config;
}

absl::StatusOr<NetworkConfig> ParseNetworkConfig(absl::string_view text) {
  ASSIGN_OR_RETURN(const json list, ParseJson(text));
  return NetworkConfigFromJson(list);
}

json ToJson(const NetworkConfig& config) {
  json plugins = json::array();
  for (const PluginConfig& plugin : config.plugins) {
    plugins.push_back(plugin.json);
  }
  return {{"cniVersion", config.version()},
          {"name", config.name},
          {"disableCheck", config.disable_check},
          {"plugins", std::move(plugins)}};
}

absl::StatusOr<std::string> FindConfigFile(const std::string& dir) {
  const absl::StatusOr<std::vector<std::string>> names = ListDir(dir);
  if (!names.ok() && !absl::IsNotFound(names.status())) return names.status();
  if (names.ok()) {
    for (const std::string& name : *names) {
      if (absl::EndsWith(name, ".conflist") || absl::EndsWith(name, ".conf") ||
          absl::EndsWith(name, ".json")) {
        return JoinPath(dir, name);
      }
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "no network configuration: no *.conflist, *.conf or *.json in ", dir));
}

json PluginInput(const NetworkConfig& config, size_t index,
                 const std::vector<PortMapping>& port_mappings,
                 const json& previous) {
  const PluginConfig& plugin = config.plugins[index];
  json input = plugin.json;
  input["name"] = config.name;
  input["cniVersion"] = config.version();
  if (plugin.wants_port_mappings) {
    json mappings = PortMappingsToJson(port_mappings);
    if (!mappings.empty()) {
      if (!Member(input, "runtimeConfig").is_object()) {
        input["runtimeConfig"] = json::object();
      }
      input["runtimeConfig"]["portMappings"] = std::move(mappings);
    }
  }
  if (!previous.is_null()) input["prevResult"] = previous;
  return input;
}

}  // namespace serai::cni
