// SPDX-License-Identifier: Apache-2.0
#pragma once

// The program that judges what a guest sends: classic BPF for tc's bpf
// classifier in direct-action mode. A frame passes when its source is the
// pod's:
//
// - the interface's MAC, in an untagged frame of IPv4, ARP or IPv6;
// - IPv4: one of the pod's addresses, or 0.0.0.0 from a DHCP client;
// - ARP: that MAC and one of the addresses, or 0.0.0.0 in a request (RFC 5227);
// - IPv6: one of the addresses or the link-local one that the MAC makes (RFC
//   4291, appendix A); `::` for duplicate address detection, router
//   solicitations and multicast listener reports. Neighbour advertisements are
//   for these addresses only; router advertisements and redirects do not pass,
//   nor do the extension headers that could hide one (fragments pass: RFC 6980
//   has receivers refuse them for this).
//
// Pure; any thread.

#include <linux/filter.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::host {

inline constexpr size_t kMaxGuardedAddresses = 32;

// `mac` is "aa:bb:cc:dd:ee:ff", the addresses are as inet_pton(3) reads them.
// Without addresses the MAC and the kind of frame are all that is looked at.
// The program answers TC_ACT_UNSPEC for a frame that is the pod's and
// TC_ACT_SHOT for any other. INVALID_ARGUMENT for a word that is no address.
absl::StatusOr<std::vector<sock_filter>> GuardProgram(
    absl::string_view mac, const std::vector<std::string>& addresses);

}  // namespace serai::host
