// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the service manager is told (sd_notify(3)), where there is one:
// without $NOTIFY_SOCKET nothing happens.

#include <string>

#include "absl/time/time.h"

namespace serai::cri {

void NotifyReady(const std::string& status);
// Behind it NotifyReady() has to come.
void NotifyReloading();
void NotifyStopping();
// "I am well", for the watchdog.
void NotifyAlive();

// How often NotifyAlive() has to come: twice in the watchdog's time.
// InfiniteDuration when nobody watches.
absl::Duration WatchdogInterval();

}  // namespace serai::cri
