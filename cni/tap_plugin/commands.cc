// SPDX-License-Identifier: Apache-2.0
#include "cni/tap_plugin/commands.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/tap_plugin/ipam.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"

namespace serai::tap_plugin {
namespace {

using nlohmann::json;

std::string Versions(const std::string& asked_in) {
  const std::vector<std::string>& all = cni::SupportedVersions();
  return cni::Dump(
      {{"cniVersion", cni::IsSupportedVersion(asked_in) ? asked_in : all[0]},
       {"supportedVersions",
        json(std::vector<std::string>(all.rbegin(), all.rend()))}});
}

absl::Status Status(const Environment& environment, const Config& config) {
  const auto tun = OpenFile("/dev/net/tun", O_RDWR);
  if (!tun.ok()) {
    return CniError(
        ErrorCode::kPluginNotAvailable,
        absl::StrCat("no taps can be made: ", tun.status().message()));
  }
  return config.chained ? absl::OkStatus() : IpamRun(environment, config);
}

absl::StatusOr<json> Add(const Environment& environment, const Config& config) {
  if (config.chained) return ChainedAdd(environment, config);
  if (!config.previous.is_null()) {
    return CniError(ErrorCode::kInvalidConfig,
                    "serai-tap with a \"bridge\" or an \"ipam\" makes the "
                    "interface itself and has to be the first plugin; leave "
                    "both out to have it behind another");
  }
  return DirectAdd(environment, config);
}

absl::StatusOr<bool> IsOwnNamespace(int netns) {
  struct stat own = {};
  struct stat pod = {};
  if (::stat("/proc/self/ns/net", &own) != 0 || ::fstat(netns, &pod) != 0) {
    return ErrnoStatus(errno, "comparing namespaces");
  }
  return own.st_ino == pod.st_ino && own.st_dev == pod.st_dev;
}

absl::Status RunQuiet(const Environment& environment, const Config& config) {
  const std::string& command = environment.command;
  const bool chained = config.chained;
  if (command == "CHECK") {
    return chained ? ChainedCheck(environment, config)
                   : DirectCheck(environment, config);
  }
  if (command == "DEL") {
    return chained ? ChainedDel(environment, config)
                   : DirectDel(environment, config);
  }
  if (command == "STATUS") return Status(environment, config);
  // A chained tap goes with its namespace: nothing of it can be left.
  return chained ? absl::OkStatus() : DirectGc(environment, config);
}

}  // namespace

bool PodIsGone(const Environment& environment) {
  if (environment.netns.empty()) return true;
  const absl::Status found = host::OpenNetns(environment.netns).status();
  return absl::IsNotFound(found) || absl::IsInvalidArgument(found);
}

absl::StatusOr<UniqueFd> OpenPod(const Environment& environment) {
  absl::StatusOr<UniqueFd> netns = host::OpenNetns(environment.netns);
  if (!netns.ok()) {
    return CniError(ErrorCode::kUnknownContainer,
                    absl::StrCat("CNI_NETNS: ", netns.status().message()));
  }
  ASSIGN_OR_RETURN(const bool own, IsOwnNamespace(netns->get()));
  if (own) {
    return CniError(ErrorCode::kInvalidEnvironment,
                    "CNI_NETNS is the node's own network namespace");
  }
  return netns;
}

absl::StatusOr<std::string> Run(const Environment& environment,
                                const std::string& input) {
  if (environment.command == "VERSION") {
    ASSIGN_OR_RETURN(const std::string version, ReadVersion(input));
    return Versions(version);
  }
  ASSIGN_OR_RETURN(const Config config, ReadConfig(input));
  if (environment.command == "ADD") {
    ASSIGN_OR_RETURN(json result, Add(environment, config));
    result["cniVersion"] = config.version;
    return cni::Dump(result);
  }
  RETURN_IF_ERROR(RunQuiet(environment, config));
  return "";
}

}  // namespace serai::tap_plugin
