// SPDX-License-Identifier: Apache-2.0
#include "tests/support/enter_own_machine.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include <cerrno>

#include "lib/base/subprocess.h"

namespace serai::testing {

absl::Status EnterOwnMachine() {
  static bool entered = false;
  if (entered) return absl::OkStatus();
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    return ErrnoStatus(errno, "unshare");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoStatus(errno, "making the mounts private");
  }
  SubprocessSpec spec;
  spec.program = "/sbin/ip";
  spec.args = {"link", "set", "lo", "up"};
  entered = true;
  RETURN_IF_ERROR(RunSubprocess(spec).status());
  // Shims that ended are then ours to reap, however busy the machine's init is.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return ErrnoStatus(errno, "prctl");
  }
  return absl::OkStatus();
}

}  // namespace serai::testing
