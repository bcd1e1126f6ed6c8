// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is run in the node, in this order: a line for a case.

#include <ostream>

namespace serai::testing {

struct NodeCase {
  const char* name;  // a gtest's: letters and digits
  // For bash, as root, in /serai, where the files that CMakeLists.txt names
  // are. It is well when its status is 0. All its processes end with it.
  const char* command;
  int seconds;  // it may take; the node is some 20 times slower than a machine
};

// For gtest's messages.
inline void PrintTo(const NodeCase& node_case, std::ostream* out) {
  *out << node_case.command;
}

inline constexpr NodeCase kNodeCases[] = {
    {"NodeIsUp", "cases/node_is_up.sh", 60},
    {"GuestsRunUnderTheTender", "cases/tender.sh", 60},
    {"SeraidRunsPods", "cases/seraid.sh cgroupfs", 180},
    {"SeraidRunsPodsUnderSystemd", "cases/seraid.sh systemd", 240},
    {"SeraidIsAService", "cases/seraid_service.sh", 300},
    {"TasksHaveCgroups",
     "SERAI_REQUIRE=root,cgroup,systemd tests/cgroup_node_test", 120},
    {"ContainerdRunsTasks", "cases/ctr.sh", 240},
    {"ContainerdRunsPods", "cases/cri.sh", 240},
};

}  // namespace serai::testing
