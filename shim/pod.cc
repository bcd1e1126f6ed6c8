// SPDX-License-Identifier: Apache-2.0
#include "shim/pod.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/oci/runtime_spec.h"
#include "shim/log.h"

namespace serai::shim {

absl::Status Pod::CheckNew(const task::CreateTaskRequest& request) const {
  if (closed_) return absl::UnavailableError("the shim is ending");
  if (request.id().empty()) {
    return absl::InvalidArgumentError("the task has no id");
  }
  if (!absl::StartsWith(request.bundle(), "/")) {
    return absl::InvalidArgumentError("the bundle's path is not absolute");
  }
  if (tasks_.count(request.id()) != 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is a task ", request.id()));
  }
  return absl::OkStatus();
}

// The shim can stand in for one.
absl::Status Pod::CheckNoSandbox() const {
  for (const auto& [id, task] : tasks_) {
    if (task->guest() != nullptr) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("this shim has a sandbox: ", id));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Task>> Pod::Make(
    const task::CreateTaskRequest& request) {
  ASSIGN_OR_RETURN(const std::string config,
                   ReadFile(JoinPath(request.bundle(), "config.json"),
                            oci::kMaxRuntimeSpecBytes));
  ASSIGN_OR_RETURN(oci::RuntimeSpec spec, oci::ParseRuntimeSpec(config));
  if (spec.is_sandbox()) {
    RETURN_IF_ERROR(CheckNoSandbox());
    return SandboxTask::Create(host_, request, spec.network_namespace,
                               spec.cgroups_path);
  }
  return GuestTask::Create(host_, request, std::move(spec));
}

Task* Pod::Add(std::unique_ptr<Task> created) {
  had_task_ = true;
  Task* const added = created.get();
  tasks_[added->request().id()] = std::move(created);
  return added;
}

absl::StatusOr<Task*> Pod::Create(const task::CreateTaskRequest& request) {
  RETURN_IF_ERROR(CheckNew(request));
  ASSIGN_OR_RETURN(auto created, Make(request));
  return Add(std::move(created));
}

absl::StatusOr<Task*> Pod::CreateSandbox(const task::CreateTaskRequest& request,
                                         const std::string& netns,
                                         const std::string& cgroup) {
  RETURN_IF_ERROR(CheckNew(request));
  RETURN_IF_ERROR(CheckNoSandbox());
  ASSIGN_OR_RETURN(auto created,
                   SandboxTask::Create(host_, request, netns, cgroup));
  return Add(std::move(created));
}

void Pod::FinishCreation(
    Task& created, std::function<void(const absl::StatusOr<Task*>&)> done) {
  created.FinishCreation(
      [this, &created, done = std::move(done)](const absl::Status& finished) {
        if (finished.ok()) return done(&created);
        const absl::Status deleted = Delete(created.request().id()).status();
        done(FirstError(finished, deleted));
      });
}

absl::StatusOr<Task*> Pod::Find(const std::string& id,
                                const std::string& exec_id) const {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) {
    return absl::NotFoundError(absl::StrCat("there is no task ", id));
  }
  if (!exec_id.empty()) {
    return absl::NotFoundError(
        absl::StrCat("there is no process ", exec_id, " in task ", id));
  }
  return found->second.get();
}

absl::StatusOr<GuestTask*> Pod::FindGuest(const std::string& id) const {
  ASSIGN_OR_RETURN(Task* const found, Find(id));
  if (found->guest() != nullptr) return found->guest();
  return absl::UnimplementedError(absl::StrCat(
      "task ", id, " is the pod's sandbox, in which nothing runs"));
}

absl::StatusOr<std::unique_ptr<Task>> Pod::Delete(const std::string& id) {
  ASSIGN_OR_RETURN(Task* const found, Find(id));
  RETURN_IF_ERROR(found->Delete());
  return std::move(tasks_.extract(id).mapped());
}

void Pod::DestroyAll() {
  for (const auto& [id, found] : tasks_) {
    const absl::Status destroyed = found->Destroy();
    if (!destroyed.ok()) {
      LogWarning(absl::StrCat("task ", id, ": ", destroyed.message()));
    }
  }
  tasks_.clear();
}

}  // namespace serai::shim
