// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is asked of a tender while its guest runs, by signals: SIGUSR1 for the
// counters, SIGUSR2 for a snapshot, SIGQUIT for a core file. They are noted
// here and served at the guest's next exit, which the signal brings about.

#include <cstdint>

namespace serai::tender {

enum class Request : uint32_t {
  kStats = 1 << 0,
  kSnapshot = 1 << 1,
  kDumpCore = 1 << 2,
  kDebugger = 1 << 3,  // the debugger wants the guest to stop
  kRing = 1 << 4,      // the network ring is broken
};

// Signals ask for `request` from here on. Ends the process with a message when
// that can't be set up.
void AcceptRequests(int signal_number, Request request);

// A byte that is set to 1 whenever a request comes in, until TakeRequests()
// clears it: KVM's immediate_exit, which makes the next KVM_RUN return. Null
// where there is none.
void SetRequestFlag(uint8_t* flag);

// A descriptor that is readable while a request waits. It belongs into every
// poll in which the guest may sleep.
int RequestEvent();

// Asks as a signal does.
void Ask(Request request);

// The requests since the last call, as a sum of Request's values.
uint32_t TakeRequests();

inline bool Includes(uint32_t requests, Request request) {
  return (requests & static_cast<uint32_t>(request)) != 0;
}

}  // namespace serai::tender
