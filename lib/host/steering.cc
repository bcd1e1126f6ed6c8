// SPDX-License-Identifier: Apache-2.0
#include "lib/host/steering.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "lib/host/bpf.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"
#include "lib/host/steering/maps.h"
#include "lib/host/traffic_control.h"

extern "C" {
extern const bpf_insn serai_steering_program[];
extern const bpf_insn serai_steering_program_end[];
}

namespace serai::host {
namespace {

constexpr char kName[] = "serai_steer";
constexpr char kFlows[] = "serai_flows";
constexpr char kPorts[] = "serai_ports";
constexpr char kLinks[] = "serai_links";
// Connections that guests began and that are remembered; the oldest go.
constexpr uint32_t kMaxFlows = 4096;
constexpr uint32_t kMaxPorts = kMaxSteered * kMaxSteeredPorts;

using Message = NetlinkPtr<nl_msg>;

struct Steering {
  UniqueFd program;
  UniqueFd flows;
  UniqueFd ports;
  UniqueFd links;
};

absl::StatusOr<Message> FilterMessage(int type, int flags, int index,
                                      uint16_t priority) {
  Message message(::nlmsg_alloc_simple(type, flags));
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_handle = 1;  // the one there is; without, another would be added
  header.tcm_parent = kIngressFilters;
  header.tcm_info = TC_H_MAKE(uint32_t{priority} << 16, htons(ETH_P_ALL));
  if (message == nullptr || ::nlmsg_append(message.get(), &header,
                                           sizeof header, NLMSG_ALIGNTO) < 0) {
    return absl::ResourceExhaustedError("netlink message: out of memory");
  }
  return message;
}

// The id of the program in a filter of ours; what is asked for.
int ReadProgramId(nl_msg* message, void* argument) {
  std::array<nlattr*, TCA_MAX + 1> attributes = {};
  std::array<nlattr*, TCA_BPF_MAX + 1> options = {};
  nlmsghdr* const header = ::nlmsg_hdr(message);
  const auto* filter = static_cast<const tcmsg*>(::nlmsg_data(header));
  if (TC_H_MAJ(filter->tcm_info) >> 16 != kSteeringPriority ||
      ::nlmsg_parse(header, sizeof(tcmsg), attributes.data(), TCA_MAX,
                    nullptr) < 0 ||
      attributes[TCA_OPTIONS] == nullptr ||
      ::nla_parse_nested(options.data(), TCA_BPF_MAX, attributes[TCA_OPTIONS],
                         nullptr) < 0 ||
      options[TCA_BPF_ID] == nullptr) {
    return NL_SKIP;
  }
  *static_cast<uint32_t*>(argument) = ::nla_get_u32(options[TCA_BPF_ID]);
  return NL_OK;
}

// The program that stands at a link; 0: none of ours.
absl::StatusOr<uint32_t> ProgramAt(int index) {
  // A socket of its own: the callback stays with it.
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  uint32_t id = 0;
  ::nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, ReadProgramId,
                        &id);
  tcmsg question = {};
  question.tcm_family = AF_UNSPEC;
  question.tcm_ifindex = index;
  question.tcm_parent = kIngressFilters;
  int error = ::nl_send_simple(socket.get(), RTM_GETTFILTER, NLM_F_DUMP,
                               &question, sizeof question);
  if (error >= 0) error = ::nl_recvmsgs_default(socket.get());
  if (error < 0) return NetlinkStatus(error, "listing filters");
  return id;
}

absl::Status Attach(nl_sock* socket, int index, int program) {
  RETURN_IF_ERROR(AddIngress(socket, index).status());
  ASSIGN_OR_RETURN(Message message,
                   FilterMessage(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE,
                                 index, kSteeringPriority));
  nl_msg* const m = message.get();
  if (::nla_put_string(m, TCA_KIND, "bpf") < 0) {
    return absl::ResourceExhaustedError("netlink message: out of memory");
  }
  nlattr* const options = ::nla_nest_start(m, TCA_OPTIONS);
  if (options == nullptr ||
      ::nla_put_u32(m, TCA_BPF_FD, static_cast<uint32_t>(program)) < 0 ||
      ::nla_put_string(m, TCA_BPF_NAME, kName) < 0 ||
      ::nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT) < 0) {
    return absl::ResourceExhaustedError("netlink message: out of memory");
  }
  ::nla_nest_end(m, options);
  const int error = ::nl_send_sync(socket, message.release());
  if (error < 0) {
    return NetlinkStatus(error, "adding the steering filter");
  }
  // The redirect came first until now, so that no frame was lost.
  return DeleteRedirect(socket, index);
}

absl::StatusOr<Steering> Load() {
  Steering made;
  ASSIGN_OR_RETURN(made.flows, CreateBpfMap({BPF_MAP_TYPE_LRU_HASH, kFlows,
                                             sizeof(SteeredFlow),
                                             sizeof(uint32_t), kMaxFlows}));
  ASSIGN_OR_RETURN(made.ports,
                   CreateBpfMap({BPF_MAP_TYPE_HASH, kPorts, sizeof(SteeredPort),
                                 sizeof(uint32_t), kMaxPorts}));
  ASSIGN_OR_RETURN(made.links,
                   CreateBpfMap({BPF_MAP_TYPE_ARRAY, kLinks, sizeof(uint32_t),
                                 sizeof(SteeredLinks), 1}));
  ASSIGN_OR_RETURN(
      made.program,
      LoadTcProgram(kName,
                    {&serai_steering_program[0], serai_steering_program_end},
                    {{SERAI_STEERING_FLOWS, made.flows.get()},
                     {SERAI_STEERING_PORTS, made.ports.get()},
                     {SERAI_STEERING_LINKS, made.links.get()}}));
  return made;
}

// What stands at the pod's interface already, or what is new.
absl::StatusOr<Steering> FindOrLoad(int outer) {
  ASSIGN_OR_RETURN(const uint32_t id, ProgramAt(outer));
  if (id == 0) return Load();
  Steering found;
  ASSIGN_OR_RETURN(found.program, OpenBpfProgram(id));
  ASSIGN_OR_RETURN(auto maps, MapsOfBpfProgram(found.program.get()));
  found.flows = std::move(maps[kFlows]);
  found.ports = std::move(maps[kPorts]);
  found.links = std::move(maps[kLinks]);
  if (!found.flows.valid() || !found.ports.valid() || !found.links.valid()) {
    return absl::FailedPreconditionError(
        "another program has the place of the steering filter");
  }
  return found;
}

// Each link keeps its place; the first one's is told.
SteeredLinks PlacesFor(const SteeredLinks& before, uint32_t outer,
                       const std::vector<uint32_t>& taps) {
  SteeredLinks after = {};
  after.index[kSteeringOuter] = outer;
  after.index[kSteeringFirst] = taps.front();
  std::set<uint32_t> placed = {taps.front()};
  for (uint32_t place = kSteeringFirst + 1; place < kSteeringLinks; ++place) {
    const uint32_t link = before.index[place];
    if (std::count(taps.begin(), taps.end(), link) == 0) continue;
    if (placed.insert(link).second) after.index[place] = link;
  }
  for (const uint32_t tap : taps) {
    if (placed.count(tap) > 0) continue;
    *std::find(&after.index[kSteeringFirst + 1], &after.index[kSteeringLinks],
               0U) = tap;
  }
  return after;
}

// A guest that is gone began what nobody waits for.
absl::Status ForgetFlows(int flows, const std::set<uint32_t>& places) {
  if (places.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                   BpfKeys(flows, sizeof(SteeredFlow), kMaxFlows));
  for (const std::string& key : keys) {
    uint32_t place = 0;
    if (GetBpfEntry(flows, key.data(), &place).ok() &&
        places.count(place) > 0) {
      RETURN_IF_ERROR(DeleteBpfEntry(flows, key.data()));
    }
  }
  return absl::OkStatus();
}

std::string KeyOf(const DeclaredPort& port) {
  const SteeredPort key = {htons(port.number), port.protocol, 0};
  return {reinterpret_cast<const char*>(&key), sizeof(key)};
}

absl::Status SetPorts(int map, const std::map<std::string, uint32_t>& wanted) {
  ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                   BpfKeys(map, sizeof(SteeredPort), kMaxPorts));
  for (const std::string& key : keys) {
    if (wanted.count(key) > 0) continue;
    RETURN_IF_ERROR(DeleteBpfEntry(map, key.data()));
  }
  for (const auto& [key, place] : wanted) {
    RETURN_IF_ERROR(SetBpfEntry(map, key.data(), &place));
  }
  return absl::OkStatus();
}

absl::Status SetEntries(const Steering& steering, uint32_t outer,
                        const std::vector<uint32_t>& links,
                        const std::vector<SteeredTap>& taps) {
  const uint32_t only = 0;
  SteeredLinks before = {};
  RETURN_IF_ERROR(GetBpfEntry(steering.links.get(), &only, &before));
  const SteeredLinks after = PlacesFor(before, outer, links);
  std::map<std::string, uint32_t> ports;
  std::set<uint32_t> changed;
  for (uint32_t place = kSteeringFirst; place < kSteeringLinks; ++place) {
    if (before.index[place] != after.index[place]) changed.insert(place);
    const auto tap = std::find(links.begin(), links.end(), after.index[place]);
    if (tap == links.end()) continue;
    const auto number = static_cast<size_t>(tap - links.begin());
    for (const DeclaredPort& port : taps[number].ports) {
      ports[KeyOf(port)] = place;
    }
  }
  RETURN_IF_ERROR(SetBpfEntry(steering.links.get(), &only, &after));
  RETURN_IF_ERROR(SetPorts(steering.ports.get(), ports));
  return ForgetFlows(steering.flows.get(), changed);
}

absl::Status Check(const std::vector<SteeredTap>& taps) {
  if (taps.empty() || taps.size() > kMaxSteered) {
    return absl::InvalidArgumentError(absl::StrCat(
        taps.size(), " guests at an interface; it can be 1 to ", kMaxSteered));
  }
  std::map<std::string, std::string> owners;
  for (const SteeredTap& tap : taps) {
    if (tap.ports.size() > kMaxSteeredPorts) {
      return absl::InvalidArgumentError(
          absl::StrCat(tap.ports.size(), " ports of a guest; it can have ",
                       kMaxSteeredPorts));
    }
    for (const DeclaredPort& port : tap.ports) {
      const auto [owner, first] = owners.emplace(KeyOf(port), tap.name);
      if (first || owner->second == tap.name) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("port ", port.number, " is both ", owner->second,
                       "'s and ", tap.name, "'s"));
    }
  }
  return absl::OkStatus();
}

absl::Status SteerHere(const std::string& interface,
                       const std::vector<SteeredTap>& taps) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(const auto link, GetLink(socket.get(), interface));
  const int outer = ::rtnl_link_get_ifindex(link.get());
  std::vector<uint32_t> links;
  for (const SteeredTap& tap : taps) {
    ASSIGN_OR_RETURN(const auto found, GetLink(socket.get(), tap.name));
    links.push_back(
        static_cast<uint32_t>(::rtnl_link_get_ifindex(found.get())));
  }
  ASSIGN_OR_RETURN(const Steering steering, FindOrLoad(outer));
  RETURN_IF_ERROR(
      SetEntries(steering, static_cast<uint32_t>(outer), links, taps));
  for (const uint32_t each : links) {
    RETURN_IF_ERROR(
        Attach(socket.get(), static_cast<int>(each), steering.program.get()));
  }
  return Attach(socket.get(), outer, steering.program.get());
}

}  // namespace

absl::Status Steer(int netns_fd, const std::string& interface,
                   const std::vector<SteeredTap>& taps) {
  RETURN_IF_ERROR(Check(taps));
  return Annotate(
      RunInNetns(netns_fd, [&] { return SteerHere(interface, taps); }),
      absl::StrCat("steering ", interface));
}

}  // namespace serai::host
