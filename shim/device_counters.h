// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a guest's devices have done. Of a net device the kernel's counters of
// its tap tell, for guests of both targets; of a block device the tender's, who
// has them for hvt (an spt guest reads and writes by itself).

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/oci/runtime_spec.h"
#include "proto/serai/shim/v1/control.pb.h"

namespace serai::shim {

// Adds the net devices among `devices` whose taps are in the pod's namespace,
// or those on the node, as `net_dev`, the text of that namespace's
// /proc/PID/net/dev, has them. One that is not in it is left out.
void AddNetCounters(const std::vector<oci::GuestDevice>& devices, bool on_node,
                    absl::string_view net_dev, v1::DevicesResponse& response);

// Adds the block devices among `devices`, as the tender's line has them. What
// is missing or no number in it is left out.
void AddBlockCounters(const std::vector<oci::GuestDevice>& devices,
                      const nlohmann::json& line,
                      v1::DevicesResponse& response);

}  // namespace serai::shim
