// SPDX-License-Identifier: Apache-2.0
#include "lib/host/address.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <array>

#include "lib/host/netlink.h"

namespace serai::host {
namespace {

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("netlink message: out of memory");
}

absl::StatusOr<NetlinkPtr<nl_addr>> ToAddress(const std::string& text,
                                              uint32_t prefix_length) {
  std::array<uint8_t, sizeof(in6_addr)> bytes = {};
  for (const auto& [family, size] :
       {std::pair(AF_INET, sizeof(in_addr)), {AF_INET6, sizeof(in6_addr)}}) {
    if (::inet_pton(family, text.c_str(), bytes.data()) != 1) continue;
    if (prefix_length > size * 8) break;
    NetlinkPtr<nl_addr> address(::nl_addr_build(family, bytes.data(), size));
    if (address == nullptr) return OutOfMemory();
    ::nl_addr_set_prefixlen(address.get(), static_cast<int>(prefix_length));
    return address;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "/", prefix_length, "\" is no IP address"));
}

uint32_t FullLength(int family) {
  return 8 * static_cast<uint32_t>(family == AF_INET ? sizeof(in_addr)
                                                     : sizeof(in6_addr));
}

std::string TextOf(const nl_addr* address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (address == nullptr || ::inet_ntop(::nl_addr_get_family(address),
                                        ::nl_addr_get_binary_addr(address),
                                        text.data(), text.size()) == nullptr) {
    return "";
  }
  return text.data();
}

// Of a route that the kernel did not make by itself.
bool IsSet(rtnl_route* route) {
  return ::rtnl_route_get_table(route) == RT_TABLE_MAIN &&
         ::rtnl_route_get_type(route) == RTN_UNICAST &&
         ::rtnl_route_get_protocol(route) != RTPROT_KERNEL &&
         ::rtnl_route_get_nnexthops(route) == 1;
}

LinkRoute ToRoute(rtnl_route* route, rtnl_nexthop* hop) {
  const nl_addr* destination = ::rtnl_route_get_dst(route);
  LinkRoute out;
  out.prefix_length =
      destination == nullptr
          ? 0
          : static_cast<uint32_t>(::nl_addr_get_prefixlen(destination));
  out.destination = TextOf(destination);
  if (out.destination.empty() || out.prefix_length == 0) {
    out.destination =
        ::rtnl_route_get_family(route) == AF_INET ? "0.0.0.0" : "::";
  }
  out.gateway = TextOf(::rtnl_route_nh_get_gateway(hop));
  return out;
}

}  // namespace

absl::Status AddAddress(nl_sock* socket, int index,
                        const LinkAddress& address) {
  ASSIGN_OR_RETURN(const auto local,
                   ToAddress(address.address, address.prefix_length));
  const NetlinkPtr<rtnl_addr> request(::rtnl_addr_alloc());
  if (request == nullptr) return OutOfMemory();
  ::rtnl_addr_set_ifindex(request.get(), index);
  ::rtnl_addr_set_local(request.get(), local.get());
  if (::nl_addr_get_family(local.get()) == AF_INET6) {
    ::rtnl_addr_set_flags(request.get(), IFA_F_NODAD);
  }
  const int error =
      ::rtnl_addr_add(socket, request.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error < 0 && error != -NLE_EXIST) {
    return NetlinkStatus(error, absl::StrCat("adding ", address.address, "/",
                                             address.prefix_length));
  }
  return absl::OkStatus();
}

absl::Status AddRoute(nl_sock* socket, int index, const LinkRoute& route) {
  ASSIGN_OR_RETURN(const auto destination,
                   ToAddress(route.destination, route.prefix_length));
  const int family = ::nl_addr_get_family(destination.get());
  const NetlinkPtr<rtnl_route> request(::rtnl_route_alloc());
  NetlinkPtr<rtnl_nexthop> hop(::rtnl_route_nh_alloc());
  if (request == nullptr || hop == nullptr) return OutOfMemory();
  ::rtnl_route_set_family(request.get(), static_cast<uint8_t>(family));
  ::rtnl_route_set_table(request.get(), RT_TABLE_MAIN);
  ::rtnl_route_set_protocol(request.get(), RTPROT_BOOT);
  ::rtnl_route_set_dst(request.get(), destination.get());
  ::rtnl_route_nh_set_ifindex(hop.get(), index);
  if (route.gateway.empty()) {
    ::rtnl_route_set_scope(request.get(), RT_SCOPE_LINK);
  } else {
    ASSIGN_OR_RETURN(const auto gateway,
                     ToAddress(route.gateway, FullLength(family)));
    ::rtnl_route_set_scope(request.get(), RT_SCOPE_UNIVERSE);
    ::rtnl_route_nh_set_gateway(hop.get(), gateway.get());
    ::rtnl_route_nh_set_flags(hop.get(), RTNH_F_ONLINK);
  }
  ::rtnl_route_add_nexthop(request.get(), hop.release());
  const int error =
      ::rtnl_route_add(socket, request.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (error < 0 && error != -NLE_EXIST) {
    return NetlinkStatus(
        error, absl::StrCat("adding the route to ", route.destination, "/",
                            route.prefix_length));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LinkAddress>> AddressesOf(nl_sock* socket,
                                                     int index) {
  nl_cache* dumped = nullptr;
  if (const int error = ::rtnl_addr_alloc_cache(socket, &dumped); error < 0) {
    return NetlinkStatus(error, "listing addresses");
  }
  const NetlinkPtr<nl_cache> cache(dumped);
  std::vector<LinkAddress> addresses;
  for (const int family : {AF_INET, AF_INET6}) {
    for (nl_object* object = ::nl_cache_get_first(cache.get());
         object != nullptr; object = ::nl_cache_get_next(object)) {
      auto* address = reinterpret_cast<rtnl_addr*>(object);
      if (::rtnl_addr_get_ifindex(address) != index ||
          ::rtnl_addr_get_family(address) != family ||
          ::rtnl_addr_get_scope(address) != RT_SCOPE_UNIVERSE) {
        continue;
      }
      addresses.push_back(
          {TextOf(::rtnl_addr_get_local(address)),
           static_cast<uint32_t>(::rtnl_addr_get_prefixlen(address))});
    }
  }
  return addresses;
}

absl::StatusOr<std::vector<LinkRoute>> RoutesOf(nl_sock* socket, int index) {
  nl_cache* dumped = nullptr;
  if (const int error = ::rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, &dumped);
      error < 0) {
    return NetlinkStatus(error, "listing routes");
  }
  const NetlinkPtr<nl_cache> cache(dumped);
  std::vector<LinkRoute> routes;
  for (nl_object* object = ::nl_cache_get_first(cache.get()); object != nullptr;
       object = ::nl_cache_get_next(object)) {
    auto* route = reinterpret_cast<rtnl_route*>(object);
    if (!IsSet(route)) continue;
    rtnl_nexthop* const hop = ::rtnl_route_nexthop_n(route, 0);
    if (::rtnl_route_nh_get_ifindex(hop) != index) continue;
    routes.push_back(ToRoute(route, hop));
  }
  return routes;
}

}  // namespace serai::host
