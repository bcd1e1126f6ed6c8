// SPDX-License-Identifier: Apache-2.0
#include "shim/oom_watch.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

// v1 tells before the kernel has chosen and killed.
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);
constexpr int kLookAgainTimes = 10;
// It is on its way when the cgroup is gone.
constexpr int kRemovalPatienceMs = 100;

}  // namespace

OomWatch::OomWatch(EventLoop& loop, host::Cgroup cgroup,
                   std::function<void()> on_oom)
    : loop_(loop), cgroup_(std::move(cgroup)), on_oom_(std::move(on_oom)) {
  absl::StatusOr<host::OomEvents> events = cgroup_.OpenOomEvents();
  absl::Status status = events.status();
  if (status.ok()) {
    events_ = *std::move(events);
    // Before the loop sees it: what was until now is nothing new.
    ReadEvents();
    status = loop_.Watch(events_.fd.get(), events_.epoll_events,
                         [this](uint32_t) { OnEvent(); });
  }
  if (!status.ok()) {
    LogWarning(absl::StrCat(
        "cgroup ", cgroup_.path(),
        ": out of memory is told at the end only: ", status.message()));
  }
  count_ = cgroup_.OomKills();
  parents_count_ = ParentsCount();
}

OomWatch::~OomWatch() {
  loop_.CancelTimer(timer_);
  if (events_.fd.valid()) loop_.Unwatch(events_.fd.get());
}

void OomWatch::OnEvent() {
  ReadEvents();
  LookAgainLater(kLookAgainTimes);
  Look();
}

// Until it is read, the descriptor stays ready.
void OomWatch::ReadEvents() {
  if (!cgroup_.is_v2()) {
    uint64_t times = 0;
    if (::read(events_.fd.get(), &times, sizeof(times)) == sizeof(times)) {
      events_told_ += times;
    }
    return;
  }
  std::array<char, 4096> text;
  ::lseek(events_.fd.get(), 0, SEEK_SET);
  // That of a cgroup which was removed would stay ready for ever.
  if (::read(events_.fd.get(), text.data(), text.size()) <= 0) {
    loop_.Unwatch(events_.fd.get());
  }
}

uint64_t OomWatch::ParentsCount() const {
  if (!cgroup_.is_v2()) return 0;
  const absl::StatusOr<host::Cgroup> parent = cgroup_.Parent();
  return parent.ok() ? parent->OomKills() : 0;
}

void OomWatch::Look() {
  const uint64_t count = cgroup_.OomKills();
  if (count <= count_) return;
  count_ = count;
  seen_ = true;
  loop_.CancelTimer(std::exchange(timer_, 0));
  on_oom_();
}

void OomWatch::Finish(bool killed) {
  if (events_.fd.valid()) ReadEvents();
  Look();
  // On v1 its other trees may be there still.
  const bool is_there = cgroup_.Files("memory").Has("cgroup.procs");
  if (seen_ || !killed || is_there || !WasShort()) return;
  seen_ = true;
  on_oom_();
}

bool OomWatch::WasShort() {
  if (cgroup_.is_v2()) return ParentsCount() > parents_count_;
  // The removal is told by and by.
  pollfd poll = {events_.fd.get(), POLLIN, 0};
  if (events_told_ == 1 && ::poll(&poll, 1, kRemovalPatienceMs) == 1) {
    ReadEvents();
  }
  return events_told_ > 1;
}

void OomWatch::LookAgainLater(int times) {
  loop_.CancelTimer(timer_);
  timer_ = loop_.AddTimer(kLookAgain, [this, times] {
    timer_ = 0;
    if (times > 1) LookAgainLater(times - 1);
    Look();
  });
}

}  // namespace serai::shim
