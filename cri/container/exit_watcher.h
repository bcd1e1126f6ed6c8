// SPDX-License-Identifier: Apache-2.0
#pragma once

// Learns how containers end: waits at their shims for all of them at once, and
// on a thread of its own writes the end into the record, tells who waits for
// it, and has the shim forget the task.

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "cri/state/store.h"
#include "cri/task/shim.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class ExitWatcher {
 public:
  // `cgroups` must outlive the watcher.
  explicit ExitWatcher(const host::CgroupHierarchy& cgroups);
  // Ends the thread. Containers go on; what happens to them is learned by the
  // next daemon.
  ~ExitWatcher();
  ExitWatcher(const ExitWatcher&) = delete;
  ExitWatcher& operator=(const ExitWatcher&) = delete;

  // From now on, `container`'s end is noticed. Any thread.
  void Watch(std::shared_ptr<Container> container, std::shared_ptr<Shim> shim);

  // Writes down an end that was found otherwise: after a restart, or when the
  // shim was lost. A container that has ended already is left as it is.
  void RecordLost(Container& container, absl::string_view why);
  void RecordExit(Container& container, Shim& shim, const TaskExit& exit);

 private:
  void Run();
  void Ended(Container& container, Shim& shim,
             const absl::StatusOr<TaskExit>& exit);
  void WriteEnd(Container& container, const TaskExit& exit,
                const std::string& reason, const std::string& message);

  // What the connections' threads hand over; they must not wait for the watcher
  // or outlive it, so it is shared.
  struct Queue {
    absl::Mutex mutex;
    std::deque<std::function<void()>> ends ABSL_GUARDED_BY(mutex);
    bool closed ABSL_GUARDED_BY(mutex) = false;
  };

  const host::CgroupHierarchy& cgroups_;
  // A stop that gives a shim up and the watcher may find the same end.
  absl::Mutex writing_;
  const std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::thread thread_;
};

}  // namespace serai::cri
