// SPDX-License-Identifier: Apache-2.0
#pragma once

// The task that containerd's CRI plugin makes of a pod's sandbox. No process
// runs for it, whatever its image has in it: the shim itself stands in for it
// (sandbox.h), and its pid is the task's. Used by the shim's loop only.

#include <unistd.h>

#include <memory>
#include <string>

#include "lib/base/status.h"
#include "proto/task/task.pb.h"
#include "shim/sandbox.h"
#include "shim/state_file.h"
#include "shim/task.h"
#include "shim/task_host.h"

namespace serai::shim {

class SandboxTask final : public Task {
 public:
  // Of the request, the id and the bundle count. `netns` and `cgroups_path` as
  // Sandbox::Enter() has them. On failure nothing is left. `host` outlives the
  // task.
  static absl::StatusOr<std::unique_ptr<SandboxTask>> Create(
      const TaskHost& host, const task::CreateTaskRequest& request,
      const std::string& netns, const std::string& cgroups_path);

  absl::Status Start() override;
  absl::Status Kill(int signal_number) override;
  absl::Status Destroy() override;
  const host::Cgroup* cgroup() const override;
  // Valid for as long as the sandbox is there.
  pid_t pid() const override { return ::getpid(); }

 private:
  using Task::Task;

  void Admit(OnReady on_ready) override;
  absl::Status WriteRecord();

  std::unique_ptr<Sandbox> sandbox_;
  TaskRecord record_;
};

}  // namespace serai::shim
