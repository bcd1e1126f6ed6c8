// SPDX-License-Identifier: Apache-2.0
#pragma once

// containerd's task API (containerd.task.v2.Task and containerd.task.v3.Task,
// alike) on the tasks of one pod. What a unikernel has no notion of answers
// UNIMPLEMENTED with a sentence. Used by the shim's loop only.

#include <functional>
#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/ttrpc/server.h"
#include "proto/task/task.pb.h"
#include "shim/event_publisher.h"
#include "shim/pod.h"

namespace serai::shim {

class TaskService {
 public:
  // `on_shutdown` is called once, after a Shutdown has been answered that ends
  // the shim. `pod` and `events`, where what happens to the tasks is told,
  // outlive the service.
  TaskService(Pod& pod, EventPublisher& events,
              std::function<void()> on_shutdown)
      : pod_(pod), events_(events), on_shutdown_(std::move(on_shutdown)) {}
  TaskService(const TaskService&) = delete;
  TaskService& operator=(const TaskService&) = delete;

  // ttrpc's handler for this service.
  void Handle(const ttrpc::Call& call, const ttrpc::Server::Reply& reply);

 private:
  template <typename Response>
  using Done = std::function<void(const absl::StatusOr<Response>&)>;

  absl::StatusOr<std::string> Answer(const ttrpc::Call& call);

  void Create(const task::CreateTaskRequest& request,
              Done<task::CreateTaskResponse> done);
  absl::StatusOr<task::StartResponse> Start(const task::StartRequest& request);
  absl::StatusOr<task::StateResponse> State(const task::StateRequest& request);
  absl::StatusOr<wire::Empty> Pause(const task::PauseRequest& request);
  absl::StatusOr<wire::Empty> Resume(const task::ResumeRequest& request);
  absl::StatusOr<wire::Empty> Kill(const task::KillRequest& request);
  absl::StatusOr<wire::Empty> ResizePty(const task::ResizePtyRequest& request);
  absl::StatusOr<wire::Empty> CloseIO(const task::CloseIORequest& request);
  absl::StatusOr<task::DeleteResponse> Delete(
      const task::DeleteRequest& request);
  absl::StatusOr<task::ConnectResponse> Connect(
      const task::ConnectRequest& request);
  absl::StatusOr<task::PidsResponse> Pids(const task::PidsRequest& request);
  absl::StatusOr<task::StatsResponse> Stats(const task::StatsRequest& request);
  void Update(const task::UpdateTaskRequest& request, Done<wire::Empty> done);
  void Checkpoint(const task::CheckpointTaskRequest& request,
                  Done<wire::Empty> done);
  void Wait(const task::WaitRequest& request, Done<task::WaitResponse> done);
  void Shutdown(const task::ShutdownRequest& request, Done<wire::Empty> done);

  // Tells of a new task, and of its end when that comes.
  void TellOf(Task& created);

  Pod& pod_;
  EventPublisher& events_;
  const std::function<void()> on_shutdown_;
};

}  // namespace serai::shim
