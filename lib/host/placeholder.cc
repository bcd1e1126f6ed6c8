// SPDX-License-Identifier: Apache-2.0
#include "lib/host/placeholder.h"

#include <net/if.h>
#include <netlink/errno.h>

#include <algorithm>
#include <optional>

#include "lib/base/file.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"
#include "lib/host/tap_device.h"
#include "lib/host/tap_owner.h"

namespace serai::host {
namespace {

bool IsIp6(const LinkAddress& address) {
  return address.address.find(':') != std::string::npos;
}

absl::Status Dress(nl_sock* socket, rtnl_link* link,
                   const Placeholder& placeholder) {
  nl_addr* parsed = nullptr;
  if (::nl_addr_parse(placeholder.mac.c_str(), AF_LLC, &parsed) < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", placeholder.mac, "\" is no hardware address"));
  }
  const NetlinkPtr<nl_addr> mac(parsed);
  const NetlinkPtr<rtnl_link> change(::rtnl_link_alloc());
  if (change == nullptr) {
    return absl::ResourceExhaustedError("netlink message: out of memory");
  }
  ::rtnl_link_set_addr(change.get(), mac.get());
  ::rtnl_link_set_mtu(change.get(), placeholder.mtu);
  ::rtnl_link_set_ifalias(change.get(),
                          PlaceholderAlias(placeholder.tap).c_str());
  ::rtnl_link_set_flags(change.get(), IFF_UP);
  const int error = ::rtnl_link_change(socket, link, change.get(), 0);
  return error < 0 ? NetlinkStatus(error, "setting up the link")
                   : absl::OkStatus();
}

absl::Status CreateHere(const Placeholder& placeholder) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  nl_sock* const s = socket.get();
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenNewTap(placeholder.interface));
  ASSIGN_OR_RETURN(const auto link, GetLink(s, placeholder.interface));
  if (std::any_of(placeholder.addresses.begin(), placeholder.addresses.end(),
                  IsIp6)) {
    RETURN_IF_ERROR(
        WriteControlFile(absl::StrCat("/proc/sys/net/ipv6/conf/",
                                      placeholder.interface, "/disable_ipv6"),
                         "0"));
  }
  RETURN_IF_ERROR(Dress(s, link.get(), placeholder));
  const int index = ::rtnl_link_get_ifindex(link.get());
  for (const LinkAddress& address : placeholder.addresses) {
    RETURN_IF_ERROR(AddAddress(s, index, address));
  }
  for (const LinkRoute& route : placeholder.routes) {
    RETURN_IF_ERROR(AddRoute(s, index, route));
  }
  return MakeLasting(fd);
}

// The link, when it is a placeholder.
absl::StatusOr<NetlinkPtr<rtnl_link>> Find(nl_sock* socket,
                                           const std::string& interface) {
  ASSIGN_OR_RETURN(auto link, GetLink(socket, interface));
  if (IsTap(link.get()) && TapIn(AliasOf(link.get()))) return link;
  return absl::NotFoundError(
      absl::StrCat(interface, " does not stand for a tap on the node"));
}

absl::StatusOr<Placeholder> ReadHere(const std::string& interface) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  ASSIGN_OR_RETURN(const auto link, Find(socket.get(), interface));
  const int index = ::rtnl_link_get_ifindex(link.get());
  Placeholder found;
  found.interface = interface;
  found.tap = TapIn(AliasOf(link.get())).value_or("");
  ASSIGN_OR_RETURN(found.mac, LinkMac(link.get(), interface));
  found.mtu = ::rtnl_link_get_mtu(link.get());
  ASSIGN_OR_RETURN(found.addresses, AddressesOf(socket.get(), index));
  ASSIGN_OR_RETURN(found.routes, RoutesOf(socket.get(), index));
  return found;
}

absl::Status RemoveHere(const std::string& interface) {
  ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
  const auto link = Find(socket.get(), interface);
  if (absl::IsNotFound(link.status())) return absl::OkStatus();
  RETURN_IF_ERROR(link.status());
  return DeleteLink(socket.get(), link->get());
}

}  // namespace

absl::Status CreatePlaceholder(int netns_fd, const Placeholder& placeholder) {
  return Annotate(
      RunInNetns(netns_fd, [&] { return CreateHere(placeholder); }),
      absl::StrCat("making ", placeholder.interface, " in the pod"));
}

absl::StatusOr<Placeholder> ReadPlaceholder(int netns_fd,
                                            const std::string& interface) {
  Placeholder found;
  RETURN_IF_ERROR(RunInNetns(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(found, ReadHere(interface));
    return absl::OkStatus();
  }));
  return found;
}

absl::Status RemovePlaceholder(int netns_fd, const std::string& interface) {
  return Annotate(RunInNetns(netns_fd, [&] { return RemoveHere(interface); }),
                  absl::StrCat("removing ", interface, " from the pod"));
}

}  // namespace serai::host
