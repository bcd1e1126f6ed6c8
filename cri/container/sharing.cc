// SPDX-License-Identifier: Apache-2.0
#include "cri/container/sharing.h"

#include <netinet/in.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cri/state/networks.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using host::DeclaredPort;
using nlohmann::json;
using state::v1::PodNetwork;

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

// The last one is to be made.
absl::Status CheckCanBeSteered(const PodNetwork& network,
                               const std::vector<Sharer>& sharers) {
  const Sharer& taker = sharers.back();
  const std::string taker_name = NameOf(*taker.container);
  if (sharers.size() > host::kMaxSteered) {
    return absl::InvalidArgumentError(absl::StrCat(
        sharers.size(), " containers want interface ", network.interface(),
        "; ", host::kMaxSteered, " can share it"));
  }
  if (network.tap_on_node()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "interface ", network.interface(),
        " is a tap on the node's bridge, which one unikernel can have: make ",
        taker_name, " a pod of its own"));
  }
  if (taker.tap.ports.empty() && taker.tap.name != network.tap()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "container ", taker_name, " shares interface ", network.interface(),
        " with ", NameOf(*sharers.front().container),
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
      return absl::InvalidArgumentError(
          absl::StrCat("containers ", NameOf(*sharer.container), " and ",
                       taker_name, " both declare port ", port.number,
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

std::vector<host::SteeredTap> TapsFor(const PodNetwork& network,
                                      const std::vector<Sharer>& sharers) {
  // What is nobody's is the first one's, whether it runs or is to come back.
  std::vector<host::SteeredTap> taps = {{network.tap()}};
  for (const Sharer& sharer : sharers) {
    if (sharer.tap.name == network.tap()) {
      taps.front() = sharer.tap;
    } else {
      taps.push_back(sharer.tap);
    }
  }
  return taps;
}

// Those that a container can't have.
std::set<std::string> TakenTaps(const Neighbours& neighbours, bool shared,
                                const std::string& name) {
  std::set<std::string> taken;
  std::set<std::string> alive;
  for (const ContainerRecord& living : neighbours.living) {
    alive.insert(living.config().metadata().name());
    for (std::string& tap : TapsOf(living)) taken.insert(std::move(tap));
  }
  if (!shared) return taken;
  for (const ContainerRecord& ended : neighbours.ended) {
    const std::string& other = ended.config().metadata().name();
    if (other == name || alive.count(other) > 0) continue;
    for (std::string& tap : TapsOf(ended)) taken.insert(std::move(tap));
  }
  return taken;
}

// What the container's last attempt had at the interface; empty: nothing.
std::string TapBefore(const Neighbours& neighbours, const std::string& name,
                      const std::string& own) {
  const ContainerRecord* last = nullptr;
  for (const ContainerRecord& ended : neighbours.ended) {
    if (ended.config().metadata().name() == name &&
        (last == nullptr || ended.created_at_ns() > last->created_at_ns())) {
      last = &ended;
    }
  }
  return last == nullptr ? "" : TapAt(TapsOf(*last), own);
}

}  // namespace

absl::StatusOr<std::vector<DeclaredPort>> DeclaredPorts(
    const runtime::v1::ContainerConfig& config) {
  std::vector<DeclaredPort> ports;
  const auto annotation = config.annotations().find(kPortsAnnotation);
  if (annotation == config.annotations().end()) return ports;
  const json list = json::parse(annotation->second, nullptr,
                                /*allow_exceptions=*/false);
  if (!list.is_array() || list.size() > host::kMaxSteeredPorts) {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", kPortsAnnotation, " is no list of at most ",
                     host::kMaxSteeredPorts, " ports"));
  }
  for (const json& entry : list) {
    ASSIGN_OR_RETURN(const DeclaredPort port, ReadPort(entry));
    ports.push_back(port);
  }
  return ports;
}

PodRecord WithFreeTaps(PodRecord pod, const Neighbours& neighbours,
                       const std::string& name) {
  const std::set<std::string> taken = TakenTaps(neighbours, pod.shared(), name);
  const auto free_one = [&](const std::string& own) {
    std::string tap = pod.shared() ? TapBefore(neighbours, name, own) : own;
    if (tap.empty()) tap = own;
    for (int number = 2; taken.count(tap) > 0; ++number) {
      tap = FurtherTapName(own, number);
    }
    return tap;
  };
  pod.set_tap(free_one(pod.tap()));
  for (PodNetwork& network : *pod.mutable_more_networks()) {
    network.set_tap(free_one(network.tap()));
  }
  return pod;
}

absl::StatusOr<std::vector<Sharing>> PlanSharing(
    const PodRecord& pod, const std::vector<ContainerRecord>& guests) {
  std::vector<Sharing> sharings;
  for (const PodNetwork& network : NetworksOf(pod)) {
    std::vector<Sharer> sharers;
    for (const ContainerRecord& guest : guests) {
      std::string tap = TapAt(TapsOf(guest), network.tap());
      if (tap.empty()) continue;
      ASSIGN_OR_RETURN(Sharer sharer, ReadSharer(guest, std::move(tap)));
      sharers.push_back(std::move(sharer));
    }
    const bool alone =
        sharers.size() == 1 && sharers[0].tap.name == network.tap();
    if (sharers.empty() || (alone && !pod.shared())) continue;
    RETURN_IF_ERROR(CheckCanBeSteered(network, sharers));
    sharings.push_back({network, TapsFor(network, sharers)});
  }
  return sharings;
}

absl::Status Share(const PodRecord& pod, const std::vector<Sharing>& sharings) {
  if (sharings.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd netns, host::OpenNetns(pod.netns_path()));
  for (const Sharing& sharing : sharings) {
    for (const host::SteeredTap& tap : sharing.taps) {
      if (tap.name == sharing.network.tap()) continue;
      RETURN_IF_ERROR(MakeTap(netns.get(), sharing.network, tap.name));
    }
    RETURN_IF_ERROR(
        host::Steer(netns.get(), sharing.network.interface(), sharing.taps));
  }
  return absl::OkStatus();
}

Neighbours NeighboursOf(const Store& store, const ContainerRecord& record) {
  Neighbours neighbours;
  for (const auto& other : store.ContainersOf(record.pod_id())) {
    ContainerRecord neighbour = other->record.Get();
    if (neighbour.id() == record.id()) continue;
    const bool ended = PhaseOf(neighbour) == ContainerPhase::kExited;
    (ended ? neighbours.ended : neighbours.living)
        .push_back(std::move(neighbour));
  }
  return neighbours;
}

absl::Status ShareInterfaces(Pod& pod, std::vector<ContainerRecord> guests,
                             const ContainerRecord& taker) {
  guests.push_back(taker);
  ASSIGN_OR_RETURN(const std::vector<Sharing> sharings,
                   PlanSharing(*pod.record.Read(), guests));
  if (sharings.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(pod.record.Change([](PodRecord& r) { r.set_shared(true); }));
  return Share(*pod.record.Read(), sharings);
}

void ShareAnew(const Store& store, const Pod& pod,
               const ContainerRecord& gone) {
  const std::shared_ptr<const PodRecord> record = pod.record.Read();
  if (!record->shared() || !IsReady(pod, *record)) return;
  const absl::StatusOr<std::vector<Sharing>> sharings =
      PlanSharing(*record, NeighboursOf(store, gone).living);
  const absl::Status shared =
      sharings.ok() ? Share(*record, *sharings) : sharings.status();
  if (!shared.ok()) {
    spdlog::warn("pod {}: leading to its containers without {}: {}", pod.id,
                 gone.id(), std::string(shared.message()));
  }
}

}  // namespace serai::cri
