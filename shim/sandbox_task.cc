// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox_task.h"

#include <signal.h>

#include "lib/base/file.h"
#include "shim/state_file.h"

namespace serai::shim {

absl::StatusOr<std::unique_ptr<SandboxTask>> SandboxTask::Create(
    const task::CreateTaskRequest& request, const std::string& netns,
    const std::string& cgroup) {
  std::unique_ptr<SandboxTask> created(new SandboxTask(request));
  ASSIGN_OR_RETURN(created->sandbox_, Sandbox::Enter(netns, cgroup));
  TaskRecord record;
  record.id = request.id();
  if (const host::Cgroup* const made = created->sandbox_->cgroup()) {
    record.cgroup = made->path();
    record.made_cgroups = made->made();
  }
  const absl::Status written = WriteTaskRecord(request.bundle(), record);
  if (written.ok()) return created;
  return FirstError(written, created->sandbox_->Leave());
}

absl::Status SandboxTask::Start() {
  if (status() != task::TASK_CREATED) {
    return absl::FailedPreconditionError("the sandbox was started before");
  }
  SetStarted();
  return absl::OkStatus();
}

absl::Status SandboxTask::Kill(int signal_number) {
  RETURN_IF_ERROR(CheckSignal(signal_number));
  if (exit()) return absl::NotFoundError("the sandbox has ended");
  if (IsHarmless(signal_number)) return absl::OkStatus();
  // From here on the namespace and the cgroup can go.
  RETURN_IF_ERROR(sandbox_->Leave());
  SetExit(kSignalExitBase + static_cast<uint32_t>(signal_number),
          Ending::kSignal);
  return absl::OkStatus();
}

absl::Status SandboxTask::Destroy() {
  RETURN_IF_ERROR(sandbox_->Leave());
  if (!exit()) SetExit(kSignalExitBase + SIGKILL, Ending::kKilled);
  return RemoveTaskRecord(request().bundle());
}

absl::StatusOr<host::CgroupUsage> SandboxTask::Usage() const {
  if (sandbox_->cgroup() == nullptr) {
    return absl::FailedPreconditionError("the sandbox has no cgroup");
  }
  return sandbox_->cgroup()->Usage();
}

}  // namespace serai::shim
