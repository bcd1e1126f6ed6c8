// SPDX-License-Identifier: Apache-2.0
#include "shim/oom_watch.h"

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

// Reads what made the descriptor ready, so that it is not any more.
void Drain(int fd) {
  std::array<char, 4096> bytes;
  // An eventfd can't seek, and needs not to.
  ::lseek(fd, 0, SEEK_SET);
  while (::read(fd, bytes.data(), bytes.size()) ==
         static_cast<ssize_t>(bytes.size())) {
  }
}

}  // namespace

OomWatch::OomWatch(EventLoop& loop, host::Cgroup cgroup,
                   std::function<void()> on_oom)
    : loop_(loop), cgroup_(std::move(cgroup)), on_oom_(std::move(on_oom)) {
  absl::StatusOr<host::OomEvents> events = cgroup_.OpenOomEvents();
  absl::Status status = events.status();
  if (status.ok()) {
    Drain(events->fd.get());
    status = loop_.Watch(events->fd.get(), events->epoll_events,
                         [this](uint32_t) { OnEvent(); });
  }
  if (status.ok()) {
    events_ = *std::move(events);
  } else {
    LogWarning(absl::StrCat(
        "cgroup ", cgroup_.path(),
        ": out of memory is told at the end only: ", status.message()));
  }
  count_ = cgroup_.OomKills();
}

OomWatch::~OomWatch() {
  loop_.CancelTimer(timer_);
  if (events_.fd.valid()) loop_.Unwatch(events_.fd.get());
}

void OomWatch::OnEvent() {
  Drain(events_.fd.get());
  LookAgainLater(kLookAgainTimes);
  Look();
}

void OomWatch::Look() {
  const uint64_t count = cgroup_.OomKills();
  if (count <= count_) return;
  count_ = count;
  seen_ = true;
  loop_.CancelTimer(std::exchange(timer_, 0));
  on_oom_();
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
