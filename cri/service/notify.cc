// SPDX-License-Identifier: Apache-2.0
#include "cri/service/notify.h"

#include <systemd/sd-daemon.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lib/base/deadline.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

void Notify(const std::string& state) {
  const int sent = ::sd_notify(0, state.c_str());
  if (sent < 0) {
    spdlog::warn("telling the service manager \"{}\": error {}", state, -sent);
  }
}

}  // namespace

void NotifyReady(const std::string& status) {
  Notify(absl::StrCat("READY=1\nSTATUS=", status));
}

void NotifyReloading() {
  Notify(absl::StrCat(
      "RELOADING=1\nMONOTONIC_USEC=", absl::ToInt64Microseconds(MonotonicNow()),
      "\nSTATUS=reading the configuration"));
}

void NotifyStopping() { Notify("STOPPING=1\nSTATUS=stopping; pods go on"); }

void NotifyAlive() { Notify("WATCHDOG=1"); }

absl::Duration WatchdogInterval() {
  uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) {
    return absl::InfiniteDuration();
  }
  return absl::Microseconds(microseconds) / 2;
}

}  // namespace serai::cri
