// SPDX-License-Identifier: Apache-2.0
#pragma once

// A network namespace of the calling thread's own, with a tap for a guest: the
// host is 10.99.0.1, the guest should be 10.99.0.2. It ends with the thread's
// process; threads started later live in it too.

#include <netinet/in.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

inline constexpr char kGuestAddress[] = "10.99.0.2";
inline constexpr char kGuestTap[] = "guest0";
// The guest's and the host's ends of the wire.
inline constexpr char kGuestMac[] = "02:00:00:00:00:02";
inline constexpr char kHostMac[] = "02:00:00:00:00:01";

// The tender's options for a guest with the device "service".
std::vector<std::string> ServiceDevice();

// Leaves the current namespace for a new one with the tap, at `mtu`.
void EnterGuestNetwork(int mtu = 1500);
// Another tap, without addresses.
void AddTap(const std::string& name);

sockaddr_in GuestPort(uint16_t port);

// A connection to the guest with timeouts of 10 s; invalid when it fails.
UniqueFd Connect(uint16_t port);
// Sends `request` and reads until `size` bytes of body are there (by
// Content-Length) or the guest closes. Empty on an error.
std::string Exchange(int fd, absl::string_view request);
// A connection, GET `target`, close: the whole answer.
std::string Get(absl::string_view target);

// Sends a ping with `size` bytes; whether the same came back within 2 s.
bool Ping(size_t size);

}  // namespace serai::testing
