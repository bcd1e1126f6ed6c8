// SPDX-License-Identifier: Apache-2.0
#include "shim/task_service.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/oci/runtime_spec.h"
#include "shim/wire.h"

namespace serai::shim {
namespace {

constexpr char kVersion[] = "v2";  // of the task API

// Why a method of the task API is not there; null for one that does not exist.
const char* WhyNot(const std::string& method) {
  static constexpr struct {
    const char* method;
    const char* reason;
  } kReasons[] = {
      {"Exec", "a unikernel is one program: no other can be run in it"},
  };
  for (const auto& entry : kReasons) {
    if (method == entry.method) return entry.reason;
  }
  return nullptr;
}

}  // namespace

void TaskService::Handle(const ttrpc::Call& call,
                         const ttrpc::Server::Reply& reply) {
  if (call.method == "Create") {
    RunLater(*this, &TaskService::Create, call.request, reply);
  } else if (call.method == "Update") {
    RunLater(*this, &TaskService::Update, call.request, reply);
  } else if (call.method == "Wait") {
    RunLater(*this, &TaskService::Wait, call.request, reply);
  } else if (call.method == "Checkpoint") {
    RunLater(*this, &TaskService::Checkpoint, call.request, reply);
  } else if (call.method == "Shutdown") {
    RunLater(*this, &TaskService::Shutdown, call.request, reply);
  } else {
    reply(Answer(call));
  }
}

absl::StatusOr<std::string> TaskService::Answer(const ttrpc::Call& call) {
  const auto run = [&](auto method) {
    return Run(*this, method, call.request);
  };
  const std::string& method = call.method;
  if (method == "Start") return run(&TaskService::Start);
  if (method == "State") return run(&TaskService::State);
  if (method == "Pause") return run(&TaskService::Pause);
  if (method == "Resume") return run(&TaskService::Resume);
  if (method == "Kill") return run(&TaskService::Kill);
  if (method == "CloseIO") return run(&TaskService::CloseIO);
  if (method == "ResizePty") return run(&TaskService::ResizePty);
  if (method == "Delete") return run(&TaskService::Delete);
  if (method == "Connect") return run(&TaskService::Connect);
  if (method == "Pids") return run(&TaskService::Pids);
  if (method == "Stats") return run(&TaskService::Stats);
  const char* const reason = WhyNot(method);
  if (reason != nullptr) return absl::UnimplementedError(reason);
  return UnknownMethod(call);
}

void TaskService::Create(const task::CreateTaskRequest& request,
                         Done<task::CreateTaskResponse> done) {
  const std::string what = absl::StrCat("creating task ", request.id());
  const absl::StatusOr<Task*> created = pod_.Create(request);
  if (!created.ok()) return done(Annotate(created.status(), what));
  pod_.FinishCreation(**created, [this, what, done = std::move(done)](
                                     const absl::StatusOr<Task*>& finished) {
    if (!finished.ok()) return done(Annotate(finished.status(), what));
    TellOf(**finished);
    task::CreateTaskResponse response;
    response.set_pid(ToWire((*finished)->pid()));
    done(response);
  });
}

void TaskService::TellOf(Task& created) {
  const task::CreateTaskRequest& request = created.request();
  events::TaskCreate event;
  event.set_container_id(request.id());
  event.set_bundle(request.bundle());
  *event.mutable_rootfs() = request.rootfs();
  event.mutable_io()->set_stdin(request.stdin());
  event.mutable_io()->set_stdout(request.stdout());
  event.mutable_io()->set_stderr(request.stderr());
  event.mutable_io()->set_terminal(request.terminal());
  event.set_checkpoint(request.checkpoint());
  event.set_pid(ToWire(created.pid()));
  events_.Publish(event);
  if (GuestTask* const guest = created.guest()) {
    guest->WhenOom([this, id = request.id()] {
      events::TaskOOM oom;
      oom.set_container_id(id);
      events_.Publish(oom);
    });
  }
  created.Wait([this, &created](const TaskExit& exit) {
    events::TaskExit ended;
    ended.set_container_id(created.request().id());
    ended.set_id(created.request().id());
    ended.set_pid(ToWire(created.pid()));
    ended.set_exit_status(exit.status);
    *ended.mutable_exited_at() = ToWire(exit.time);
    events_.Publish(ended);
  });
}

absl::StatusOr<task::StartResponse> TaskService::Start(
    const task::StartRequest& request) {
  ASSIGN_OR_RETURN(Task* const found,
                   pod_.Find(request.id(), request.exec_id()));
  RETURN_IF_ERROR(found->Start(), "starting task ", request.id());
  events::TaskStart event;
  event.set_container_id(request.id());
  event.set_pid(ToWire(found->pid()));
  events_.Publish(event);
  task::StartResponse response;
  response.set_pid(ToWire(found->pid()));
  return response;
}

absl::StatusOr<task::StateResponse> TaskService::State(
    const task::StateRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found,
                   pod_.Find(request.id(), request.exec_id()));
  task::StateResponse response;
  response.set_id(request.id());
  response.set_bundle(found->request().bundle());
  response.set_pid(ToWire(found->pid()));
  response.set_status(found->status());
  response.set_stdin(found->request().stdin());
  response.set_stdout(found->request().stdout());
  response.set_stderr(found->request().stderr());
  response.set_terminal(found->request().terminal());
  if (found->exit()) {
    response.set_exit_status(found->exit()->status);
    *response.mutable_exited_at() = ToWire(found->exit()->time);
  }
  return response;
}

absl::StatusOr<wire::Empty> TaskService::Pause(
    const task::PauseRequest& request) {
  ASSIGN_OR_RETURN(GuestTask* const found, pod_.FindGuest(request.id()));
  RETURN_IF_ERROR(found->Pause(), "pausing task ", request.id());
  events::TaskPaused event;
  event.set_container_id(request.id());
  events_.Publish(event);
  return wire::Empty();
}

absl::StatusOr<wire::Empty> TaskService::Resume(
    const task::ResumeRequest& request) {
  ASSIGN_OR_RETURN(GuestTask* const found, pod_.FindGuest(request.id()));
  RETURN_IF_ERROR(found->Resume(), "resuming task ", request.id());
  events::TaskResumed event;
  event.set_container_id(request.id());
  events_.Publish(event);
  return wire::Empty();
}

absl::StatusOr<wire::Empty> TaskService::Kill(
    const task::KillRequest& request) {
  ASSIGN_OR_RETURN(Task* const found,
                   pod_.Find(request.id(), request.exec_id()));
  RETURN_IF_ERROR(found->Kill(static_cast<int>(request.signal())),
                  "killing task ", request.id());
  return wire::Empty();
}

// Of a task with a terminal: its console has no size, so that any will do.
absl::StatusOr<wire::Empty> TaskService::ResizePty(
    const task::ResizePtyRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found,
                   pod_.Find(request.id(), request.exec_id()));
  if (found->request().terminal()) return wire::Empty();
  return absl::UnimplementedError("a unikernel has no terminal");
}

// There is nothing to close: a unikernel has no standard input.
absl::StatusOr<wire::Empty> TaskService::CloseIO(
    const task::CloseIORequest& request) {
  RETURN_IF_ERROR(pod_.Find(request.id(), request.exec_id()).status());
  return wire::Empty();
}

absl::StatusOr<task::DeleteResponse> TaskService::Delete(
    const task::DeleteRequest& request) {
  RETURN_IF_ERROR(pod_.Find(request.id(), request.exec_id()).status());
  // What the task had is the node's again, once it is destroyed.
  const absl::Cleanup give_back = [] { ::malloc_trim(0); };
  ASSIGN_OR_RETURN(const std::unique_ptr<Task> deleted,
                   pod_.Delete(request.id()), "deleting task ", request.id());
  task::DeleteResponse response;
  response.set_pid(ToWire(deleted->pid()));
  response.set_exit_status(deleted->exit()->status);
  *response.mutable_exited_at() = ToWire(deleted->exit()->time);
  events::TaskDelete event;
  event.set_container_id(request.id());
  event.set_pid(response.pid());
  event.set_exit_status(response.exit_status());
  *event.mutable_exited_at() = response.exited_at();
  events_.Publish(event);
  return response;
}

// Also a question whether the shim is there: an unknown task is no error.
absl::StatusOr<task::ConnectResponse> TaskService::Connect(
    const task::ConnectRequest& request) {
  task::ConnectResponse response;
  response.set_shim_pid(ToWire(::getpid()));
  response.set_version(kVersion);
  const absl::StatusOr<Task*> found = pod_.Find(request.id());
  if (found.ok()) response.set_task_pid(ToWire((*found)->pid()));
  return response;
}

absl::StatusOr<task::PidsResponse> TaskService::Pids(
    const task::PidsRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found, pod_.Find(request.id()));
  // Also of one that has ended: a containerd that starts anew takes a task
  // without processes for one that was lost, and its exit status with it.
  task::PidsResponse response;
  response.add_processes()->set_pid(ToWire(found->pid()));
  return response;
}

absl::StatusOr<task::StatsResponse> TaskService::Stats(
    const task::StatsRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found, pod_.Find(request.id()));
  task::StatsResponse response;
  ASSIGN_OR_RETURN(*response.mutable_stats(), found->Metrics(), "task ",
                   request.id());
  return response;
}

void TaskService::Update(const task::UpdateTaskRequest& request,
                         Done<wire::Empty> done) {
  const std::string what = absl::StrCat("updating task ", request.id());
  const absl::StatusOr<GuestTask*> found = pod_.FindGuest(request.id());
  if (!found.ok()) return done(Annotate(found.status(), what));
  const wire::Any& any = request.resources();
  // Others are Windows's.
  if (!absl::StartsWith(any.type_url(),
                        "types.containerd.io/opencontainers/"
                        "runtime-spec/") ||
      !absl::EndsWith(any.type_url(), "/LinuxResources")) {
    return done(absl::InvalidArgumentError(
        absl::StrCat(what, ": resources of type \"", any.type_url(),
                     "\", which are not Linux's")));
  }
  const auto resources = oci::ParseResources(any.value());
  if (!resources.ok()) return done(Annotate(resources.status(), what));
  (*found)->Update(*resources,
                   [what, done = std::move(done)](const absl::Status& updated) {
                     if (!updated.ok()) return done(Annotate(updated, what));
                     done(wire::Empty());
                   });
}

void TaskService::Checkpoint(const task::CheckpointTaskRequest& request,
                             Done<wire::Empty> done) {
  const absl::StatusOr<GuestTask*> found = pod_.FindGuest(request.id());
  if (!found.ok()) return done(found.status());
  const auto options =
      Parse<task::CheckpointOptions>(request.options().value());
  if (!options.ok()) return done(options.status());
  const std::string& path =
      options->image_path().empty() ? request.path() : options->image_path();
  // The task may have ended, and been deleted, by the time it is answered.
  (*found)->Snapshot(
      path, [this, done = std::move(done), id = request.id(), path,
             exit = options->exit()](
                const absl::StatusOr<v1::SnapshotResponse>& taken) {
        if (!taken.ok()) {
          return done(Annotate(taken.status(),
                               absl::StrCat("checkpoint of task ", id)));
        }
        events::TaskCheckpointed event;
        event.set_container_id(id);
        event.set_checkpoint(path);
        events_.Publish(event);
        const absl::StatusOr<Task*> task = pod_.Find(id);
        if (exit && task.ok()) (*task)->Kill(SIGKILL).IgnoreError();
        done(wire::Empty());
      });
}

void TaskService::Wait(const task::WaitRequest& request,
                       Done<task::WaitResponse> done) {
  const absl::StatusOr<Task*> found =
      pod_.Find(request.id(), request.exec_id());
  if (!found.ok()) return done(found.status());
  (*found)->Wait([done = std::move(done)](const TaskExit& exit) {
    task::WaitResponse response;
    response.set_exit_status(exit.status);
    *response.mutable_exited_at() = ToWire(exit.time);
    done(response);
  });
}

// With tasks left it is answered, and nothing happens: containerd calls it
// after each task's deletion and leaves it to the shim of a pod.
void TaskService::Shutdown(const task::ShutdownRequest& request,
                           Done<wire::Empty> done) {
  if (request.now()) pod_.DestroyAll();
  done(wire::Empty());
  if (pod_.tasks().empty()) on_shutdown_();
}

}  // namespace serai::shim
