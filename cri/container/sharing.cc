// SPDX-License-Identifier: Apache-2.0
#include "cri/container/sharing.h"

#include <netinet/in.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cri/state/networks.h"
#include "lib/base/fault.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"

namespace serai::cri {
namespace {

using host::DeclaredPort;
using nlohmann::json;
using state::v1::PodNetwork;

constexpr size_t kMaxPorts = 256;

// The tap that the guest has at the interface; empty: none.
std::string TapAt(const std::vector<std::string>& taps,
                  const std::string& own) {
  const auto tap =
      std::find_if(taps.begin(), taps.end(),
                   [&](const std::string& each) { return IsTapAt(each, own); });
  return tap == taps.end() ? "" : *tap;
}

uint8_t ProtocolOf(const std::string& name) {
  if (name == "TCP") return IPPROTO_TCP;
  if (name == "UDP") return IPPROTO_UDP;
  if (name == "SCTP") return IPPROTO_SCTP;
  return 0;
}

absl::StatusOr<DeclaredPort> ReadPort(const json& entry) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", kPortsAnnotation,
                     ": an entry is no port with a number and a protocol"));
  };
  if (!entry.is_object()) return wrong();
  const auto number = entry.find("containerPort");
  const auto protocol = entry.find("protocol");
  DeclaredPort port;
  port.protocol = IPPROTO_TCP;
  if (protocol != entry.end()) {
    port.protocol =
        protocol->is_string() ? ProtocolOf(protocol->get<std::string>()) : 0;
  }
  if (number == entry.end() || !number->is_number_unsigned() ||
      number->get<uint64_t>() < 1 || number->get<uint64_t>() > UINT16_MAX ||
      port.protocol == 0) {
    return wrong();
  }
  port.number = number->get<uint16_t>();
  return port;
}

std::string NameOf(const ContainerRecord& container) {
  return absl::StrCat("\"", container.config().metadata().name(), "\"");
}

// A guest at an interface.
struct Sharer {
  const ContainerRecord* container;
  host::SteeredTap tap;
};

absl::StatusOr<Sharer> ReadSharer(const ContainerRecord& container,
                                  std::string tap) {
  Sharer sharer = {&container, {std::move(tap)}};
  ASSIGN_OR_RETURN(sharer.tap.ports, DeclaredPorts(container.config()),
                   "container ", NameOf(container));
  return sharer;
}

// The last one is the taker.
absl::Status CheckCanBeSteered(const std::string& interface,
                               const std::vector<Sharer>& sharers) {
  const Sharer& taker = sharers.back();
  if (sharers.size() > host::kMaxSteered) {
    return absl::InvalidArgumentError(
        absl::StrCat(sharers.size(), " containers want interface ", interface,
                     "; ", host::kMaxSteered, " can share it"));
  }
  const std::string other = NameOf(*sharers.front().container);
  if (taker.tap.ports.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "container ", NameOf(*taker.container), " shares interface ", interface,
        " with ", other,
        " and declares no ports, by which what arrives could be led to it: "
        "declare its ports, give it another interface (annotation "
        "serai.dev/net.DEVICE) or make it a pod of its own"));
  }
  for (const Sharer& sharer : sharers) {
    if (&sharer == &taker) continue;
    for (const DeclaredPort& port : taker.tap.ports) {
      if (std::count(sharer.tap.ports.begin(), sharer.tap.ports.end(), port) ==
          0) {
        continue;
      }
      return absl::InvalidArgumentError(absl::StrCat(
          "containers ", NameOf(*sharer.container), " and ",
          NameOf(*taker.container), " both declare port ", port.number,
          ", at one interface: one of them can have it"));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeTap(int netns, const PodNetwork& network,
                     const std::string& name) {
  host::TapSpec spec;
  spec.interface = network.interface();
  spec.tap = name;
  spec.shared = true;
  for (const auto& address : network.addresses()) {
    spec.addresses.push_back(address.address());
  }
  const absl::Status made = host::CreateTap(netns, spec).status();
  // A container that has ended has left it.
  return absl::IsAlreadyExists(made) ? absl::OkStatus() : made;
}

absl::Status Share(const PodRecord& pod, const PodNetwork& network,
                   const std::vector<Sharer>& sharers) {
  RETURN_IF_ERROR(CheckCanBeSteered(network.interface(), sharers));
  if (network.tap_on_node()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "interface ", network.interface(),
        " is a tap on the node's bridge, which one unikernel can have: make ",
        NameOf(*sharers.back().container), " a pod of its own"));
  }
  ASSIGN_OR_RETURN(const UniqueFd netns, host::OpenNetns(pod.netns_path()));
  // What is nobody's is the first one's, whether it runs or is to come back.
  std::vector<host::SteeredTap> taps = {{network.tap()}};
  for (const Sharer& sharer : sharers) {
    if (sharer.tap.name == network.tap()) {
      taps.front() = sharer.tap;
      continue;
    }
    RETURN_IF_ERROR(MakeTap(netns.get(), network, sharer.tap.name));
    taps.push_back(sharer.tap);
  }
  RETURN_IF_ERROR(FaultPoint("container.tap"));
  return host::Steer(netns.get(), network.interface(), taps);
}

}  // namespace

absl::StatusOr<std::vector<DeclaredPort>> DeclaredPorts(
    const runtime::v1::ContainerConfig& config) {
  std::vector<DeclaredPort> ports;
  const auto annotation = config.annotations().find(kPortsAnnotation);
  if (annotation == config.annotations().end()) return ports;
  const json list = json::parse(annotation->second, nullptr,
                                /*allow_exceptions=*/false);
  if (!list.is_array() || list.size() > kMaxPorts) {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", kPortsAnnotation, " is no list of at most ",
                     kMaxPorts, " ports"));
  }
  for (const json& entry : list) {
    ASSIGN_OR_RETURN(const DeclaredPort port, ReadPort(entry));
    ports.push_back(port);
  }
  return ports;
}

PodRecord WithFreeTaps(PodRecord pod, const Neighbours& neighbours) {
  const auto is_taken = [&](const std::string& tap) {
    return std::any_of(neighbours.begin(), neighbours.end(),
                       [&](const ContainerRecord& neighbour) {
                         const auto taps = TapsOf(neighbour);
                         return std::count(taps.begin(), taps.end(), tap) > 0;
                       });
  };
  const auto free_one = [&](const std::string& own) {
    std::string name = own;
    for (int number = 2; is_taken(name); ++number) {
      name = FurtherTapName(own, number);
    }
    return name;
  };
  pod.set_tap(free_one(pod.tap()));
  for (PodNetwork& network : *pod.mutable_more_networks()) {
    network.set_tap(free_one(network.tap()));
  }
  return pod;
}

absl::Status ShareInterfaces(const PodRecord& pod, const Neighbours& neighbours,
                             const ContainerRecord& taker,
                             const std::vector<std::string>& taps) {
  for (const PodNetwork& network : NetworksOf(pod)) {
    const std::string wanted = TapAt(taps, network.tap());
    if (wanted.empty()) continue;
    std::vector<Sharer> sharers;
    for (const ContainerRecord& neighbour : neighbours) {
      std::string tap = TapAt(TapsOf(neighbour), network.tap());
      if (tap.empty()) continue;
      ASSIGN_OR_RETURN(Sharer sharer, ReadSharer(neighbour, std::move(tap)));
      sharers.push_back(std::move(sharer));
    }
    if (sharers.empty()) continue;
    ASSIGN_OR_RETURN(Sharer sharer, ReadSharer(taker, wanted));
    sharers.push_back(std::move(sharer));
    RETURN_IF_ERROR(Share(pod, network, sharers));
  }
  return absl::OkStatus();
}

}  // namespace serai::cri
