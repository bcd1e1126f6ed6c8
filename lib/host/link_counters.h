// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel has counted of a network link: /proc/net/dev of the link's
// network namespace. Any thread.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::host {

struct TrafficCounters {
  uint64_t bytes = 0;
  uint64_t packets = 0;
  uint64_t errors = 0;
  uint64_t dropped = 0;
};

// As the kernel sees the link: what a tap has received came from its guest, and
// what it has sent went to the guest.
struct LinkCounters {
  TrafficCounters received;
  TrafficCounters sent;
};

// The line of `link` in the text of /proc/net/dev. NOT_FOUND when there is
// none, DATA_LOSS when it is not as the kernel writes it.
absl::StatusOr<LinkCounters> ParseLinkCounters(absl::string_view net_dev,
                                               absl::string_view link);

// Of a link in the namespace that `netns_fd` refers to; the caller's own when
// it is -1.
absl::StatusOr<LinkCounters> ReadLinkCounters(int netns_fd,
                                              const std::string& link);

}  // namespace serai::host
