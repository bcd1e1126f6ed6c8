// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::tender {

// SIGTERM and SIGINT from here on end the process at once, by EndWithSignal(),
// also where it is the first process of a PID namespace, in which the kernel
// ignores signals without a handler. SIGPIPE and SIGXFSZ are ignored: a reader
// that left is no reason to die, nor is a file that may not grow.
//
// An spt guest gets other handlers (spt/stub.h): these need the tender.
void InstallSignalHandlers();

}  // namespace serai::tender
