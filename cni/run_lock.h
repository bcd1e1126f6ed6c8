// SPDX-License-Identifier: Apache-2.0
#pragma once

// One run of plugins for an attachment at a time, also across the death of who
// runs them: a plugin goes on when seraid is killed, and a DEL that overtook
// its ADD would find nothing to give back. The lock is a flock(2) on a file
// whose descriptor the plugin and its helpers inherit: it is free when the last
// of them has ended. Any thread.

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::cni {

class RunLock {
 public:
  // Makes the file where it is missing and takes the lock. Who holds it for
  // longer than `patience` is killed. DEADLINE_EXCEEDED when even that does not
  // free it.
  static absl::StatusOr<RunLock> Take(const std::string& path,
                                      absl::Duration patience);

  // For the plugins (SubprocessSpec::descriptors).
  int fd() const { return fd_.get(); }

  // Removes the file: nothing runs any more, or what runs may go on.
  absl::Status Remove() const;

 private:
  RunLock(std::string path, UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

}  // namespace serai::cni
