// SPDX-License-Identifier: Apache-2.0
#include "shim/namespace_visit.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <utility>

#include "lib/base/file.h"

namespace serai::shim {

absl::Status InNetns(int netns, absl::FunctionRef<absl::Status()> work) {
  ASSIGN_OR_RETURN(const UniqueFd own, OpenFile("/proc/self/ns/net", O_RDONLY));
  if (::setns(netns, CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "entering the network namespace");
  }
  absl::Status status = work();
  if (::setns(own.get(), CLONE_NEWNET) != 0) {
    status = FirstError(std::move(status),
                        ErrnoStatus(errno, "leaving the network namespace"));
  }
  return status;
}

}  // namespace serai::shim
