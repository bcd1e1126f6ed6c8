// SPDX-License-Identifier: Apache-2.0
#include "lib/host/node_tap.h"

#include <linux/if_bridge.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <sys/random.h>

#include <array>

#include "lib/host/netlink.h"
#include "lib/host/tap_device.h"
#include "lib/host/traffic_control.h"

namespace serai::host {
namespace {

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("netlink message: out of memory");
}

// An address of its own: without one a bridge takes the lowest of its ports',
// and changes it when they come and go.
absl::StatusOr<NetlinkPtr<nl_addr>> RandomMac() {
  std::array<uint8_t, ETH_ALEN> bytes = {};
  if (::getrandom(bytes.data(), bytes.size(), 0) != ETH_ALEN) {
    return ErrnoStatus(errno, "getrandom");
  }
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0xfc) | 0x02);
  NetlinkPtr<nl_addr> address(
      ::nl_addr_build(AF_LLC, bytes.data(), bytes.size()));
  if (address == nullptr) return OutOfMemory();
  return address;
}

// Somebody else may make it at the same time.
absl::Status CreateBridge(nl_sock* socket, const BridgeSpec& spec) {
  const NetlinkPtr<rtnl_link> link(::rtnl_link_alloc());
  if (link == nullptr) return OutOfMemory();
  ASSIGN_OR_RETURN(const auto mac, RandomMac());
  ::rtnl_link_set_name(link.get(), spec.name.c_str());
  ::rtnl_link_set_type(link.get(), "bridge");
  ::rtnl_link_set_addr(link.get(), mac.get());
  if (spec.mtu != 0) ::rtnl_link_set_mtu(link.get(), spec.mtu);
  ::rtnl_link_set_flags(link.get(), IFF_UP);
  const int error =
      ::rtnl_link_add(socket, link.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error < 0 && error != -NLE_EXIST) {
    return NetlinkStatus(error, "making the bridge");
  }
  return absl::OkStatus();
}

absl::Status CheckIsBridge(rtnl_link* link, const std::string& name) {
  const char* kind = ::rtnl_link_get_type(link);
  if (kind != nullptr && absl::string_view(kind) == "bridge") {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(name, " is a link that is no bridge; name another bridge"));
}

absl::StatusOr<NetlinkPtr<rtnl_link>> HaveBridge(nl_sock* socket,
                                                 const BridgeSpec& spec) {
  auto link = GetLink(socket, spec.name);
  if (absl::IsNotFound(link.status())) {
    RETURN_IF_ERROR(CreateBridge(socket, spec));
    link = GetLink(socket, spec.name);
  }
  RETURN_IF_ERROR(link.status());
  RETURN_IF_ERROR(CheckIsBridge(link->get(), spec.name));
  const unsigned int wanted =
      IFF_UP | (spec.promiscuous ? unsigned{IFF_PROMISC} : 0U);
  if ((::rtnl_link_get_flags(link->get()) & wanted) != wanted) {
    const NetlinkPtr<rtnl_link> change(::rtnl_link_alloc());
    if (change == nullptr) return OutOfMemory();
    ::rtnl_link_set_flags(change.get(), wanted);
    const int error = ::rtnl_link_change(socket, link->get(), change.get(), 0);
    if (error < 0) return NetlinkStatus(error, "bringing up the bridge");
  }
  for (const LinkAddress& address : spec.addresses) {
    RETURN_IF_ERROR(
        AddAddress(socket, ::rtnl_link_get_ifindex(link->get()), address));
  }
  return link;
}

// What a port has sent may go back to it: a pod to itself by a service.
absl::Status SetHairpin(nl_sock* socket, int index) {
  NetlinkPtr<nl_msg> message(::nlmsg_alloc_simple(RTM_SETLINK, 0));
  ifinfomsg header = {};
  header.ifi_family = AF_BRIDGE;
  header.ifi_index = index;
  if (message == nullptr || ::nlmsg_append(message.get(), &header,
                                           sizeof header, NLMSG_ALIGNTO) < 0) {
    return OutOfMemory();
  }
  nlattr* const port =
      ::nla_nest_start(message.get(), IFLA_PROTINFO | NLA_F_NESTED);
  if (port == nullptr || ::nla_put_u8(message.get(), IFLA_BRPORT_MODE, 1) < 0) {
    return OutOfMemory();
  }
  ::nla_nest_end(message.get(), port);
  const int error = ::nl_send_sync(socket, message.release());
  return error < 0 ? NetlinkStatus(error, "setting the hairpin mode")
                   : absl::OkStatus();
}

absl::Status MakePort(nl_sock* socket, rtnl_link* tap, int bridge, uint32_t mtu,
                      const std::string& alias) {
  const NetlinkPtr<rtnl_link> change(::rtnl_link_alloc());
  if (change == nullptr) return OutOfMemory();
  ::rtnl_link_set_mtu(change.get(), mtu);
  ::rtnl_link_set_ifalias(change.get(), alias.c_str());
  ::rtnl_link_set_master(change.get(), bridge);
  ::rtnl_link_set_flags(change.get(), IFF_UP);
  const int error = ::rtnl_link_change(socket, tap, change.get(), 0);
  return error < 0 ? NetlinkStatus(error, "making the tap the bridge's port")
                   : absl::OkStatus();
}

absl::StatusOr<NodeTap> Describe(rtnl_link* tap, rtnl_link* bridge,
                                 uint32_t mtu) {
  NodeTap out;
  out.mtu = mtu;
  ASSIGN_OR_RETURN(out.mac, LinkMac(tap, ::rtnl_link_get_name(tap)));
  ASSIGN_OR_RETURN(out.bridge_mac,
                   LinkMac(bridge, ::rtnl_link_get_name(bridge)));
  return out;
}

}  // namespace

absl::StatusOr<NodeTap> CreateNodeTap(const BridgeSpec& bridge_spec,
                                      const NodeTapSpec& spec) {
  ASSIGN_OR_RETURN(const std::string alias, ToAlias(spec.owner));
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  nl_sock* const s = socket.get();
  ASSIGN_OR_RETURN(const auto bridge, HaveBridge(s, bridge_spec),
                   bridge_spec.name);
  // Gone with the descriptor, until the last step.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenNewTap(spec.name));
  RETURN_IF_ERROR(Silence(spec.name));
  ASSIGN_OR_RETURN(const auto tap, GetLink(s, spec.name));
  const int index = ::rtnl_link_get_ifindex(tap.get());
  RETURN_IF_ERROR(AddIngress(s, index).status(), spec.name);
  RETURN_IF_ERROR(SetGuard(s, index, spec.guard), spec.name);
  const uint32_t mtu =
      spec.mtu != 0 ? spec.mtu : ::rtnl_link_get_mtu(bridge.get());
  RETURN_IF_ERROR(
      MakePort(s, tap.get(), ::rtnl_link_get_ifindex(bridge.get()), mtu, alias),
      spec.name);
  if (spec.hairpin) RETURN_IF_ERROR(SetHairpin(s, index), spec.name);
  RETURN_IF_ERROR(MakeLasting(fd));
  return Describe(tap.get(), bridge.get(), mtu);
}

absl::StatusOr<NodeTap> FindNodeTap(const std::string& bridge_name,
                                    const std::string& name,
                                    const TapOwner& owner) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(const auto tap, GetLink(socket.get(), name));
  RETURN_IF_ERROR(CheckIsTap(tap.get(), name));
  if (OwnerIn(AliasOf(tap.get())) != owner) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is there, and another attachment's"));
  }
  ASSIGN_OR_RETURN(const auto bridge, GetLink(socket.get(), bridge_name));
  if (::rtnl_link_get_master(tap.get()) !=
      ::rtnl_link_get_ifindex(bridge.get())) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is no port of ", bridge_name));
  }
  const int index = ::rtnl_link_get_ifindex(tap.get());
  ASSIGN_OR_RETURN(const bool guarded,
                   HasFilter(socket.get(), index, kGuardPriority));
  if (!guarded) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has lost its guard"));
  }
  return Describe(tap.get(), bridge.get(), ::rtnl_link_get_mtu(tap.get()));
}

absl::Status RemoveNodeTap(const std::string& name, const TapOwner& owner) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto tap = GetLink(socket.get(), name);
  if (absl::IsNotFound(tap.status())) return absl::OkStatus();
  RETURN_IF_ERROR(tap.status());
  if (OwnerIn(AliasOf(tap->get())) != owner) return absl::OkStatus();
  RETURN_IF_ERROR(CheckIsTap(tap->get(), name));
  return DeleteLink(socket.get(), tap->get());
}

absl::StatusOr<std::vector<std::pair<std::string, TapOwner>>> ListNodeTaps() {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(const auto links, ListLinks(socket.get()));
  std::vector<std::pair<std::string, TapOwner>> taps;
  for (nl_object* object = ::nl_cache_get_first(links.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    const std::optional<TapOwner> owner = OwnerIn(AliasOf(link));
    if (owner && IsTap(link)) {
      taps.emplace_back(::rtnl_link_get_name(link), *owner);
    }
  }
  return taps;
}

}  // namespace serai::host
