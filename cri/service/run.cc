// SPDX-License-Identifier: Apache-2.0
#include "cri/service/run.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_join.h"
#include "cri/log/log.h"
#include "cri/service/notify.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// Without a watchdog the wait has no end that matters.
constexpr absl::Duration kLongestWait = absl::Hours(1);

// Puts into force what a running daemon can take of the configuration. A broken
// one changes nothing.
void Reload(Config& config, const RunOptions& options) {
  absl::StatusOr<Config> fresh = options.read_config();
  if (!fresh.ok()) {
    spdlog::error("SIGHUP: the configuration stays as it was: {}",
                  std::string(fresh.status().message()));
    return;
  }
  const std::vector<std::string> waiting = KeysThatNeedARestart(config, *fresh);
  // Not all of it: what needs a restart is compared with the old next time.
  config.log = fresh->log;
  SetUpLog(options.log_level.empty() ? config.log.level : options.log_level,
           config.log.format);
  if (waiting.empty()) {
    spdlog::info("SIGHUP: the configuration was read again");
  } else {
    spdlog::warn(
        "SIGHUP: the configuration was read again; these wait for a restart "
        "of seraid: {}",
        absl::StrJoin(waiting, ", "));
  }
}

// The signal that came, 0 after `timeout`.
int WaitForSignal(const sigset_t& signals, absl::Duration timeout) {
  const timespec time = absl::ToTimespec(timeout);
  const int number = ::sigtimedwait(&signals, nullptr, &time);
  return number > 0 ? number : 0;
}

}  // namespace

sigset_t BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    ::sigaddset(&signals, number);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A shim or client that goes away is an error of a write, not our end.
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

void RaiseFileLimit() {
  constexpr rlim_t kEnough = 65536;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) {
    return;
  }
  limit.rlim_cur = std::min(limit.rlim_max, kEnough);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void RunUntilSignal(const sigset_t& signals, Config config,
                    const RunOptions& options) {
  const absl::Duration interval = WatchdogInterval();
  NotifyReady(options.status);
  for (;;) {
    if (interval != absl::InfiniteDuration()) {
      const absl::Status alive = options.check_alive();
      if (alive.ok()) {
        NotifyAlive();
      } else {
        spdlog::error("watchdog: the daemon does not answer itself: {}",
                      std::string(alive.message()));
      }
    }
    const int number = WaitForSignal(signals, std::min(interval, kLongestWait));
    if (number == 0) continue;
    if (number != SIGHUP) {
      spdlog::info("signal {}: stopping; pods go on", number);
      NotifyStopping();
      return;
    }
    NotifyReloading();
    Reload(config, options);
    NotifyReady(options.status);
  }
}

}  // namespace serai::cri
