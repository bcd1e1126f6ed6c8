// SPDX-License-Identifier: Apache-2.0
#pragma once

// A process enters a PID namespace by being born in it. The tender that was
// started therefore stays outside, in the same jail, as one whose only work is
// to wait for its child and to end as that ends.

#include "tender/options.h"

namespace serai::tender {

// Returns in a child, the first process of the PID namespace that was made
// (unshare(2)). The caller passes SIGTERM, SIGINT and what may be a request
// (requests.h) on to it, ignores what the tender ignores (signals.h), ends with
// its exit status or of the signal that it died of, and takes it along when it
// is ended by any other signal.
void BecomeFirstProcess(const Options& options);

}  // namespace serai::tender
