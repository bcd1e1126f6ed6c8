// SPDX-License-Identifier: Apache-2.0
#pragma once

// Asks a unikernel for its options: runs it once with `--help=plain`, which
// MirageOS' unikernels answer before they look at anything else, and reads what
// it prints. It is as hostile as in a pod, and gets less: the tender's whole
// jail, devices with nothing behind them, no more time and output than an
// answer takes. Any thread.

#include <string>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/guest/options.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

struct AskRequest {
  std::string tender;  // the program's path
  int file = -1;       // the unikernel's, borrowed
  const solo5::Unikernel& unikernel;
};

// How long an answer may take: an spt unikernel needs some milliseconds, one
// for hvt some more, and either much more on a busy node.
inline constexpr absl::Duration kSptAnswer = absl::Seconds(1);
inline constexpr absl::Duration kHvtAnswer = absl::Seconds(3);

// Known when the guest has printed a page and ended as one does that was asked
// for help (status 0 or 63). Not known when it ends otherwise, or says too
// much; also for one that needs more memory than is spent on a question.
// DEADLINE_EXCEEDED when it had not ended in time, and was killed; ABORTED when
// something else killed it, or it aborted: another time it may answer. Another
// error when it could not be asked: there is no tender, no /dev/kvm, no process
// to be had, or the tender says why it can't run it.
absl::StatusOr<GuestOptions> AskOptions(const AskRequest& request);

}  // namespace serai::guest
