// SPDX-License-Identifier: Apache-2.0
#include "shim/task_service.h"

#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/solo5/unikernel.h"
#include "shim/log.h"
#include "shim/stats.h"

namespace serai::shim {
namespace {

constexpr char kMetricsUrl[] = "io.containerd.cgroups.v2.Metrics";
constexpr char kVersion[] = "v2";  // of the task API

wire::Timestamp ToWire(absl::Time time) {
  const timespec spec = absl::ToTimespec(time);
  wire::Timestamp timestamp;
  timestamp.set_seconds(spec.tv_sec);
  timestamp.set_nanos(static_cast<int32_t>(spec.tv_nsec));
  return timestamp;
}

uint32_t ToWire(pid_t pid) { return static_cast<uint32_t>(pid); }

template <typename Request>
absl::StatusOr<Request> Parse(const std::string& bytes) {
  Request request;
  if (!request.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("the request is malformed");
  }
  return request;
}

// Why a method of the task API is not there; null for one that does not exist.
const char* WhyNot(const std::string& method) {
  static constexpr struct {
    const char* method;
    const char* reason;
  } kReasons[] = {
      {"Exec", "a unikernel is one program: no other can be run in it"},
      {"ResizePty", "a unikernel has no terminal"},
      {"CloseIO", "a unikernel has no standard input"},
      {"Pause", "pausing a unikernel is not supported"},
      {"Resume", "pausing a unikernel is not supported"},
      {"Checkpoint", "checkpoints of a unikernel are not supported"},
      {"Update", "the resources of a running unikernel can't be changed"},
  };
  for (const auto& entry : kReasons) {
    if (method == entry.method) return entry.reason;
  }
  return nullptr;
}

bool IsTaskService(const std::string& service) {
  return service == "containerd.task.v2.Task" ||
         service == "containerd.task.v3.Task";
}

absl::Status UnknownMethod(const ttrpc::Call& call) {
  return absl::UnimplementedError(
      absl::StrCat("there is no method ", call.service, "/", call.method));
}

// A protobuf string is UTF-8, and what a guest made its tender say may not be.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c)) && c != '\n') {
      c = '?';
    }
  }
  return text;
}

}  // namespace

void TaskService::Handle(const ttrpc::Call& call, ttrpc::Server::Reply reply) {
  if (IsTaskService(call.service) && call.method == "Wait") {
    Wait(call.request, std::move(reply));
  } else if (IsTaskService(call.service) && call.method == "Shutdown") {
    Shutdown(call.request, reply);
  } else {
    reply(Answer(call));
  }
}

absl::StatusOr<std::string> TaskService::Answer(const ttrpc::Call& call) {
  if (IsTaskService(call.service)) return AnswerTask(call);
  if (call.service == "serai.shim.v1.Control") return AnswerControl(call);
  return absl::UnimplementedError(
      absl::StrCat("there is no service ", call.service));
}

template <typename Request, typename Response>
absl::StatusOr<std::string> TaskService::Run(
    absl::StatusOr<Response> (TaskService::*method)(const Request&),
    const std::string& bytes) {
  ASSIGN_OR_RETURN(const Request request, Parse<Request>(bytes));
  ASSIGN_OR_RETURN(const Response response, (this->*method)(request));
  return response.SerializeAsString();
}

absl::StatusOr<std::string> TaskService::AnswerTask(const ttrpc::Call& call) {
  const std::string& method = call.method;
  if (method == "Create") return Run(&TaskService::Create, call.request);
  if (method == "Start") return Run(&TaskService::Start, call.request);
  if (method == "State") return Run(&TaskService::State, call.request);
  if (method == "Kill") return Run(&TaskService::Kill, call.request);
  if (method == "Delete") return Run(&TaskService::Delete, call.request);
  if (method == "Connect") return Run(&TaskService::Connect, call.request);
  if (method == "Pids") return Run(&TaskService::Pids, call.request);
  if (method == "Stats") return Run(&TaskService::Stats, call.request);
  const char* reason = WhyNot(method);
  if (reason != nullptr) return absl::UnimplementedError(reason);
  return UnknownMethod(call);
}

absl::StatusOr<std::string> TaskService::AnswerControl(
    const ttrpc::Call& call) {
  const std::string& method = call.method;
  if (method == "ReopenLog") return Run(&TaskService::ReopenLog, call.request);
  if (method == "Info") return Run(&TaskService::Info, call.request);
  return UnknownMethod(call);
}

absl::StatusOr<Task*> TaskService::Find(const std::string& id,
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

absl::StatusOr<task::CreateTaskResponse> TaskService::Create(
    const task::CreateTaskRequest& request) {
  if (tasks_.count(request.id()) != 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is a task ", request.id()));
  }
  ASSIGN_OR_RETURN(auto created, Task::Create(host_, request), "creating task ",
                   request.id());
  task::CreateTaskResponse response;
  response.set_pid(ToWire(created->pid()));
  tasks_[request.id()] = std::move(created);
  return response;
}

absl::StatusOr<task::StartResponse> TaskService::Start(
    const task::StartRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.id(), request.exec_id()));
  RETURN_IF_ERROR(found->Start(), "starting task ", request.id());
  task::StartResponse response;
  response.set_pid(ToWire(found->pid()));
  return response;
}

absl::StatusOr<task::StateResponse> TaskService::State(
    const task::StateRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found,
                   Find(request.id(), request.exec_id()));
  task::StateResponse response;
  response.set_id(request.id());
  response.set_bundle(found->request().bundle());
  response.set_pid(ToWire(found->pid()));
  response.set_status(found->status());
  response.set_stdout(found->request().stdout());
  response.set_stderr(found->request().stderr());
  if (found->exit()) {
    response.set_exit_status(found->exit()->status);
    *response.mutable_exited_at() = ToWire(found->exit()->time);
  }
  return response;
}

absl::StatusOr<wire::Empty> TaskService::Kill(
    const task::KillRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.id(), request.exec_id()));
  RETURN_IF_ERROR(found->Kill(static_cast<int>(request.signal())),
                  "killing task ", request.id());
  return wire::Empty();
}

absl::StatusOr<task::DeleteResponse> TaskService::Delete(
    const task::DeleteRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.id(), request.exec_id()));
  RETURN_IF_ERROR(found->Delete(), "deleting task ", request.id());
  task::DeleteResponse response;
  response.set_pid(ToWire(found->pid()));
  response.set_exit_status(found->exit()->status);
  *response.mutable_exited_at() = ToWire(found->exit()->time);
  tasks_.erase(request.id());
  return response;
}

// Also a question whether the shim is there: an unknown task is no error.
absl::StatusOr<task::ConnectResponse> TaskService::Connect(
    const task::ConnectRequest& request) {
  task::ConnectResponse response;
  response.set_shim_pid(ToWire(::getpid()));
  response.set_version(kVersion);
  const auto found = tasks_.find(request.id());
  if (found != tasks_.end()) {
    response.set_task_pid(ToWire(found->second->pid()));
  }
  return response;
}

absl::StatusOr<task::PidsResponse> TaskService::Pids(
    const task::PidsRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found, Find(request.id()));
  task::PidsResponse response;
  if (!found->exit()) {
    response.add_processes()->set_pid(ToWire(found->pid()));
  }
  return response;
}

absl::StatusOr<task::StatsResponse> TaskService::Stats(
    const task::StatsRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found, Find(request.id()));
  ASSIGN_OR_RETURN(const host::CgroupUsage usage, found->Usage(), "task ",
                   request.id());
  task::StatsResponse response;
  response.mutable_stats()->set_type_url(kMetricsUrl);
  response.mutable_stats()->set_value(ToMetrics(usage).SerializeAsString());
  return response;
}

void TaskService::Wait(const std::string& request, ttrpc::Server::Reply reply) {
  const auto parsed = Parse<task::WaitRequest>(request);
  if (!parsed.ok()) return reply(parsed.status());
  const absl::StatusOr<Task*> found = Find(parsed->id(), parsed->exec_id());
  if (!found.ok()) return reply(found.status());
  (*found)->Wait([reply = std::move(reply)](const TaskExit& exit) {
    task::WaitResponse response;
    response.set_exit_status(exit.status);
    *response.mutable_exited_at() = ToWire(exit.time);
    reply(response.SerializeAsString());
  });
}

// With tasks left it is answered, and nothing happens: containerd calls it
// after each task's deletion and leaves it to the shim of a pod.
void TaskService::Shutdown(const std::string& request,
                           const ttrpc::Server::Reply& reply) {
  const auto parsed = Parse<task::ShutdownRequest>(request);
  if (!parsed.ok()) return reply(parsed.status());
  if (parsed->now()) DestroyAll();
  reply(wire::Empty().SerializeAsString());
  if (tasks_.empty()) on_shutdown_();
}

absl::StatusOr<wire::Empty> TaskService::ReopenLog(
    const v1::ReopenLogRequest& request) {
  ASSIGN_OR_RETURN(Task* const found, Find(request.id()));
  RETURN_IF_ERROR(found->ReopenLog(), "task ", request.id());
  return wire::Empty();
}

absl::StatusOr<v1::InfoResponse> TaskService::Info(
    const v1::InfoRequest& request) {
  ASSIGN_OR_RETURN(const Task* const found, Find(request.id()));
  v1::InfoResponse response;
  response.set_oom_killed(found->oom_killed());
  response.set_message(Printable(found->last_words()));
  if (found->started_at()) {
    *response.mutable_started_at() = ToWire(*found->started_at());
  }
  response.set_log_lines_dropped(found->log_lines_dropped());
  response.set_target(solo5::TargetName(found->target()));
  if (found->exit()) {
    response.set_ending(std::string(EndingName(found->exit()->ending)));
  }
  return response;
}

void TaskService::ReapChildren() {
  int wait_status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    for (const auto& [id, found] : tasks_) {
      if (!found->exit() && found->pid() == pid) {
        found->Reaped(wait_status);
        break;
      }
    }
  }
}

void TaskService::DestroyAll() {
  for (const auto& [id, found] : tasks_) {
    const absl::Status destroyed = found->Destroy();
    if (!destroyed.ok()) {
      LogWarning(absl::StrCat("task ", id, ": ", destroyed.message()));
    }
  }
  tasks_.clear();
}

}  // namespace serai::shim
