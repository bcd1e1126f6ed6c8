// SPDX-License-Identifier: Apache-2.0
#include "lib/host/interface.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "absl/strings/str_join.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"
#include "lib/host/tap_device.h"
#include "lib/host/tap_owner.h"

namespace serai::host {
namespace {

constexpr char kUsualName[] = "eth0";

// What the kernel knows of a kind, as libnl's cache of it.
using Cache = NetlinkPtr<nl_cache>;

std::string TextOf(const nl_addr* address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (address == nullptr || ::inet_ntop(::nl_addr_get_family(address),
                                        ::nl_addr_get_binary_addr(address),
                                        text.data(), text.size()) == nullptr) {
    return "";
  }
  return text.data();
}

// What stands for a tap on the node is the pod's interface all the same.
bool IsGuestsTap(rtnl_link* link) {
  return IsTap(link) && !TapIn(AliasOf(link));
}

// "net2" comes before "net10".
bool ComesBefore(const std::string& a, const std::string& b) {
  if ((a == kUsualName) != (b == kUsualName)) return a == kUsualName;
  constexpr char kDigits[] = "0123456789";
  const size_t stem_a = a.find_last_not_of(kDigits) + 1;
  const size_t stem_b = b.find_last_not_of(kDigits) + 1;
  const int order = a.compare(0, stem_a, b, 0, stem_b);
  if (order != 0) return order < 0;
  if (a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

// The links that a guest can take over, in order.
absl::StatusOr<std::vector<rtnl_link*>> Choose(const Cache& links) {
  std::vector<rtnl_link*> chosen;
  std::vector<std::string> names;
  for (nl_object* object = ::nl_cache_get_first(links.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    const std::string name = ::rtnl_link_get_name(link);
    names.push_back(name);
    const unsigned int flags = ::rtnl_link_get_flags(link);
    if ((flags & IFF_LOOPBACK) != 0 || IsGuestsTap(link) ||
        !LinkMac(link, name).ok()) {
      continue;
    }
    if (name == kUsualName || (flags & IFF_UP) != 0) chosen.push_back(link);
  }
  if (chosen.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no Ethernet interface that is up; there are: ",
                     absl::StrJoin(names, ", ")));
  }
  std::sort(chosen.begin(), chosen.end(), [](rtnl_link* a, rtnl_link* b) {
    return ComesBefore(::rtnl_link_get_name(a), ::rtnl_link_get_name(b));
  });
  return chosen;
}

// The gateway of the default route through the link; empty when there is none.
absl::StatusOr<std::string> Gateway(nl_sock* socket, int family, int index) {
  nl_cache* dumped = nullptr;
  if (const int error = ::rtnl_route_alloc_cache(socket, family, 0, &dumped);
      error < 0) {
    return NetlinkStatus(error, "listing routes");
  }
  const Cache routes(dumped);
  std::string gateway;
  uint32_t best = std::numeric_limits<uint32_t>::max();
  for (nl_object* object = ::nl_cache_get_first(routes.get());
       object != nullptr; object = ::nl_cache_get_next(object)) {
    auto* route = reinterpret_cast<rtnl_route*>(object);
    const nl_addr* destination = ::rtnl_route_get_dst(route);
    if (::rtnl_route_get_table(route) != RT_TABLE_MAIN ||
        ::rtnl_route_get_type(route) != RTN_UNICAST ||
        (destination != nullptr && ::nl_addr_get_prefixlen(destination) != 0)) {
      continue;
    }
    const uint32_t metric = ::rtnl_route_get_priority(route);
    for (int i = 0; i < ::rtnl_route_get_nnexthops(route); ++i) {
      rtnl_nexthop* hop = ::rtnl_route_nexthop_n(route, i);
      if (::rtnl_route_nh_get_ifindex(hop) != index || metric >= best) continue;
      const std::string found = TextOf(::rtnl_route_nh_get_gateway(hop));
      if (found.empty()) continue;
      gateway = found;
      best = metric;
    }
  }
  return gateway;
}

// Those that others are to know the pod by.
bool IsForUse(rtnl_addr* address, int family, int index) {
  constexpr unsigned int kOfNoUse =
      IFA_F_SECONDARY | IFA_F_DADFAILED | IFA_F_DEPRECATED;
  return ::rtnl_addr_get_ifindex(address) == index &&
         ::rtnl_addr_get_family(address) == family &&
         ::rtnl_addr_get_scope(address) == RT_SCOPE_UNIVERSE &&
         (::rtnl_addr_get_flags(address) & kOfNoUse) == 0;
}

// The tap that a plugin has made for the interface.
void FindTap(const Cache& links, rtnl_link* link, Interface& found) {
  if (const auto on_node = TapIn(AliasOf(link)); on_node && IsTap(link)) {
    found.tap = *on_node;
    found.tap_on_node = true;
    return;
  }
  for (nl_object* object = ::nl_cache_get_first(links.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    auto* tap = reinterpret_cast<rtnl_link*>(object);
    const std::optional<TapOwner> owner = OwnerIn(AliasOf(tap));
    if (owner && owner->interface == found.name && IsTap(tap)) {
      found.tap = ::rtnl_link_get_name(tap);
    }
  }
}

absl::StatusOr<Interface> Describe(nl_sock* socket, const Cache& links,
                                   const Cache& addresses, rtnl_link* link) {
  Interface found;
  found.name = ::rtnl_link_get_name(link);
  ASSIGN_OR_RETURN(found.mac, LinkMac(link, found.name));
  found.mtu = ::rtnl_link_get_mtu(link);
  FindTap(links, link, found);
  const int index = ::rtnl_link_get_ifindex(link);
  for (const int family : {AF_INET, AF_INET6}) {
    ASSIGN_OR_RETURN(const std::string gateway, Gateway(socket, family, index));
    for (nl_object* object = ::nl_cache_get_first(addresses.get());
         object != nullptr; object = ::nl_cache_get_next(object)) {
      auto* address = reinterpret_cast<rtnl_addr*>(object);
      if (!IsForUse(address, family, index)) continue;
      found.addresses.push_back(
          {TextOf(::rtnl_addr_get_local(address)),
           static_cast<uint32_t>(::rtnl_addr_get_prefixlen(address)), gateway});
    }
  }
  return found;
}

absl::StatusOr<std::vector<Interface>> ListHere() {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(const Cache links, ListLinks(socket.get()));
  nl_cache* dumped = nullptr;
  if (const int error = ::rtnl_addr_alloc_cache(socket.get(), &dumped);
      error < 0) {
    return NetlinkStatus(error, "listing addresses");
  }
  const Cache addresses(dumped);
  ASSIGN_OR_RETURN(const std::vector<rtnl_link*> chosen, Choose(links));
  std::vector<Interface> found;
  for (rtnl_link* const link : chosen) {
    ASSIGN_OR_RETURN(Interface interface,
                     Describe(socket.get(), links, addresses, link));
    found.push_back(std::move(interface));
  }
  return found;
}

}  // namespace

absl::StatusOr<std::vector<Interface>> ListInterfaces(int netns_fd) {
  std::vector<Interface> found;
  RETURN_IF_ERROR(RunInNetns(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(found, ListHere());
    return absl::OkStatus();
  }));
  return found;
}

}  // namespace serai::host
