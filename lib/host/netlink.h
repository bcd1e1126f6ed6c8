// SPDX-License-Identifier: Apache-2.0
#pragma once

// What this folder needs of libnl: owned objects, errors as Status. A socket
// belongs to the network namespace of the thread that made it.

#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/action.h>
#include <netlink/route/addr.h>
#include <netlink/route/classifier.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/route.h>

#include <memory>
#include <string>

#include "lib/base/status.h"

namespace serai::host {

struct NetlinkDeleter {
  void operator()(nl_sock* p) const { ::nl_socket_free(p); }
  void operator()(nl_addr* p) const { ::nl_addr_put(p); }
  void operator()(rtnl_addr* p) const { ::rtnl_addr_put(p); }
  void operator()(rtnl_route* p) const { ::rtnl_route_put(p); }
  void operator()(rtnl_nexthop* p) const { ::rtnl_route_nh_free(p); }
  void operator()(nl_msg* p) const { ::nlmsg_free(p); }
  void operator()(nl_cache* p) const { ::nl_cache_free(p); }
  void operator()(rtnl_link* p) const { ::rtnl_link_put(p); }
  void operator()(rtnl_qdisc* p) const { ::rtnl_qdisc_put(p); }
  void operator()(rtnl_cls* p) const { ::rtnl_cls_put(p); }
  void operator()(rtnl_act* p) const { ::rtnl_act_put(p); }
};
template <typename T>
using NetlinkPtr = std::unique_ptr<T, NetlinkDeleter>;

// The status for a libnl error (negative NLE_…): "<what>: <libnl's text>".
absl::Status NetlinkStatus(int error, absl::string_view what);

// A socket to rtnetlink.
absl::StatusOr<NetlinkPtr<nl_sock>> ConnectRoute();

// The kernel's word on the link `name`; NOT_FOUND when there is none.
absl::StatusOr<NetlinkPtr<rtnl_link>> GetLink(nl_sock* socket,
                                              const std::string& name);

// The kernel's word on every link.
absl::StatusOr<NetlinkPtr<nl_cache>> ListLinks(nl_sock* socket);

// The link's hardware address, "aa:bb:cc:dd:ee:ff". INVALID_ARGUMENT, naming
// it, when it is no Ethernet interface.
absl::StatusOr<std::string> LinkMac(rtnl_link* link, const std::string& name);

// Whether `name` can be a link's name and nothing more (no pattern).
bool IsLinkName(absl::string_view name);

}  // namespace serai::host
