// SPDX-License-Identifier: Apache-2.0
#pragma once

// The FIFO that containerd makes for a task's standard input. A unikernel has
// none: what is written there is read and forgotten, so that a writer neither
// waits nor fails. Used by the shim's loop only.

#include <memory>
#include <string>
#include <utility>

#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

class InputDrain {
 public:
  // Null when there is no FIFO at the path. `loop` outlives the drain.
  static absl::StatusOr<std::unique_ptr<InputDrain>> Open(
      EventLoop& loop, const std::string& path);
  ~InputDrain() { loop_.Unwatch(fd_.get()); }
  InputDrain(const InputDrain&) = delete;
  InputDrain& operator=(const InputDrain&) = delete;

 private:
  InputDrain(EventLoop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  void Read();

  EventLoop& loop_;
  const UniqueFd fd_;
};

}  // namespace serai::shim
