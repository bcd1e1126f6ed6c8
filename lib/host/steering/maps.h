// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the steering program (steer.bpf.c) shares with who loads it. C, for that
// program's sake. Numbers of packets are in network byte order.

#include <linux/types.h>

// These constants in the program's instructions become its maps.
#define SERAI_STEERING_FLOWS 0x5e4a1f7700000001ULL
#define SERAI_STEERING_PORTS 0x5e4a1f7700000002ULL
#define SERAI_STEERING_LINKS 0x5e4a1f7700000003ULL

// The one value of `links`: interface indexes by place, 0 for a place that
// nobody has.
enum {
  kSteeringOuter = 0,  // the pod's interface
  kSteeringFirst = 1,  // the tap of the first guest; then those of the others
  kSteeringLinks = 9,
  kSteeringMask = 15,  // of places, so that the verifier sees their bound
};
struct SteeredLinks {
  __u32 index[kSteeringMask + 1];
};

// Key of `flows`, whose value is the guest's place in `links`. What a guest
// began: to a remote address (one of IPv4 as the IPv6 address that maps it).
struct SteeredFlow {
  __u8 remote[16];
  __u16 remote_port;
  __u16 local_port;  // or the number of an echo
  __u8 protocol;     // IPPROTO_…
  __u8 zero[3];
};

// Key of `ports`, whose value is the guest's place in `links`.
struct SteeredPort {
  __u16 number;
  __u8 protocol;
  __u8 zero;
};
