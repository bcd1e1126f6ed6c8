// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/cpu_rate.h"

namespace serai::cri {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

uint64_t CpuRate::Update(uint64_t cpu_ns, int64_t now_ns, int64_t start_ns) {
  absl::MutexLock lock(&mutex_);
  if (latest_.time_ns == 0) base_ = latest_ = {start_ns, 0};
  // The clock may be set back as well.
  if (cpu_ns < latest_.cpu_ns || now_ns < latest_.time_ns) {
    base_ = latest_ = {now_ns, cpu_ns};
  }
  if (now_ns - latest_.time_ns >= kSecond) {
    base_ = latest_;
    latest_ = {now_ns, cpu_ns};
  }
  const int64_t elapsed = now_ns - base_.time_ns;
  if (elapsed <= 0) return 0;
  return static_cast<uint64_t>(static_cast<double>(cpu_ns - base_.cpu_ns) *
                               kSecond / static_cast<double>(elapsed));
}

}  // namespace serai::cri
