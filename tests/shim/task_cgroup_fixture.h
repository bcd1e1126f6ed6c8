// SPDX-License-Identifier: Apache-2.0
#pragma once

// Control groups of a test's own, on the machine's hierarchies, and an event
// loop.

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shim/task_cgroup.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {

inline constexpr int64_t kMiB = 1 << 20;

class TaskCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("cgroup");
    ASSERT_OK_AND_ASSIGN(hierarchy_, host::CgroupHierarchy::Detect());
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
  }

  void TearDown() override {
    if (!hierarchy_) return;
    ASSERT_OK_AND_ASSIGN(const auto top, host::Cgroup::Open(*hierarchy_, top_));
    EXPECT_OK(top.KillAll());
    EXPECT_OK(top.Remove());
  }

  // Runs the loop until `done` or for some seconds: whether it is done.
  template <typename Done>
  bool RunUntil(Done done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (!done() && absl::Now() < deadline) {
      loop_->AddTimer(absl::Milliseconds(5), [&] { loop_->Stop(); });
      EXPECT_OK(loop_->Run());
    }
    return done();
  }

  absl::StatusOr<std::unique_ptr<TaskCgroup>> Make(
      const host::CgroupLimits& limits = {}) {
    return TaskCgroup::Make(*loop_, top_ + "/app", limits);
  }

  absl::Status Admit(TaskCgroup& cgroup, pid_t pid) {
    std::optional<absl::Status> admitted;
    cgroup.Admit(pid, [&](const absl::Status& status) { admitted = status; });
    if (!RunUntil([&] { return admitted.has_value(); })) {
      return absl::DeadlineExceededError("Admit");
    }
    return *admitted;
  }

  absl::Status Update(TaskCgroup& cgroup, const host::CgroupLimits& limits) {
    std::optional<absl::Status> updated;
    cgroup.Update(limits,
                  [&](const absl::Status& status) { updated = status; });
    if (!RunUntil([&] { return updated.has_value(); })) {
      return absl::DeadlineExceededError("Update");
    }
    return *updated;
  }

  static void Touch(size_t bytes) {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::mlock(memory, bytes);
    std::memset(memory, 1, bytes);
  }

  std::optional<host::CgroupHierarchy> hierarchy_;
  std::unique_ptr<EventLoop> loop_;
  std::string top_ = absl::StrCat("/serai-test-task-", ::getpid());
};

}  // namespace serai::shim
