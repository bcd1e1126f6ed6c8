// SPDX-License-Identifier: Apache-2.0
#include "shim/children.h"

#include <sys/wait.h>

#include <utility>

namespace serai::shim {

void Children::Reap() {
  int wait_status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    const auto found = watched_.find(pid);
    if (found == watched_.end()) continue;
    // It may add others.
    const OnEnd on_end = std::move(found->second);
    watched_.erase(found);
    on_end(wait_status);
  }
}

}  // namespace serai::shim
