// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cni/json.h"
#include "cni/result.h"
#include "cni/tap_plugin/commands.h"
#include "lib/base/file.h"
#include "lib/host/tap.h"
#include "lib/host/tap_owner.h"

namespace serai::tap_plugin {
namespace {

using nlohmann::json;

// The pod's addresses on the interface; none where the network gives none.
absl::StatusOr<std::vector<std::string>> AddressesOf(const json& result,
                                                     const std::string& name) {
  std::vector<std::string> addresses;
  const json& ips = cni::Member(result, "ips");
  if (ips.is_null() || ips.empty()) return addresses;
  const absl::StatusOr<cni::Result> read = cni::ReadResult(result, name);
  if (!read.ok()) {
    return CniError(ErrorCode::kInvalidConfig,
                    absl::StrCat("\"prevResult\": ", read.status().message()));
  }
  for (const cni::IpConfig& ip : read->ips) addresses.push_back(ip.address);
  return addresses;
}

// A pod may have several networks with such a tap.
std::string TapName(const Environment& environment, const Config& config) {
  if (!config.tap.empty()) return config.tap;
  return environment.interface == "eth0"
             ? host::TapName(0)
             : host::NodeTapName(environment.container_id,
                                 environment.interface);
}

absl::StatusOr<host::TapSpec> SpecOf(const Environment& environment,
                                     const Config& config) {
  host::TapSpec spec;
  spec.interface = environment.interface;
  spec.tap = TapName(environment, config);
  absl::StatusOr<std::string> owner = host::ToAlias(
      {config.name, environment.container_id, environment.interface});
  if (!owner.ok()) {
    return CniError(ErrorCode::kInvalidConfig, owner.status().message());
  }
  spec.owner = *std::move(owner);
  return spec;
}

absl::StatusOr<json> WithTap(json result, const std::string& netns,
                             const host::TapSpec& spec, const host::Tap& tap) {
  json& interfaces = result["interfaces"];
  if (interfaces.is_null()) interfaces = json::array();
  if (!interfaces.is_array()) {
    return CniError(ErrorCode::kInvalidConfig,
                    "\"prevResult\": \"interfaces\" is not a list");
  }
  for (const json& interface : interfaces) {
    if (cni::Member(interface, "name") == spec.tap &&
        cni::Member(interface, "sandbox") == netns) {
      return result;
    }
  }
  interfaces.push_back(
      {{"name", spec.tap}, {"mac", tap.mac}, {"sandbox", netns}});
  return result;
}

}  // namespace

absl::StatusOr<json> ChainedAdd(const Environment& environment,
                                const Config& config) {
  if (config.previous.is_null()) {
    return CniError(
        ErrorCode::kInvalidConfig,
        "no \"prevResult\": serai-tap without a \"bridge\" and an \"ipam\" "
        "belongs behind a plugin that makes the pod's interface");
  }
  ASSIGN_OR_RETURN(host::TapSpec spec, SpecOf(environment, config));
  ASSIGN_OR_RETURN(spec.addresses,
                   AddressesOf(config.previous, environment.interface));
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenPod(environment));
  absl::StatusOr<host::Tap> tap = host::CreateTap(netns.get(), spec);
  if (absl::IsAlreadyExists(tap.status())) {
    const absl::StatusOr<host::Tap> again = host::FindTap(netns.get(), spec);
    if (!absl::IsNotFound(again.status())) tap = again;
  }
  RETURN_IF_ERROR(tap.status());
  return WithTap(config.previous, environment.netns, spec, *tap);
}

absl::Status ChainedCheck(const Environment& environment,
                          const Config& config) {
  ASSIGN_OR_RETURN(host::TapSpec spec, SpecOf(environment, config));
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenPod(environment));
  return host::FindTap(netns.get(), spec).status();
}

absl::Status ChainedDel(const Environment& environment, const Config& config) {
  // With the namespace goes all that was in it.
  if (PodIsGone(environment)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const host::TapSpec spec, SpecOf(environment, config));
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenPod(environment));
  return host::RemoveTap(netns.get(), spec);
}

}  // namespace serai::tap_plugin
