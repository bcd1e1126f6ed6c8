// SPDX-License-Identifier: Apache-2.0
#pragma once

// Work that may block, done in a child of the shim, so that its loop goes on:
// asking systemd, which answers when it likes. For a program with one thread,
// on the loop's.

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"

namespace serai::shim {

using ChildWork = std::function<absl::StatusOr<std::string>()>;

// How long a child may take: a work that blocks has a time limit of its own.
inline constexpr absl::Duration kChildCallTimeout = absl::Seconds(60);

// Forks a child that does `work`, with none of this process's descriptors but
// standard input and outputs, and gives what that returns (some kB at most) to
// `done`, from the loop. A child that dies, or takes longer than
// kChildCallTimeout, is INTERNAL. The child is reaped with all others.
absl::Status CallInChild(
    EventLoop& loop, const ChildWork& work,
    std::function<void(const absl::StatusOr<std::string>&)> done);

// The same for what nobody waits for: an error is logged by the child, with
// `what` before it.
absl::Status LeaveToChild(const std::string& what,
                          const std::function<absl::Status()>& work);

}  // namespace serai::shim
