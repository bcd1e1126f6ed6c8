// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim's services: containerd's task API (containerd.task.v2.Task and
// containerd.task.v3.Task, alike) and our own serai.shim.v1.Control, on the
// tasks of one pod. What a unikernel has no notion of answers UNIMPLEMENTED
// with a sentence. Used by the shim's loop only.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lib/base/status.h"
#include "lib/ttrpc/server.h"
#include "proto/task/control.pb.h"
#include "proto/task/task.pb.h"
#include "shim/task.h"

namespace serai::shim {

class TaskService {
 public:
  // `on_shutdown` is called once, after a Shutdown has been answered that ends
  // the shim. `host` outlives the service.
  TaskService(const TaskHost& host, std::function<void()> on_shutdown)
      : host_(host), on_shutdown_(std::move(on_shutdown)) {}
  TaskService(const TaskService&) = delete;
  TaskService& operator=(const TaskService&) = delete;

  // ttrpc's handler.
  void Handle(const ttrpc::Call& call, ttrpc::Server::Reply reply);

  // Reaps every child that has ended: on SIGCHLD.
  void ReapChildren();

  // Ends all tenders and removes all tasks. What can't be removed is logged.
  void DestroyAll();

 private:
  absl::StatusOr<std::string> Answer(const ttrpc::Call& call);
  absl::StatusOr<std::string> AnswerTask(const ttrpc::Call& call);
  absl::StatusOr<std::string> AnswerControl(const ttrpc::Call& call);
  // The method's answer to the request in `bytes`, as bytes.
  template <typename Request, typename Response>
  absl::StatusOr<std::string> Run(
      absl::StatusOr<Response> (TaskService::*method)(const Request&),
      const std::string& bytes);

  // The task, when `exec_id` names no other process.
  absl::StatusOr<Task*> Find(const std::string& id,
                             const std::string& exec_id = "") const;

  absl::StatusOr<task::CreateTaskResponse> Create(
      const task::CreateTaskRequest& request);
  absl::StatusOr<task::StartResponse> Start(const task::StartRequest& request);
  absl::StatusOr<task::StateResponse> State(const task::StateRequest& request);
  absl::StatusOr<wire::Empty> Kill(const task::KillRequest& request);
  absl::StatusOr<task::DeleteResponse> Delete(
      const task::DeleteRequest& request);
  absl::StatusOr<task::ConnectResponse> Connect(
      const task::ConnectRequest& request);
  absl::StatusOr<task::PidsResponse> Pids(const task::PidsRequest& request);
  absl::StatusOr<task::StatsResponse> Stats(const task::StatsRequest& request);
  // Answered later.
  void Wait(const std::string& request, ttrpc::Server::Reply reply);
  void Shutdown(const std::string& request, const ttrpc::Server::Reply& reply);

  absl::StatusOr<wire::Empty> ReopenLog(const v1::ReopenLogRequest& request);
  absl::StatusOr<v1::InfoResponse> Info(const v1::InfoRequest& request);

  const TaskHost& host_;
  const std::function<void()> on_shutdown_;
  std::map<std::string, std::unique_ptr<Task>> tasks_;
};

}  // namespace serai::shim
