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

// How long an answer may take. An spt unikernel needs some 5 ms, one for hvt 10
// to 15; a node that is busy fifty times as long.
inline constexpr absl::Duration kSptAnswer = absl::Seconds(1);
inline constexpr absl::Duration kHvtAnswer = absl::Seconds(2);

// Not known when the guest ends without an answer, or says too much; also for
// one that needs more memory than is spent on a question. DEADLINE_EXCEEDED
// when it had not ended in time, and was killed: another time it may. Another
// error when it could not be asked: there is no tender, no /dev/kvm, no process
// to be had, or the tender says why it can't run it.
absl::StatusOr<GuestOptions> AskOptions(const AskRequest& request);

}  // namespace serai::guest
