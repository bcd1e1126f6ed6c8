// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox_task.h"

#include <signal.h>

#include <utility>

#include "lib/base/file.h"

namespace serai::shim {

absl::StatusOr<std::unique_ptr<SandboxTask>> SandboxTask::Create(
    const TaskHost& host, const task::CreateTaskRequest& request,
    const std::string& netns, const std::string& cgroups_path) {
  std::unique_ptr<SandboxTask> created(new SandboxTask(request));
  ASSIGN_OR_RETURN(created->sandbox_,
                   Sandbox::Enter(host.loop, netns, cgroups_path));
  created->record_.id = request.id();
  created->record_.pod = host.pod;
  const absl::Status written = created->WriteRecord();
  if (written.ok()) return created;
  return FirstError(written, created->sandbox_->Leave());
}

absl::Status SandboxTask::WriteRecord() {
  if (const TaskCgroup* const cgroup = sandbox_->cgroup()) {
    const TaskCgroup::Record cgroup_record = cgroup->record();
    record_.cgroup = cgroup_record.path;
    record_.made_cgroups = cgroup_record.made;
    record_.scope = cgroup_record.scope;
  }
  return WriteTaskRecord(request().bundle(), record_);
}

void SandboxTask::Admit(OnReady on_ready) {
  // Not called when the task, and with it the sandbox, is gone by then.
  sandbox_->Admit(
      [this, on_ready = std::move(on_ready)](const absl::Status& admitted) {
        on_ready(admitted.ok() ? WriteRecord() : admitted);
      });
}

absl::Status SandboxTask::Start() {
  RETURN_IF_ERROR(CheckCreated());
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
  RETURN_IF_ERROR(CheckCreated());
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

const host::Cgroup* SandboxTask::cgroup() const {
  const TaskCgroup* const made = sandbox_->cgroup();
  return made == nullptr ? nullptr : &made->cgroup();
}

}  // namespace serai::shim
