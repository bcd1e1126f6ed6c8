// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is run in the virtual machine: the same table for the program inside,
// which runs it, and for the test outside, which judges. A case is known by its
// index in AllCases().

#include <string>
#include <vector>

#include "tests/guests/testing/cases.h"

namespace serai::testing {

// What cases find in the machine: 64 KiB that begin with the text, and a tap
// whose other end is the machine's.
inline constexpr char kDisk[] = "/disk";
inline constexpr char kDiskText[] = "text on a disk";
inline constexpr size_t kDiskSize = 64 << 10;
inline constexpr char kTap[] = "guest0";
inline constexpr char kPeerAddress[] = "10.99.0.1";
inline constexpr char kEchoAddress[] = "10.99.0.2";
inline constexpr char kSnapshots[] = "/snapshots";
inline constexpr char kSnapshotMoment[] = "count: 3\n";

struct VmCase {
  GuestCase guest_case;
  bool at_level0 = false;  // with --cpl=0
  // It has to answer pings and return datagrams, while it runs.
  bool answers = false;
  // A snapshot is taken when it has said kSnapshotMoment; both it and a guest
  // that goes on from there have to end as the case says.
  bool snapshot = false;
  // At descriptor kRingDevice is somebody who talks without end.
  bool chatter = false;
};

std::vector<VmCase> AllCases();

// For people: "level 3  hello.hvt --one two".
std::string Name(const VmCase& vm_case);

}  // namespace serai::testing
