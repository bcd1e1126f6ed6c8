// SPDX-License-Identifier: Apache-2.0
#pragma once

// What taps need of the kernel's traffic control: filters on what arrives at a
// link. For the namespace of the socket.

#include <linux/pkt_sched.h>
#include <netlink/route/tc.h>

#include <cstdint>

#include "lib/host/netlink.h"

namespace serai::host {

// Our filters are found again by their priorities, which nobody else is likely
// to use; filters of others with smaller numbers run before them.
inline constexpr uint16_t kGuardPriority = 0x5e49;
inline constexpr uint16_t kRedirectPriority = 0x5e4a;
inline constexpr uint16_t kSteeringPriority = 0x5e4b;

// Where ingress filters hang, the same for an ingress and a clsact qdisc.
inline constexpr uint32_t kIngressFilters =
    TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);

// False when the link has an ingress or clsact qdisc already.
absl::StatusOr<bool> AddIngress(nl_sock* socket, int index);
void DeleteIngress(nl_sock* socket, int index);

// Whether the link has an ingress filter of that priority.
absl::StatusOr<bool> HasFilter(nl_sock* socket, int index, uint16_t priority);

// What arrives at `from` leaves at `to`.
absl::Status AddRedirect(nl_sock* socket, int from, int to);
// One that is not there is success.
absl::Status DeleteRedirect(nl_sock* socket, int from);

}  // namespace serai::host
