// SPDX-License-Identifier: Apache-2.0
#pragma once

// Several guests at one interface of a pod: they share its hardware address and
// its IP addresses, and each has a tap. Which frames are whose is told by the
// ports that they declare, and by what they began themselves
// (lib/host/steering/steer.bpf.c). Any thread; the caller keeps calls for one
// pod apart.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::host {

// So many guests can share an interface.
inline constexpr size_t kMaxSteered = 8;
// And so many ports can each declare.
inline constexpr size_t kMaxSteeredPorts = 256;

struct DeclaredPort {
  uint16_t number = 0;
  uint8_t protocol = 0;  // IPPROTO_TCP, …

  bool operator==(const DeclaredPort&) const = default;
};

struct SteeredTap {
  std::string name;
  std::vector<DeclaredPort> ports = {};
};

// Leads what arrives at `interface`, in the namespace that `netns_fd` refers
// to, to these taps, which stand there: by their ports, and what is nobody's to
// the first one. In place of a redirect, or of what an earlier call said;
// connections of guests that stay are kept. INVALID_ARGUMENT for no tap, for
// more than kMaxSteered, and for a port that two have; NOT_FOUND for a link
// that is not there. It goes with the namespace.
absl::Status Steer(int netns_fd, const std::string& interface,
                   const std::vector<SteeredTap>& taps);

}  // namespace serai::host
