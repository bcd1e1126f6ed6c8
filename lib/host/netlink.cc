// SPDX-License-Identifier: Apache-2.0
#include "lib/host/netlink.h"

#include <linux/netlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netlink/errno.h>

#include <cstdint>
#include <cstdlib>

namespace serai::host {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (std::abs(error)) {
    case NLE_OBJ_NOTFOUND:
    case NLE_NODEV:
      return absl::StatusCode::kNotFound;
    case NLE_EXIST:
      return absl::StatusCode::kAlreadyExists;
    case NLE_PERM:
    case NLE_NOACCESS:
      return absl::StatusCode::kPermissionDenied;
    case NLE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case NLE_BUSY:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status NetlinkStatus(int error, absl::string_view what) {
  return absl::Status(CodeOf(error),
                      absl::StrCat(what, ": ", ::nl_geterror(error)));
}

absl::StatusOr<NetlinkPtr<nl_sock>> ConnectRoute() {
  NetlinkPtr<nl_sock> socket(::nl_socket_alloc());
  if (socket == nullptr) {
    return absl::ResourceExhaustedError("netlink socket: out of memory");
  }
  if (const int error = ::nl_connect(socket.get(), NETLINK_ROUTE); error < 0) {
    return NetlinkStatus(error, "connecting to rtnetlink");
  }
  return socket;
}

absl::StatusOr<NetlinkPtr<rtnl_link>> GetLink(nl_sock* socket,
                                              const std::string& name) {
  rtnl_link* link = nullptr;
  if (const int error = ::rtnl_link_get_kernel(socket, 0, name.c_str(), &link);
      error < 0) {
    return NetlinkStatus(error, absl::StrCat("link ", name));
  }
  return NetlinkPtr<rtnl_link>(link);
}

absl::StatusOr<NetlinkPtr<nl_cache>> ListLinks(nl_sock* socket) {
  nl_cache* links = nullptr;
  if (const int error = ::rtnl_link_alloc_cache(socket, AF_UNSPEC, &links);
      error < 0) {
    return NetlinkStatus(error, "listing links");
  }
  return NetlinkPtr<nl_cache>(links);
}

absl::StatusOr<std::string> LinkMac(rtnl_link* link, const std::string& name) {
  nl_addr* address = ::rtnl_link_get_addr(link);
  if (::rtnl_link_get_arptype(link) != ARPHRD_ETHER || address == nullptr ||
      ::nl_addr_get_len(address) != ETH_ALEN) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is not an Ethernet interface"));
  }
  const auto* bytes =
      static_cast<const uint8_t*>(::nl_addr_get_binary_addr(address));
  std::string mac;
  for (int i = 0; i < ETH_ALEN; ++i) {
    absl::StrAppend(&mac, i == 0 ? "" : ":",
                    absl::Hex(bytes[i], absl::kZeroPad2));
  }
  return mac;
}

bool IsLinkName(absl::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") {
    return false;
  }
  for (const char c : name) {
    // '%' makes the kernel choose a number; ':' is of old alias names.
    if (c <= ' ' || c > '~' || c == '/' || c == '%' || c == ':') return false;
  }
  return true;
}

}  // namespace serai::host
