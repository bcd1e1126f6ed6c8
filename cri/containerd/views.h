// SPDX-License-Identifier: Apache-2.0
#pragma once

// The views of containerd's snapshots that containers have, each with a record
// of its own: <directory>/<container id>.json is on the disk before the view is
// asked for, and until it is gone. So a view outlives neither its container nor
// a crash of either daemon or of the machine.

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/containerd/client.h"
#include "lib/base/status.h"

namespace serai::cri {

// Any method from any thread. Removing is done by a thread of its own, which
// tries until containerd has done it: no call waits for that, and containers
// can be removed while containerd is down.
class Views {
 public:
  // New views are of `snapshotter`. The client must outlive the object.
  Views(ContainerdClient& client, std::string directory,
        std::string snapshotter);
  ~Views();
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  // A view of `parent` for container `holder`. On failure there is none, or it
  // is being removed.
  absl::StatusOr<std::vector<ViewMount>> Make(const std::string& holder,
                                              const std::string& parent);
  // Has it removed; nothing where there is none.
  void Drop(const std::string& holder);
  // Those of a daemon before this one.
  absl::Status DropAllBut(const std::set<std::string>& holders);

 private:
  std::string RecordPath(const std::string& holder) const;
  absl::Status WriteRecord(const std::string& holder) const;
  void Run();
  absl::Status RemoveDropped();
  absl::Status RemoveNow(const std::string& holder);

  ContainerdClient& client_;
  const std::string directory_;
  const std::string snapshotter_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::set<std::string> dropped_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace serai::cri
