// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is the same for all tasks of a shim.

#include <string>

#include "lib/base/event_loop.h"
#include "shim/children.h"

namespace serai::shim {

struct TaskHost {
  EventLoop& loop;
  Children& children;
  std::string tender;     // the program's path
  int oom_score_adj = 0;  // for a task whose specification names none
  std::string ns;         // containerd's namespace
  std::string pod;        // the id that the shim was started for
  int node_netns = -1;    // the namespace that the shim was started in
};

}  // namespace serai::shim
