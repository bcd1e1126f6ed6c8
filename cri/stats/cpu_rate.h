// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much CPU something uses now, from its count of CPU time as callers come
// by: nothing is sampled when nobody asks. The rate is over the time since an
// earlier call, one second ago at least, or since the start when there was
// none; several callers do not spoil each other's. Any thread.

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace serai::cri {

class CpuRate {
 public:
  // Nanoseconds of CPU per second, given the count `cpu_ns` at `now_ns` of what
  // began to count from 0 at `start_ns` (both since the epoch). A count that
  // has gone back begins anew: 0.
  uint64_t Update(uint64_t cpu_ns, int64_t now_ns, int64_t start_ns);

 private:
  struct Sample {
    int64_t time_ns = 0;
    uint64_t cpu_ns = 0;
  };

  absl::Mutex mutex_;
  Sample base_ ABSL_GUARDED_BY(mutex_);    // the rate's beginning
  Sample latest_ ABSL_GUARDED_BY(mutex_);  // the next base
};

}  // namespace serai::cri
