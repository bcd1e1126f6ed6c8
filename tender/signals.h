// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::tender {

// SIGTERM and SIGINT from here on end the process at once with exit status 128
// plus the signal's number (143, 130), also where it is the first process of a
// PID namespace, in which the kernel ignores signals without a handler. The
// handler has a stack of its own, so it runs whatever a guest has done to its
// registers. SIGPIPE and SIGXFSZ are ignored: a reader that left is no reason
// to die, nor is a file that may not grow.
void InstallSignalHandlers();

}  // namespace serai::tender
