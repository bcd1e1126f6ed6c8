// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tasks of the pod that a shim serves. Used by the shim's loop only.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lib/base/status.h"
#include "proto/task/task.pb.h"
#include "shim/guest_task.h"
#include "shim/sandbox_task.h"
#include "shim/task.h"
#include "shim/task_host.h"

namespace serai::shim {

class Pod {
 public:
  using Tasks = std::map<std::string, std::unique_ptr<Task>>;

  // `host` outlives the pod.
  explicit Pod(const TaskHost& host) : host_(host) {}
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  // A unikernel, or the pod's sandbox where the bundle's specification says
  // that it is one. ALREADY_EXISTS when there is a task of that id.
  absl::StatusOr<Task*> Create(const task::CreateTaskRequest& request);

  // A sandbox that is told of by other means than a specification.
  absl::StatusOr<Task*> CreateSandbox(const task::CreateTaskRequest& request,
                                      const std::string& netns,
                                      const std::string& cgroup);

  // What is left to do of the creation: calls `done`, perhaps later, with the
  // task, or with the error that made it fail; it is removed then.
  void FinishCreation(Task& created,
                      std::function<void(const absl::StatusOr<Task*>&)> done);

  // NOT_FOUND when there is no such task, or `exec_id` names another process
  // in it, which a unikernel can't have.
  absl::StatusOr<Task*> Find(const std::string& id,
                             const std::string& exec_id = "") const;
  // UNIMPLEMENTED when it is a sandbox.
  absl::StatusOr<GuestTask*> FindGuest(const std::string& id) const;

  // Deletes the task; on success it is not in the pod any more, and returned
  // for a last look.
  absl::StatusOr<std::unique_ptr<Task>> Delete(const std::string& id);

  // No task is created any more: UNAVAILABLE.
  void Close() { closed_ = true; }

  // Ends all tenders and removes all tasks. What can't be removed is logged.
  void DestroyAll();

  const Tasks& tasks() const { return tasks_; }
  // Whether there is, or ever was, a task.
  bool had_task() const { return had_task_; }

 private:
  absl::Status CheckNew(const task::CreateTaskRequest& request) const;
  absl::Status CheckNoSandbox() const;
  absl::StatusOr<std::unique_ptr<Task>> Make(
      const task::CreateTaskRequest& request);
  Task* Add(std::unique_ptr<Task> created);

  const TaskHost& host_;
  Tasks tasks_;
  bool had_task_ = false;
  bool closed_ = false;
};

}  // namespace serai::shim
