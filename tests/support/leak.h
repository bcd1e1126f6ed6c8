// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a machine holds of the things that pods are made of: taken before and
// after, it shows what was left behind.
//
//   const Snapshot before = Take({state_dir}, {seraid, shim, tender});
//   … make and remove pods …
//   EXPECT_THAT(ChangesSince(before, absl::Seconds(5)), IsEmpty());
//
// It is the machine that is looked at, so a test that uses it must not run
// beside others that make such things (ctest's RUN_SERIAL), and must first have
// made and removed one pod: CNI plugins leave chains and lock files of a
// general kind at their first use.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace serai::testing {

struct Snapshot {
  std::vector<std::string> dirs;
  std::vector<std::string> programs;
  // By kind ("link", "mount", …), a readable name of each.
  std::map<std::string, std::multiset<std::string>> objects;
};

// Everything of these kinds, as seen from the calling thread:
//   netns     network namespaces mounted somewhere
//   mount     mount points of this mount namespace
//   link      network interfaces of this network namespace
//   rule      iptables' and ip6tables' chains and rules (filter and nat) of
//   this
//             network namespace, without counters
//   cgroup    control groups in every mounted hierarchy
//   process   whose executable is one of `programs` (paths), zombies of that
//             name too
//   file      whatever is below one of `dirs`
// A kind that this user may not look at is empty.
Snapshot Take(std::vector<std::string> dirs, std::vector<std::string> programs);

// "+ link veth1" for each object that only `after` has, "- …" for each that
// only `before` has.
std::vector<std::string> Diff(const Snapshot& before, const Snapshot& after);

// The difference from `before` to now. The kernel takes namespaces and
// interfaces away in its own time: looks again until there is no difference, or
// `patience` is over.
std::vector<std::string> ChangesSince(const Snapshot& before,
                                      absl::Duration patience);

}  // namespace serai::testing
