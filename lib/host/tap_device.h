// SPDX-License-Identifier: Apache-2.0
#pragma once

// Taps as such, in the calling thread's network namespace.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/host/netlink.h"

namespace serai::host {

// A tap that lives as long as the descriptor, until MakeLasting(). Its random
// hardware address is a locally administered one. ALREADY_EXISTS when there is
// a link of that name.
absl::StatusOr<UniqueFd> OpenNewTap(const std::string& name);
// The tap stays, or with `false` goes, when the descriptor is closed.
absl::Status MakeLasting(const UniqueFd& tap, bool lasting = true);

// Attaches to the tap of that name; makes one that goes again where there is
// none. FAILED_PRECONDITION when somebody else has it open.
absl::StatusOr<UniqueFd> HoldTap(const std::string& name);

bool IsTap(rtnl_link* link);
// FAILED_PRECONDITION, naming it, when it is something else.
absl::Status CheckIsTap(rtnl_link* link, const std::string& name);

// The link's alias; empty when it has none.
std::string AliasOf(rtnl_link* link);

// The kernel must not speak IPv6 (router solicitations, multicast reports) on
// the link in its own name.
absl::Status Silence(const std::string& link);

// Brings the link up with this MTU (0: as it is) and this alias (empty: as it
// is).
absl::Status BringUp(nl_sock* socket, rtnl_link* link, unsigned int mtu = 0,
                     const std::string& alias = "");

// Deletes the link; one that is gone is success.
absl::Status DeleteLink(nl_sock* socket, rtnl_link* link);

}  // namespace serai::host
