// SPDX-License-Identifier: Apache-2.0
#include "cri/pod/wire.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/host/interface.h"
#include "lib/host/pod_tap.h"
#include "lib/host/tap.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using state::v1::PodNetwork;

// The way out that the plugins told for a family; empty: they told none. A
// route says more than an address, whose gateway may lead to its subnet alone.
absl::StatusOr<std::string> ToldGateway(const cni::Result& result,
                                        const cni::IpConfig& ip) {
  std::string gateway;
  for (const cni::Route& route : result.routes) {
    if (route.prefix_length != 0 || route.is_ipv6 != ip.is_ipv6 ||
        route.gateway.empty() || route.gateway == gateway) {
      continue;
    }
    if (!gateway.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the network gives the pod two default gateways, ", gateway, " and ",
          route.gateway, "; a unikernel can have one"));
    }
    gateway = route.gateway;
  }
  return gateway.empty() ? ip.gateway : gateway;
}

// The way out that stands in the namespace, for plugins that make one and
// don't tell it, as Calico's.
std::string FoundGateway(const host::Interface& interface, bool is_ipv6) {
  for (const host::InterfaceAddress& address : interface.addresses) {
    const bool v6 = address.address.find(':') != std::string::npos;
    if (v6 == is_ipv6) return address.gateway;
  }
  return "";
}

void AddAddress(const std::string& address, uint32_t prefix_length,
                const std::string& gateway, PodNetwork& out) {
  auto* added = out.add_addresses();
  added->set_address(address);
  added->set_prefix_length(prefix_length);
  added->set_gateway(gateway);
}

absl::Status AddTold(const cni::Result& result,
                     const host::Interface& interface, PodNetwork& out) {
  for (const cni::IpConfig& ip : result.ips) {
    ASSIGN_OR_RETURN(std::string gateway, ToldGateway(result, ip));
    if (gateway.empty()) gateway = FoundGateway(interface, ip.is_ipv6);
    AddAddress(ip.address, static_cast<uint32_t>(ip.prefix_length), gateway,
               out);
  }
  return absl::OkStatus();
}

void AddFound(const host::Interface& interface, PodNetwork& out) {
  for (const host::InterfaceAddress& address : interface.addresses) {
    AddAddress(address.address, address.prefix_length, address.gateway, out);
  }
}

// Those that the guest is told, and may send from.
std::vector<std::string> AddressesOf(const PodNetwork& network) {
  std::vector<std::string> addresses;
  for (const auto& address : network.addresses()) {
    addresses.push_back(address.address());
  }
  return addresses;
}

// The interfaces in the namespace, `wanted` first.
absl::StatusOr<std::vector<host::Interface>> List(int netns_fd,
                                                  const std::string& wanted) {
  absl::StatusOr<std::vector<host::Interface>> found =
      host::ListInterfaces(netns_fd);
  if (!found.ok() && !absl::IsNotFound(found.status())) return found;
  std::vector<std::string> names;
  if (found.ok()) {
    std::stable_partition(
        found->begin(), found->end(),
        [&](const host::Interface& each) { return each.name == wanted; });
    if (found->front().name == wanted) return found;
    for (const host::Interface& each : *found) names.push_back(each.name);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the network plugins told of an interface ", wanted,
                   " and left none in the pod's namespace; there are: ",
                   names.empty() ? "none" : absl::StrJoin(names, ", ")));
}

}  // namespace

absl::StatusOr<std::vector<PodNetwork>> WireInterfaces(
    int netns_fd, const std::string& interface, const cni::Result& result) {
  ASSIGN_OR_RETURN(const std::vector<host::Interface> found,
                   List(netns_fd, interface));
  std::vector<PodNetwork> networks;
  for (const host::Interface& each : found) {
    const size_t number = networks.size();
    PodNetwork& network = networks.emplace_back();
    network.set_interface(each.name);
    if (number == 0) {
      RETURN_IF_ERROR(AddTold(result, each, network));
    } else {
      AddFound(each, network);
    }
    const absl::StatusOr<host::PodTap> tap = host::TakeInterface(
        netns_fd, each, host::TapName(number), AddressesOf(network));
    // Whoever wants it is told that it is not there.
    if (absl::IsFailedPrecondition(tap.status()) && number > 0) {
      spdlog::warn("no guest can have interface {}: {}", each.name,
                   std::string(tap.status().message()));
      networks.pop_back();
      continue;
    }
    RETURN_IF_ERROR(tap.status());
    network.set_tap(tap->name);
    network.set_tap_on_node(tap->on_node);
    network.set_mac(tap->mac);
    network.set_mtu(tap->mtu);
  }
  return networks;
}

}  // namespace serai::cri
