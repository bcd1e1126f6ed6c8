// SPDX-License-Identifier: Apache-2.0
#pragma once

// Learns how containers end: waits at their shims for all of them at once,
// writes each end into the record, tells who waits for it, and has the shim
// forget the task. What asks a shim runs on threads of its own, so that one
// that does not answer holds up nobody else's end.

#include <functional>
#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "cri/events/event_hub.h"
#include "cri/state/store.h"
#include "cri/task/shim.h"
#include "lib/base/worker_pool.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class ExitWatcher {
 public:
  // Both must outlive the watcher.
  ExitWatcher(const host::CgroupHierarchy& cgroups, EventHub& events);
  // Waits for what is being written. Containers go on; what happens to them is
  // learned by the next daemon.
  ~ExitWatcher();
  ExitWatcher(const ExitWatcher&) = delete;
  ExitWatcher& operator=(const ExitWatcher&) = delete;

  // From now on, `container`'s end is noticed. Any thread.
  void Watch(std::shared_ptr<Container> container, std::shared_ptr<Shim> shim);

  // For a restart: asks the shim how the container is, writes down what became
  // of it, and goes on watching one that runs. Calls `known` once, when that is
  // done; not before the shim answers, which may be never. Any thread.
  void Follow(std::shared_ptr<Container> container, std::shared_ptr<Shim> shim,
              std::function<void()> known);

  // Writes down an end that was found otherwise: after a restart, or when the
  // shim was lost. Nobody knows how it ended, unless that is noted in its
  // record. A container that has ended already is left as it is.
  void RecordLost(Container& container, absl::string_view why);
  void RecordExit(Container& container, Shim& shim, const TaskExit& exit);
  void RecordRunning(Container& container);

 private:
  // What the connections' threads hold, as they may outlive the watcher.
  struct Gate {
    absl::Mutex mutex;
    ExitWatcher* watcher ABSL_GUARDED_BY(mutex);  // null: it is gone
  };
  // Does `work` on a thread of the watcher's, if it is still there.
  static void Later(const std::shared_ptr<Gate>& gate,
                    std::function<void(ExitWatcher&)> work);

  void Learn(const std::shared_ptr<Container>& container,
             const std::shared_ptr<Shim>& shim,
             const absl::StatusOr<TaskInfo>& task);
  void Ended(Container& container, Shim& shim,
             const absl::StatusOr<TaskExit>& exit);
  // The first note counts.
  void NoteEnd(Container& container, const state::v1::ContainerEnd& end,
               const std::string& last_words);
  // Makes an end of what is noted.
  void WriteEnd(Container& container);

  const host::CgroupHierarchy& cgroups_;
  EventHub& events_;
  const std::shared_ptr<Gate> gate_;
  WorkerPool workers_;
};

}  // namespace serai::cri
