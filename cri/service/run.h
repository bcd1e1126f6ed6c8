// SPDX-License-Identifier: Apache-2.0
#pragma once

// What seraid's main thread does while the daemon serves: signals, the
// configuration anew at SIGHUP, the watchdog.

#include <signal.h>

#include <functional>
#include <string>

#include "cri/config/config.h"
#include "lib/base/status.h"

namespace serai::cri {

// Blocked before the first thread is made, so that all have them so and the
// main thread takes them: SIGTERM, SIGINT, SIGHUP.
sigset_t BlockSignals();

// Each pod takes some descriptors, and each forwarded connection two: as many
// as the hard limit allows, since the usual one is for programs that select(2).
void RaiseFileLimit();

struct RunOptions {
  // Reads the configuration again.
  std::function<absl::StatusOr<Config>()> read_config;
  // Whether the daemon is well; asked when a watchdog watches.
  std::function<absl::Status()> check_alive;
  std::string status;  // for the service manager
  // The level that the command line gives; empty: the configuration's.
  std::string log_level;
};

// Returns when a signal says so. `config` is that in force.
void RunUntilSignal(const sigset_t& signals, Config config,
                    const RunOptions& options);

}  // namespace serai::cri
