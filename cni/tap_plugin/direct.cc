// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/tap_plugin/commands.h"
#include "cni/tap_plugin/ipam.h"
#include "lib/base/file.h"
#include "lib/host/node_tap.h"
#include "lib/host/placeholder.h"

namespace serai::tap_plugin {
namespace {

using nlohmann::json;

// In the result's list of interfaces: the bridge, the tap, the pod's.
constexpr int kPodsInterface = 2;

host::TapOwner OwnerOf(const Environment& environment, const Config& config) {
  return {config.name, environment.container_id, environment.interface};
}

std::string TapName(const Environment& environment) {
  return host::NodeTapName(environment.container_id, environment.interface);
}

absl::StatusOr<std::string> ChooseMac(const Environment& environment,
                                      const Config& config) {
  if (!config.mac.empty()) return config.mac;
  if (!environment.mac.empty()) return environment.mac;
  std::array<uint8_t, 6> bytes = {};
  if (::getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    return ErrnoStatus(errno, "getrandom");
  }
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0xfc) | 0x02);
  std::string mac;
  for (const uint8_t byte : bytes) {
    absl::StrAppend(&mac, mac.empty() ? "" : ":",
                    absl::Hex(byte, absl::kZeroPad2));
  }
  return mac;
}

// The first address of the network that `ip` is in.
std::string FirstAddress(const cni::IpConfig& ip) {
  std::array<uint8_t, sizeof(in6_addr)> bytes = {};
  const int family = ip.is_ipv6 ? AF_INET6 : AF_INET;
  const size_t size = ip.is_ipv6 ? sizeof(in6_addr) : sizeof(in_addr);
  ::inet_pton(family, ip.address.c_str(), bytes.data());
  for (size_t bit = static_cast<size_t>(ip.prefix_length); bit < size * 8;
       ++bit) {
    bytes[bit / 8] =
        static_cast<uint8_t>(bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  bytes[size - 1] |= 1;
  std::array<char, INET6_ADDRSTRLEN> text = {};
  ::inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

void AddDefaultRoute(const cni::IpConfig& ip, Leased& leased) {
  for (const cni::Route& route : leased.result.routes) {
    if (route.is_ipv6 == ip.is_ipv6 && route.prefix_length == 0) return;
  }
  const std::string everywhere = ip.is_ipv6 ? "::" : "0.0.0.0";
  leased.result.routes.push_back({everywhere, 0, ip.gateway, ip.is_ipv6});
  leased.json["routes"].push_back(
      {{"dst", everywhere + "/0"}, {"gw", ip.gateway}});
}

// What the bridge is to have, and the pod to be told.
void AddGateways(const Config& config, Leased& leased) {
  for (size_t i = 0; config.is_gateway && i < leased.result.ips.size(); ++i) {
    cni::IpConfig& ip = leased.result.ips[i];
    if (ip.gateway.empty()) {
      ip.gateway = FirstAddress(ip);
      leased.json["ips"][i]["gateway"] = ip.gateway;
    }
    if (config.is_default_gateway) AddDefaultRoute(ip, leased);
  }
}

host::Placeholder PlaceholderOf(const Environment& environment,
                                const cni::Result& result) {
  host::Placeholder out;
  out.interface = environment.interface;
  out.tap = TapName(environment);
  for (const cni::IpConfig& ip : result.ips) {
    out.addresses.push_back(
        {ip.address, static_cast<uint32_t>(ip.prefix_length)});
  }
  for (const cni::Route& route : result.routes) {
    std::string gateway = route.gateway;
    for (const cni::IpConfig& ip : result.ips) {
      if (gateway.empty() && ip.is_ipv6 == route.is_ipv6) gateway = ip.gateway;
    }
    out.routes.push_back({route.destination,
                          static_cast<uint32_t>(route.prefix_length),
                          std::move(gateway)});
  }
  return out;
}

absl::Status Forward(const cni::Result& result) {
  for (const cni::IpConfig& ip : result.ips) {
    RETURN_IF_ERROR(
        WriteControlFile(ip.is_ipv6 ? "/proc/sys/net/ipv6/conf/all/forwarding"
                                    : "/proc/sys/net/ipv4/ip_forward",
                         "1"),
        "having the node forward");
  }
  return absl::OkStatus();
}

json Interfaces(const Environment& environment, const Config& config,
                const host::NodeTap& tap, const std::string& mac) {
  return json::array({{{"name", config.bridge}, {"mac", tap.bridge_mac}},
                      {{"name", TapName(environment)}, {"mac", tap.mac}},
                      {{"name", environment.interface},
                       {"mac", mac},
                       {"sandbox", environment.netns}}});
}

absl::StatusOr<json> Make(const Environment& environment, const Config& config,
                          int netns, Leased leased) {
  AddGateways(config, leased);
  host::Placeholder pod = PlaceholderOf(environment, leased.result);
  ASSIGN_OR_RETURN(pod.mac, ChooseMac(environment, config));
  host::BridgeSpec bridge = {config.bridge, config.mtu, config.promiscuous};
  host::NodeTapSpec spec;
  spec.name = pod.tap;
  spec.owner = OwnerOf(environment, config);
  spec.mtu = config.mtu;
  spec.hairpin = config.hairpin;
  spec.guard.mac = pod.mac;
  for (const cni::IpConfig& ip : leased.result.ips) {
    spec.guard.addresses.push_back(ip.address);
    if (config.is_gateway) {
      bridge.addresses.push_back(
          {ip.gateway, static_cast<uint32_t>(ip.prefix_length)});
    }
  }
  if (config.is_gateway) RETURN_IF_ERROR(Forward(leased.result));
  ASSIGN_OR_RETURN(const host::NodeTap tap, host::CreateNodeTap(bridge, spec));
  pod.mtu = tap.mtu;
  RETURN_IF_ERROR(host::CreatePlaceholder(netns, pod));
  json result = std::move(leased.json);
  result["interfaces"] = Interfaces(environment, config, tap, pod.mac);
  for (json& ip : result["ips"]) ip["interface"] = kPodsInterface;
  return result;
}

bool IsIp6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

json IpOf(const host::LinkAddress& address, const host::Placeholder& pod,
          const Config& config) {
  const bool ip6 = IsIp6(address.address);
  json ip = {
      {"address", absl::StrCat(address.address, "/", address.prefix_length)},
      {"interface", kPodsInterface}};
  if (!cni::AtLeast(config.version, "1.0.0")) ip["version"] = ip6 ? "6" : "4";
  if (config.is_gateway) {
    ip["gateway"] = FirstAddress(
        {address.address, static_cast<int>(address.prefix_length), "", ip6});
  }
  for (const host::LinkRoute& route : pod.routes) {
    if (route.prefix_length == 0 && IsIp6(route.destination) == ip6) {
      ip["gateway"] = route.gateway;
    }
  }
  return ip;
}

// What an earlier ADD has made, as the kernel tells it. NOT_FOUND when it does
// not stand.
absl::StatusOr<json> Recall(const Environment& environment,
                            const Config& config, int netns) {
  ASSIGN_OR_RETURN(const host::NodeTap tap,
                   host::FindNodeTap(config.bridge, TapName(environment),
                                     OwnerOf(environment, config)));
  ASSIGN_OR_RETURN(const host::Placeholder pod,
                   host::ReadPlaceholder(netns, environment.interface));
  json result = {{"interfaces", Interfaces(environment, config, tap, pod.mac)},
                 {"ips", json::array()},
                 {"dns", json::object()}};
  for (const host::LinkAddress& address : pod.addresses) {
    result["ips"].push_back(IpOf(address, pod, config));
  }
  for (const host::LinkRoute& route : pod.routes) {
    result["routes"].push_back(
        {{"dst", absl::StrCat(route.destination, "/", route.prefix_length)},
         {"gw", route.gateway}});
  }
  return result;
}

absl::Status RemoveLinks(const Environment& environment, const Config& config) {
  absl::Status removed =
      host::RemoveNodeTap(TapName(environment), OwnerOf(environment, config));
  if (PodIsGone(environment)) return removed;
  const absl::StatusOr<UniqueFd> netns = OpenPod(environment);
  RETURN_IF_ERROR(FirstError(removed, netns.status()));
  return host::RemovePlaceholder(netns->get(), environment.interface);
}

// Gives back what ADD made or was about to.
absl::Status Undo(Environment environment, const Config& config) {
  environment.command = "DEL";
  return FirstError(RemoveLinks(environment, config),
                    IpamRun(environment, config));
}

}  // namespace

absl::StatusOr<json> DirectAdd(const Environment& environment,
                               const Config& config) {
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenPod(environment));
  if (::if_nametoindex(TapName(environment).c_str()) != 0) {
    absl::StatusOr<json> made = Recall(environment, config, netns.get());
    if (!absl::IsNotFound(made.status())) return made;
    // Half of it: what somebody who was killed has left.
    RETURN_IF_ERROR(Undo(environment, config));
  }
  ASSIGN_OR_RETURN(Leased leased, IpamAdd(environment, config));
  absl::StatusOr<json> made =
      Make(environment, config, netns.get(), std::move(leased));
  if (made.ok()) return made;
  const absl::Status undone = Undo(environment, config);
  if (undone.ok()) return made;
  return Annotate(made.status(),
                  absl::StrCat("and undoing it (", undone.message(), ")"));
}

absl::Status DirectCheck(const Environment& environment, const Config& config) {
  RETURN_IF_ERROR(IpamRun(environment, config));
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenPod(environment));
  RETURN_IF_ERROR(host::FindNodeTap(config.bridge, TapName(environment),
                                    OwnerOf(environment, config))
                      .status());
  ASSIGN_OR_RETURN(const host::Placeholder pod,
                   host::ReadPlaceholder(netns.get(), environment.interface));
  if (pod.tap != TapName(environment)) {
    return absl::FailedPreconditionError(absl::StrCat(
        environment.interface, " stands for another tap, ", pod.tap));
  }
  if (config.previous.is_null()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const cni::Result told,
                   cni::ReadResult(config.previous, environment.interface),
                   "\"prevResult\"");
  for (const cni::IpConfig& ip : told.ips) {
    const host::LinkAddress wanted = {ip.address,
                                      static_cast<uint32_t>(ip.prefix_length)};
    if (std::find(pod.addresses.begin(), pod.addresses.end(), wanted) ==
        pod.addresses.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          environment.interface, " has lost its address ", ip.address));
    }
  }
  return absl::OkStatus();
}

absl::Status DirectDel(const Environment& environment, const Config& config) {
  return FirstError(RemoveLinks(environment, config),
                    IpamRun(environment, config));
}

absl::Status DirectGc(const Environment& environment, const Config& config) {
  if (!config.valid) {
    return CniError(ErrorCode::kInvalidConfig,
                    "GC without \"cni.dev/valid-attachments\"");
  }
  ASSIGN_OR_RETURN(const auto taps, host::ListNodeTaps());
  absl::Status first;
  for (const auto& [name, owner] : taps) {
    const auto valid =
        std::find(config.valid->begin(), config.valid->end(),
                  std::pair(owner.container_id, owner.interface));
    if (owner.network != config.name || valid != config.valid->end()) continue;
    first = FirstError(std::move(first), host::RemoveNodeTap(name, owner));
  }
  return FirstError(std::move(first), IpamRun(environment, config));
}

}  // namespace serai::tap_plugin
