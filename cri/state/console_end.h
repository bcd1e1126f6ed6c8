// SPDX-License-Identifier: Apache-2.0
#pragma once

// The last of an ended container's console. Its shim forgets it with the task;
// clients that were attached have yet to read it. Kept in memory, while there
// are such clients. Any thread.

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/task/shim.h"

namespace serai::cri {

class ConsoleEnd {
 public:
  // For a client: as long as one holds it, the end is kept.
  std::shared_ptr<const void> Watch() {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<ConsolePart> part = part_.lock();
    if (part == nullptr) part_ = part = std::make_shared<ConsolePart>();
    return part;
  }

  bool watched() const {
    absl::MutexLock lock(&mutex_);
    return !part_.expired();
  }

  void Keep(ConsolePart last) {
    absl::MutexLock lock(&mutex_);
    if (const auto part = part_.lock()) *part = std::move(last);
  }

  // What comes after `offset`, as the shim would have answered.
  ConsolePart After(uint64_t offset) const {
    absl::MutexLock lock(&mutex_);
    ConsolePart after;
    after.ended = true;
    after.next_offset = offset;
    const auto part = part_.lock();
    if (part == nullptr || part->next_offset <= offset) return after;
    const uint64_t start = part->next_offset - part->data.size();
    after.next_offset = part->next_offset;
    after.lost = start > offset ? start - offset : 0;
    after.data = part->data.substr(offset > start ? offset - start : 0);
    return after;
  }

 private:
  mutable absl::Mutex mutex_;
  // Empty, at first.
  std::weak_ptr<ConsolePart> part_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
