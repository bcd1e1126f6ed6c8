// SPDX-License-Identifier: Apache-2.0
#pragma once

// The pods that are being made, or unmade after a crash, by name. kubelet gives
// a RunPodSandbox up after some minutes and asks again: the second call finds
// here that the first still runs, and takes part in its outcome. Any thread.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "cri/state/store.h"
#include "lib/base/event.h"
#include "lib/base/status.h"

namespace serai::cri {

// For callers that nobody waits for.
inline bool Never() { return false; }

// What runs under a name.
class Creation {
 public:
  Creation(const PodRecord& record, bool undoing)
      : record_(record), undoing_(undoing) {}

  // Of the pod as it was asked for.
  const PodRecord& record() const { return record_; }
  // Whether a dead daemon's work is being taken back.
  bool undoing() const { return undoing_; }

  // Waits for the end, and says it: the pod's id, the error, or ABORTED when
  // what ended was an undoing. CANCELLED when `hung_up` is true before.
  absl::StatusOr<std::string> Await(absl::FunctionRef<bool()> hung_up) const;

 private:
  friend class Creations;

  const PodRecord record_;
  const bool undoing_;
  serai::Event ended_;
  absl::StatusOr<std::string> outcome_;  // before `ended_`
};

class Creations {
 public:
  struct Entry {
    std::shared_ptr<Creation> creation;
    bool begun = false;  // by this call, which has to end it
  };
  // The creation under way with the record's name, or a new one.
  Entry Begin(const PodRecord& record, bool undoing = false);
  void End(Creation& creation, absl::StatusOr<std::string> outcome);

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Creation>> by_name_
      ABSL_GUARDED_BY(mutex_);
};

// Whether two pods are asked for in the same words.
bool SameRequest(const PodRecord& a, const PodRecord& b);

}  // namespace serai::cri
